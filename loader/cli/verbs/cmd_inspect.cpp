// bpfwarden inspect: what a bundle says of itself. Nothing of it is proved; `verify` proves.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "keyring/bundle.h"
#include "keyring/cms.h"
#include "loader/btf/type_names.h"
#include "loader/bundles/disassemble.h"
#include "loader/bundles/program_attach.h"
#include "loader/bundles/skeleton_header.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

struct InspectArguments {
  std::string file;
  bool disassemble = false;
};

std::string digest_of(std::span<const uint8_t> bytes) {
  return "sha256:" + hex(keyring::sha256(bytes));
}

// What the signature names; `algorithm` is the digest's.
json signature_of(std::span<const uint8_t> der, const std::vector<uint8_t>& content,
                  const char* kernels) {
  json one = object_of(
      {{"kernels", kernels}, {"signed_digest", digest_of(content)}, {"bytes", der.size()}});
  const auto info = keyring::inspect_cms(der);
  if (!info) {
    put(one, "problem", info.error().message);
    return one;
  }
  put(one, "signers", info->signers);
  put(one, "subject_key_id", hex(info->subject_key_id));
  put(one, "digest_algorithm", info->digest_algorithm);
  return one;
}

json signatures_of(const keyring::Bundle& bundle) {
  const bool is_loader = bundle.kind == keyring::Bundle::Kind::loader;
  json list = json::array();
  if (!bundle.signature.empty())
    list.push_back(signature_of(bundle.signature, keyring::to_be_signed(bundle),
                                is_loader ? "7.3 and later" : "6.18 and later"));
  if (!bundle.self_check_signature.empty())
    list.push_back(signature_of(bundle.self_check_signature, keyring::self_checking_insns(bundle),
                                "6.18 to 7.2"));
  return list;
}

json programs_of(const keyring::Bundle& bundle) {
  json list = json::array();
  for (const keyring::ProgramEntry& program : bundle.programs)
    list.push_back(object_of({{"program", program.name},
                              {"section", program.section},
                              {"attach", text_or_null(program.attach)},
                              {"program_type", program_type_name(program.prog_type)},
                              {"attach_type", attach_type_name(program.expected_attach_type)}}));
  return list;
}

json certificate_of(const keyring::Bundle& bundle) {
  if (bundle.certificate_der.empty()) return {};
  const auto parsed =
      keyring::parse_certificates(bundle.certificate_der, "the bundle's certificate");
  if (!parsed) return object_of({{"subject", {}}, {"problem", parsed.error().message}});
  return object_of({{"subject", parsed->front().subject},
                    {"fingerprint", digest_or_null(hex(parsed->front().fingerprint))}});
}

json to_json(const keyring::Bundle& bundle) {
  json maps = json::array();
  for (const keyring::MapEntry& map : bundle.maps) maps.push_back(map.name);
  const bool is_loader = bundle.kind == keyring::Bundle::Kind::loader;
  return object_of(
      {{"name", bundle.name},
       {"bundle_version", bundle.version},
       {"tool", bundle.tool},
       {"license", bundle.license},
       {"kind", is_loader ? "loader" : "program"},
       {"programs", programs_of(bundle)},
       {"maps", maps},
       {"instructions", bundle.insns.size() / 8},
       {"digest", digest_of(bundle.insns)},
       {"metadata_bytes", bundle.metadata.size()},
       {"metadata_digest", bundle.metadata.empty() ? json() : json(digest_of(bundle.metadata))},
       {"signatures", signatures_of(bundle)},
       {"certificate", certificate_of(bundle)}});
}

std::string text_of(const json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_signature(const json& one) {
  if (one.contains("problem"))
    return void(
        std::printf("  signature       not readable: %s\n", text_of(one["problem"]).c_str()));
  std::printf("  signature       for Linux %s, by key id %s, %s, over %s\n",
              text_of(one["kernels"]).c_str(), text_of(one["subject_key_id"]).c_str(),
              text_of(one["digest_algorithm"]).c_str(), text_of(one["signed_digest"]).c_str());
}

void print(const json& all) {
  std::printf("%s %s\n", text_of(all["name"]).c_str(), text_of(all["bundle_version"]).c_str());
  for (const char* name :
       {"kind", "tool", "license", "instructions", "digest", "metadata_bytes", "metadata_digest"})
    std::printf("  %-15s %s\n", name, text_of(all[name]).c_str());
  for (const json& one : all["programs"])
    std::printf("  program         %s (%s)\n", text_of(one["program"]).c_str(),
                text_of(one["attach"].is_null() ? one["section"] : one["attach"]).c_str());
  for (const json& one : all["maps"]) std::printf("  map             %s\n", text_of(one).c_str());
  for (const json& one : all["signatures"]) print_signature(one);
  const json& certificate = all["certificate"];
  if (certificate.contains("fingerprint"))
    std::printf("  certificate     %s, %s\n", text_of(certificate["subject"]).c_str(),
                text_of(certificate["fingerprint"]).c_str());
  std::puts("claims of the file, not proved: `bpfwarden verify` checks the signatures");
}

int run_inspect(const InspectArguments& options) {
  const auto bundle = read_signed(options.file);
  if (!bundle) return print_error(bundle.error());
  json all = to_json(*bundle);
  std::string listing;
  if (options.disassemble) {
    auto text = disassemble(bundle->insns);
    if (!text) return print_error(text.error());
    listing = std::move(*text);
    put(all, "disassembly", listing);
  }
  if (in_json()) return put_answer(std::move(all)), 0;
  print(all);
  std::fputs(listing.c_str(), stdout);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<InspectArguments>();
  CLI::App* verb = app.add_subcommand("inspect", "Show what a bundle says of itself");
  verb->add_option("file", options->file,
                   "what `bpfwarden sign` or `bpftool gen skeleton -L -S` wrote")
      ->required();
  verb->add_flag("--disassemble", options->disassemble, "with its instructions, by llvm-objdump");
  verb->footer("example: bpfwarden inspect xdp.bpfsig --disassemble");
  verb->callback([options, &chosen] { chosen = [options] { return run_inspect(*options); }; });
}

}  // namespace bpfwarden::loader
