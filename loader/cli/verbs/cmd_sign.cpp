// bpfwarden sign: from an object and a key to a bundle that `run` loads.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/file.h"
#include "keyring/cms.h"
#include "loader/bundles/sign_object.h"
#include "loader/bundles/skeleton_header.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/signing.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct SignArguments {
  std::vector<std::string> objects;
  SigningOptions signing;
  std::string output;
  std::string to_be_signed;  // prefix of the files to write them to
  std::string signature, self_check_signature;
  std::string version;
  bool prog_only = false;
};

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxSignature = 8 << 10;

// The signatures that a bundle needs, each over its own bytes.
Status fill(
    keyring::Bundle& bundle, const SignArguments& options,
    const std::function<Result<Bytes>(const Bytes& content, const std::string& file)>& sign) {
  auto signature = sign(keyring::to_be_signed(bundle), options.signature);
  if (!signature) return std::unexpected(std::move(signature).error());
  bundle.signature = std::move(*signature);
  const bool is_left_out = !options.signature.empty() && options.self_check_signature.empty();
  if (options.prog_only || is_left_out) return {};
  auto second = sign(keyring::self_checking_insns(bundle), options.self_check_signature);
  if (!second) return std::unexpected(std::move(second).error());
  bundle.self_check_signature = std::move(*second);
  return {};
}

// Made elsewhere, from what --emit-tbs wrote: taken only if it fits.
Result<Bytes> read_signature(const Bytes& content, const std::string& file,
                             const Certificate& signer) {
  auto der = read_file(file, kMaxSignature);
  if (!der) return der;
  if (Status good = keyring::verify_detached(content, *der, signer); !good) {
    Error error = std::move(good).error().within(file);
    error.hint = "sign the very bytes that `bpfwarden sign --emit-tbs` writes for this object";
    return std::unexpected(std::move(error));
  }
  return der;
}

Result<keyring::Bundle> unsigned_bundle(const std::string& object, bool prog_only) {
  if (is_skeleton_header(object)) {
    if (prog_only) return fail(object + " holds a loader", "leave --prog-only out");
    return read_skeleton_header(object);  // its signature is replaced
  }
  return prog_only ? make_program_bundle(object) : make_loader_bundle(object);
}

Result<keyring::Bundle> sign(const std::string& object, const Hand& hand,
                             const SignArguments& options) {
  auto bundle = unsigned_bundle(object, options.prog_only);
  if (!bundle) return bundle;
  const Status filled = fill(*bundle, options, [&](const Bytes& content, const std::string& file) {
    return hand.key ? keyring::sign_detached(content, *hand.key, hand.certificate)
                    : read_signature(content, file, hand.certificate);
  });
  if (!filled) return std::unexpected(filled.error());
  bundle->certificate_der = hand.certificate.der;
  bundle->version = options.version;
  return bundle;
}

nlohmann::json to_json(const std::string& file, const keyring::Bundle& bundle) {
  const bool is_loader = bundle.kind == keyring::Bundle::Kind::loader;
  return object_of({{"file", file},
                    {"signature", is_loader ? "prog-used-maps" : "prog-only"},
                    {"program_count", bundle.programs.size()},
                    {"self_check", !bundle.self_check_signature.empty()},
                    {"digest", digest_or_null(hex(keyring::sha256(bundle.insns)))}});
}

// Beside a bundle on standard output, on stderr.
void print(const nlohmann::json& one, const SignArguments& options) {
  std::FILE* to = options.output == kStandardStream ? stderr : stdout;
  if (in_json()) return;
  std::fprintf(to, "%s: %s program%s, signature %s, %s\n",
               one["file"].get_ref<const std::string&>().c_str(),
               one["program_count"].dump().c_str(), one["program_count"] == 1 ? "" : "s",
               one["signature"].get_ref<const std::string&>().c_str(),
               one["digest"].get_ref<const std::string&>().c_str());
}

int told_to_be_signed(const std::vector<std::string>& files) {
  if (in_json()) return put_answer(object_of({{"to_be_signed", files}})), 0;
  for (const std::string& file : files) std::puts(file.c_str());
  return 0;
}

// The same object and tool always give the same bytes.
int emit(const SignArguments& options) {
  const auto bundle = unsigned_bundle(options.objects.front(), options.prog_only);
  if (!bundle) return print_error(bundle.error());
  const std::string file = options.to_be_signed + ".tbs";
  const std::string second = options.to_be_signed + ".self-check.tbs";
  if (auto written = write_output(file, keyring::to_be_signed(*bundle)); !written)
    return print_error(written.error());
  if (options.prog_only) return told_to_be_signed({file});
  if (auto written = write_output(second, keyring::self_checking_insns(*bundle)); !written)
    return print_error(written.error());
  if (in_json()) return told_to_be_signed({file, second});
  std::printf(
      "%s\n%s\nnext: sign each with `openssl cms -sign -binary -nocerts -noattr -keyid -md "
      "sha256 -outform DER` (without -nocerts and -keyid where a policy names the issuer), then "
      "bpfwarden sign --attach-signature\n",
      file.c_str(), second.c_str());
  return 0;
}

bool is_folder(const std::string& path) {
  std::error_code ignored;  // what cannot be looked at is no folder
  return std::filesystem::is_directory(path, ignored);
}

std::filesystem::path output_of(const SignArguments& options, const keyring::Bundle& bundle) {
  if (!is_folder(options.output)) return options.output;
  return std::filesystem::path(options.output) / (bundle.name + ".bpfsig");
}

// As a header where one was asked for and given, else as a bundle.
Status write_signed(const std::filesystem::path& path, const std::string& object,
                    const keyring::Bundle& bundle) {
  if (!is_skeleton_header(path)) return keyring::write_bundle(path, bundle);
  const auto text = resign_skeleton_header(object, bundle.signature);
  if (!text) return std::unexpected(text.error());
  return write_output(path, *text);
}

// Before anything is written: no output is another's, or one of the files that are read.
Status require_own_outputs(const SignArguments& options,
                           const std::vector<keyring::Bundle>& bundles) {
  std::vector<std::filesystem::path> inputs = {options.signing.key, options.signing.certificate,
                                               options.signature, options.self_check_signature,
                                               options.signing.access.passphrase_file};
  inputs.insert(inputs.end(), options.objects.begin(), options.objects.end());
  std::set<std::filesystem::path> outputs;
  for (const keyring::Bundle& bundle : bundles) {
    const auto output = output_of(options, bundle);
    if (Status other = require_no_input(output, inputs); !other) return other;
    if (!outputs.insert(output).second)
      return fail("two objects would become " + output.string(), "sign them into two folders");
  }
  return {};
}

std::optional<Error> misuse(const SignArguments& options) {
  const bool is_one = options.objects.size() == 1;
  if (!options.to_be_signed.empty())
    return is_one ? std::nullopt : std::optional(Error{0, "--emit-tbs takes one object", ""});
  if (options.signing.certificate.empty() || options.output.empty() ||
      options.signing.key.empty() == options.signature.empty())
    return Error{0, "nothing says who signs, or where the bundle goes",
                 "give --cert and -o with --key or --attach-signature; or --emit-tbs"};
  if (is_skeleton_header(options.output) && !is_skeleton_header(options.objects.front()))
    return Error{0, "only a header can be signed as a header",
                 "make one with `bpftool gen skeleton -L -S`, and sign it again"};
  if (is_one) return std::nullopt;
  if (!options.signature.empty()) return Error{0, "--attach-signature takes one object", ""};
  if (!is_folder(options.output))
    return Error{
        0, "several objects become several bundles, and " + options.output + " is not a folder",
        "make it: mkdir -p " + options.output};
  return std::nullopt;
}

// All or nothing: no bundle is written before all are signed.
int run_sign(const SignArguments& options) {
  if (options.output == kStandardStream) answer_on_stderr();
  if (const auto wrong = misuse(options)) return print_error(*wrong), kWrongUse;
  if (!options.to_be_signed.empty()) return emit(options);
  const auto hand = open_hand(options.signing);
  if (!hand) return print_error(hand.error());
  std::vector<keyring::Bundle> bundles;
  for (const std::string& object : options.objects) {
    auto bundle = sign(object, *hand, options);
    if (!bundle) return print_error(bundle.error());
    bundles.push_back(std::move(*bundle));
  }
  if (Status own = require_own_outputs(options, bundles); !own) return print_error(own.error());
  auto list = nlohmann::json::array();
  for (size_t i = 0; i < bundles.size(); i++) {
    const auto path = output_of(options, bundles[i]);
    if (auto done = write_signed(path, options.objects[i], bundles[i]); !done)
      return print_error(done.error());
    list.push_back(to_json(path, bundles[i]));
    print(list.back(), options);
  }
  if (in_json()) put_answer(object_of({{"bundles", std::move(list)}}));
  return 0;
}

}  // namespace

void add_sign(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<SignArguments>();
  CLI::App* verb = app.add_subcommand("sign", "Sign a BPF object; writes a bundle for `run`");
  verb->add_option("objects", options->objects,
                   "one or more objects (x.bpf.o), or headers of signed light skeletons")
      ->required();
  auto* key = add_signing(*verb, options->signing);
  auto* output =
      verb->add_option("-o,--output", options->output,
                       "the bundle to write, or a folder for NAME.bpfsig; - is standard output");
  auto* emit =
      verb->add_option("--emit-tbs", options->to_be_signed,
                       "write what is to be signed to PREFIX.tbs and PREFIX.self-check.tbs");
  emit->excludes(key)->excludes(output);
  auto* attach = verb->add_option("--attach-signature", options->signature,
                                  "take the signature (DER) of PREFIX.tbs from this file");
  attach->excludes(key)->excludes(emit);
  verb->add_option("--attach-self-check-signature", options->self_check_signature,
                   "and that of PREFIX.self-check.tbs, for Linux 6.18 to 7.2")
      ->needs(attach);
  verb->add_option("--bundle-version", options->version, "noted in the bundle, for people");
  verb->add_flag("--prog-only", options->prog_only,
                 "sign the one bare program of the object directly, not a loader");
  verb->footer(
      "example: bpfwarden sign xdp.bpf.o --key netops.key --cert netops.pem -o xdp.bundle");
  verb->callback([options, &chosen] { chosen = [options] { return run_sign(*options); }; });
}

}  // namespace bpfwarden::loader
