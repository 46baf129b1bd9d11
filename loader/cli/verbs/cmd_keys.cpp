// bpfwarden keys: the keys that sign programs, from their making to their end.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "keyring/new_key.h"
#include "keyring/private_key.h"
#include "keyring/x509.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/kernel/pins.h"
#include "loader/policies/policy_file.h"
#include "loader/policies/revoke_key.h"
#include "loader/status/status.h"
#include "loader/text/json_members.h"
#include "policy/answers/rule_text.h"
#include "policy/answers/suggest_text.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

const char* trust_word(uint32_t kind) {
  return kind == BW_SIGNER_ISSUER ? "issuer" : kind == BW_SIGNER_REVOKED ? "revoked" : "signs";
}

// ---- list ---------------------------------------------------------------------------------------

void add_certificates(json& list, const policy::Key& key, uint32_t kind,
                      const std::vector<Certificate>& certificates) {
  for (const Certificate& info : certificates)
    list.push_back(object_of({{"signer", key.name},
                              {"trust", trust_word(kind)},
                              {"subject", info.subject},
                              {"algorithm", info.kernel_algorithm},
                              {"ends", time_or_null(info.not_after)},
                              {"fingerprint", fingerprint_text(info)},
                              {"file", info.path}}));
}

json keys_of_policy(const policy::Policy& policy) {
  json list = json::array();
  for (const policy::Key& key : policy.keys) {
    add_certificates(list, key, BW_SIGNER_KEY, key.certificates);
    add_certificates(list, key, BW_SIGNER_ISSUER, key.issuers);
    add_certificates(list, key, BW_SIGNER_REVOKED, key.revoked);
    if (key.keyring && key.certificates.empty() && key.issuers.empty())
      list.push_back(object_of({{"signer", key.name},
                                {"trust", "signs"},
                                {"subject", "a whole keyring"},
                                {"algorithm", {}},
                                {"ends", {}}}));
  }
  return list;
}

json keys_of_image(const bw_image& image) {
  json list = json::array();
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    list.push_back(object_of({{"signer", signer.name},
                              {"trust", trust_word(signer.kind)},
                              {"subject", {}},
                              {"algorithm", reinterpret_cast<const char*>(signer.algorithm)},
                              {"ends", time_or_null(signer.not_after)},
                              {"public_key", digest_or_null(hex(signer.key_digest))}}));
  }
  return list;
}

void print_keys(const json& list) {
  const auto text = [](const json& one, const char* name) {
    return one.contains(name) && one[name].is_string() ? one[name].get<std::string>()
                                                       : std::string();
  };
  constexpr size_t date = 10;  // of a time
  for (const json& one : list) {
    std::printf("%-20s %-8s %-16s %-12s %s\n", text(one, "signer").c_str(),
                text(one, "trust").c_str(), text(one, "algorithm").c_str(),
                text(one, "ends").substr(0, date).c_str(), text(one, "subject").c_str());
    for (const char* name : {"fingerprint", "public_key"})
      if (one.contains(name)) std::printf("%-20s %s\n", "", text(one, name).c_str());
  }
}

struct ListOptions {
  std::string policy;
};

Result<json> listed_keys(const ListOptions& options) {
  if (!options.policy.empty()) {
    const auto parsed = parse_policy_file(options.policy);
    if (!parsed)
      return unreadable(fail(options.policy + " is not a good policy",
                             "run `bpfwarden check " + options.policy + "`"));
    return keys_of_policy(*parsed.policy);
  }
  auto status = read_status();
  if (!status) return std::unexpected(std::move(status).error());
  if (!*status)
    return fail("no policy is active", "name a policy file: bpfwarden keys list policy.toml");
  return keys_of_image(*(*status)->generation.image);
}

int run_list(const ListOptions& options) {
  const auto list = listed_keys(options);
  if (!list) return print_error(list.error());
  if (in_json())
    put_answer(object_of({{"certificates", *list}}));
  else
    print_keys(*list);
  return 0;
}

void add_list(CLI::App& keys, Command& chosen) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* verb = keys.add_subcommand("list", "List the keys of the active policy, or of a file");
  verb->add_option("policy", options->policy, "a policy file; without, the active policy");
  verb->footer("example: bpfwarden keys list policy.toml");
  verb->callback([options, &chosen] { chosen = [options] { return run_list(*options); }; });
}

// ---- show, fingerprint --------------------------------------------------------------------------

int for_each_certificate(const std::vector<std::string>& files,
                         const std::function<void(const Certificate&)>& show) {
  for (const std::string& file : files) {
    const auto certificates = keyring::read_certificates(file);
    if (!certificates) return print_error(certificates.error());
    for (const Certificate& certificate : *certificates) show(certificate);
  }
  return 0;
}

json to_json(const Certificate& certificate) {
  return object_of({{"file", certificate.path},
                    {"subject", certificate.subject},
                    {"issuer", certificate.issuer},
                    {"serial", certificate.serial_hex},
                    {"fingerprint", fingerprint_text(certificate)},
                    {"public_key", "sha256:" + hex(keyring::sha256(certificate.public_key))},
                    {"subject_key_id", hex(certificate.subject_key_id)},
                    {"algorithm", certificate.kernel_algorithm},
                    {"bits", certificate.bits},
                    {"ca", certificate.is_ca},
                    {"begins", time_or_null(certificate.not_before)},
                    {"ends", time_or_null(certificate.not_after)}});
}

void show(const Certificate& certificate) {
  const json all = to_json(certificate);
  std::printf("%s\n", certificate.path.c_str());
  for (const char* name : {"subject", "issuer", "serial", "fingerprint", "public_key",
                           "subject_key_id", "algorithm", "bits", "ca", "begins", "ends"})
    std::printf(
        "  %-15s %s\n", name,
        all[name].is_string() ? all[name].get<std::string>().c_str() : all[name].dump().c_str());
}

struct FileOptions {
  std::vector<std::string> files;
};

int run_show_certificates(const FileOptions& options) {
  json list = json::array();
  const int status = for_each_certificate(options.files, [&](const Certificate& one) {
    if (in_json())
      list.push_back(to_json(one));
    else
      show(one);
  });
  if (status == 0 && in_json()) put_answer(object_of({{"certificates", list}}));
  return status;
}

int run_fingerprint(const FileOptions& options) {
  json list = json::array();
  const int status = for_each_certificate(options.files, [&](const Certificate& one) {
    const std::string fingerprint = fingerprint_text(one);
    list.push_back(object_of({{"file", one.path}, {"fingerprint", fingerprint}}));
    if (!in_json()) std::printf("%s  %s\n", fingerprint.c_str(), one.path.c_str());
  });
  if (status == 0 && in_json()) put_answer(object_of({{"certificates", list}}));
  return status;
}

void add_show(CLI::App& keys, Command& chosen) {
  auto options = std::make_shared<FileOptions>();
  CLI::App* verb = keys.add_subcommand("show", "Say what the kernel will know of a certificate");
  verb->add_option("certificates", options->files, "PEM or DER")->required();
  verb->footer("example: bpfwarden keys show netops.pem");
  verb->callback(
      [options, &chosen] { chosen = [options] { return run_show_certificates(*options); }; });
}

void add_fingerprint(CLI::App& keys, Command& chosen) {
  auto options = std::make_shared<FileOptions>();
  CLI::App* verb = keys.add_subcommand(
      "fingerprint", "Print SHA-256 of a certificate's DER form, as `revoked` takes it");
  verb->add_option("certificates", options->files, "PEM or DER")->required();
  verb->footer("example: bpfwarden keys fingerprint netops.pem");
  verb->callback([options, &chosen] { chosen = [options] { return run_fingerprint(*options); }; });
}

// ---- new ----------------------------------------------------------------------------------------

struct NewOptions {
  keyring::NewKey wanted;
  std::string name, folder = ".", passphrase_file;
};

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Status write_pair(const keyring::NewKeyFiles& files, const std::filesystem::path& key,
                  const std::filesystem::path& certificate) {
  constexpr mode_t owner_only = 0600, everybody = 0644;
  if (Status done = create_file(key, bytes_of(files.key), owner_only); !done) return done;
  Status done = create_file(certificate, bytes_of(files.certificate), everybody);
  std::error_code ignored;  // the first error is the one to report
  if (!done) std::filesystem::remove(key, ignored);
  return done;
}

// For the policy.
std::string key_text(const NewOptions& options, const std::string& certificate) {
  const auto path = std::filesystem::absolute(certificate).lexically_normal().string();
  return policy::key_header(options.name) + "\ncertificates = [" + policy::toml_string(path) +
         "]\n";
}

int answer_new(const NewOptions& options, const std::string& key, const std::string& certificate) {
  const bool is_request = options.wanted.is_request;
  put_answer(
      object_of({{"key_file", key},
                 {"certificate_file", certificate},
                 {"encrypted", !options.wanted.passphrase.empty()},
                 {"policy_text", is_request ? json() : json(key_text(options, certificate))}}));
  return 0;
}

int run_new(NewOptions& options) {
  const std::filesystem::path prefix = std::filesystem::path(options.folder) / options.name;
  const auto key = prefix.string() + ".key";
  const auto certificate = prefix.string() + (options.wanted.is_request ? ".csr" : ".pem");
  if (options.wanted.common_name.empty()) options.wanted.common_name = options.name;
  if (!options.passphrase_file.empty()) {
    auto passphrase = keyring::read_passphrase(options.passphrase_file);
    if (!passphrase) return print_error(passphrase.error());
    options.wanted.passphrase = std::move(*passphrase);
  }
  const auto made = keyring::make_key(options.wanted);
  if (!made) return print_error(made.error());
  if (auto written = write_pair(*made, key, certificate); !written) {
    Error error = std::move(written).error();
    if (error.code == EEXIST) error.hint = "nothing was changed; choose another name, or --folder";
    return print_error(error);
  }
  if (in_json()) return answer_new(options, key, certificate);
  std::printf("%s%s\n%s\n", key.c_str(), options.wanted.passphrase.empty() ? "" : " (encrypted)",
              certificate.c_str());
  if (options.wanted.is_request)
    std::puts("next: have it signed by your CA, and name the CA's certificate as `issuer`");
  else
    std::printf("next: put this into the policy\n\n%s", key_text(options, certificate).c_str());
  return 0;
}

void add_new(CLI::App& keys, Command& chosen) {
  auto options = std::make_shared<NewOptions>();
  CLI::App* verb = keys.add_subcommand(
      "new", "Make a key for signing, NAME.key, and its certificate NAME.pem or request NAME.csr");
  verb->add_option("name", options->name, "name of the files")
      ->required()
      ->check([](const std::string& name) {
        const bool is_file = !name.empty() && name.find('/') == std::string::npos;
        return is_file ? std::string() : std::string("a name without a slash; see --folder");
      });
  const std::map<std::string, keyring::KeyType> types = {
      {"ecdsa-p384", keyring::KeyType::ecdsa_p384}, {"rsa-4096", keyring::KeyType::rsa_4096}};
  verb->add_option("--type", options->wanted.type, "ecdsa-p384 (the default) or rsa-4096")
      ->transform(CLI::CheckedTransformer(types).description("{ecdsa-p384,rsa-4096}"));
  verb->add_option("--subject", options->wanted.common_name,
                   "common name in the certificate; without, NAME");
  constexpr unsigned ten_years = 3650;
  verb->add_option("--days", options->wanted.days, "how long the certificate lasts; 365")
      ->check(CLI::Range(1U, ten_years).description(""));
  verb->add_flag("--csr", options->wanted.is_request, "a request for a CA, no certificate");
  verb->add_option("--folder", options->folder, "where the files go; without, here");
  verb->add_option("--passphrase-file", options->passphrase_file,
                   "encrypt the key with the first line of this file");
  verb->footer("example: bpfwarden keys new netops --days 730");
  verb->callback([options, &chosen] { chosen = [options] { return run_new(*options); }; });
}

// ---- revoke -------------------------------------------------------------------------------------

void print_admitted(const std::vector<AdmittedProgram>& programs) {
  if (programs.empty()) return void(std::puts("no program in the kernel was admitted for it"));
  std::printf("%zu in the kernel, admitted for it:\n", programs.size());
  for (const AdmittedProgram& one : programs)
    std::printf("  program %u '%s' (%s), by rule '%s' of policy version %llu\n",
                one.record.program_id, one.name.c_str(), one.attach.c_str(), one.record.rule.name,
                static_cast<unsigned long long>(one.record.policy_version));
  std::puts(
      "revoking does not unload them: see `bpftool link show` and `bpftool prog show pinned`");
}

struct RevokeOptions {
  std::string policy, what, key;
};

json to_json(const std::vector<AdmittedProgram>& programs) {
  json list = json::array();
  for (const AdmittedProgram& one : programs)
    list.push_back(object_of({{"program_id", one.record.program_id},
                              {"program", one.name},
                              {"attach", text_or_null(one.attach)},
                              {"rule", text_or_null(one.record.rule.name)},
                              {"policy_version", one.record.policy_version}}));
  return list;
}

// Null: there is no policy that could have admitted any, or nobody can say.
json programs_admitted_for(const Revoked& revoked) {
  const auto pins = open_pins();
  if (pins && !*pins) return {};
  auto programs = pins ? read_provenance(**pins) : std::unexpected(pins.error());
  if (programs) return to_json(admitted_for(revoked, std::move(*programs)));
  print_error(programs.error());
  return {};
}

int answer_revoked(const RevokeOptions& options, const Revoked& revoked) {
  put_answer(object_of({{"file", options.policy},
                        {"signer", revoked.key},
                        {"withdrawn", revoked.certificate},
                        {"policy_version", revoked.version},
                        {"next", "bpfwarden apply " + options.policy},
                        {"programs", programs_admitted_for(revoked)}}));
  return 0;
}

int run_revoke(const RevokeOptions& options) {
  const auto revoked = revoke_certificate(options.policy, options.what, options.key);
  if (!revoked) return print_error(revoked.error());
  put_diagnostics(revoked->diagnostics, revoked->sources);
  if (in_json()) return answer_revoked(options, *revoked);
  std::printf("%s: key `%s` no longer trusts %s; version %llu\nnext: bpfwarden apply %s\n",
              options.policy.c_str(), revoked->key.c_str(), revoked->certificate.c_str(),
              static_cast<unsigned long long>(revoked->version), options.policy.c_str());
  const auto pins = open_pins();
  if (!pins) return print_error(pins.error()), 0;  // the policy is written all the same
  if (!*pins)
    return std::puts("no policy is active here, so there is no list of programs that it admitted"),
           0;
  auto programs = read_provenance(**pins);
  if (!programs) return print_error(programs.error()), 0;
  if (revoked->is_issued)
    std::puts("for an issued certificate the kernel keeps the issuer only; all of it follows");
  print_admitted(admitted_for(*revoked, std::move(*programs)));
  return 0;
}

void add_revoke(CLI::App& keys, Command& chosen) {
  auto options = std::make_shared<RevokeOptions>();
  CLI::App* verb = keys.add_subcommand(
      "revoke", "Take a certificate out of a policy's trust; lists what it has admitted");
  verb->add_option("policy", options->policy, "the policy file; it is rewritten")->required();
  verb->add_option("certificate", options->what, "its file, or sha256: and its fingerprint")
      ->required();
  verb->add_option("--key", options->key, "the key whose `issuer` issued it");
  verb->footer("example: bpfwarden keys revoke policy.toml stolen.pem");
  verb->callback([options, &chosen] { chosen = [options] { return run_revoke(*options); }; });
}

}  // namespace

void add_keys(CLI::App& app, Command& chosen) {
  CLI::App* keys = app.add_subcommand("keys", "List, show, make and revoke the keys that sign");
  keys->require_subcommand(1);
  keys->footer("example: bpfwarden keys new netops");
  add_list(*keys, chosen);
  add_show(*keys, chosen);
  add_fingerprint(*keys, chosen);
  add_new(*keys, chosen);
  add_revoke(*keys, chosen);
}

}  // namespace bpfwarden::loader
