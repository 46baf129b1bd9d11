// A policy file made ready for the kernel: parsed with real certificates, digested, compiled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/image.h"
#include "keyring/x509.h"
#include "policy/language/parse.h"

namespace bpfwarden::loader {

// Parses with certificates from keyring::read_certificates and the current time; a folder stands
// for the *.pem, *.crt, *.cer and *.der in it.
[[nodiscard]] policy::ParseResult parse_policy_file(const std::filesystem::path& path);

// Likewise, from the text of the policy and its drop-ins; their names say where paths start.
[[nodiscard]] policy::ParseResult parse_policy_text(std::vector<policy::SourceFile> sources);

struct CompiledPolicy {
  policy::Policy policy;
  std::unique_ptr<bw_image> image;
  std::vector<Certificate> certificates;  // each once, for the sealed keyring
};

// The image's digest is the SHA-256 of the files and the certificates they name: what "the same
// policy" means. An Error only for what parse() cannot see, such as too many names for the image.
[[nodiscard]] Result<CompiledPolicy> compile_policy(policy::ParseResult parsed);

// Another form of the same policy takes its place, in the mode of its image. Errors: as of
// compile(); `compiled` is then as it was.
[[nodiscard]] Status compile_again(CompiledPolicy& compiled, policy::Policy completed);

// A file of certificates, or one of those in a folder.
struct CertificateFile {
  std::string path;
  std::vector<std::vector<uint8_t>> certificates;  // DER
};

// The image of the same policy, all of it on trial.
[[nodiscard]] std::unique_ptr<bw_image> in_audit_mode(const bw_image& image);
// Whether it is: neither the policy nor a rule of it enforces.
[[nodiscard]] bool is_on_trial(const bw_image& image);

// Everything that a policy was made from, so that it can be made again when its files have changed
// or are gone.
struct PolicySnapshot {
  std::vector<policy::SourceFile> sources;
  std::map<std::string, std::vector<CertificateFile>> certificates;  // by path, as the policy asked
  int64_t checked_at = 0;  // Unix seconds: its certificates were valid then
};

// What `check` shows of a policy, and `apply` before it applies one.
struct CheckedPolicy {
  std::vector<policy::Diagnostic> diagnostics;  // of parsing, compiling and lint, sorted
  std::vector<policy::SourceFile> sources;
  std::optional<CompiledPolicy> compiled;  // exactly if there is no error
  PolicySnapshot snapshot;                 // of check_policy_file() and check_snapshot()
  size_t accepted = 0;                     // warnings that the policy accepts, which are not told
  std::vector<policy::PassedOver> passed_over;  // of check_policy_file()
};

// All that can be said about a policy without a kernel. What keeps it from being compiled is an
// error at its 1:1.
[[nodiscard]] CheckedPolicy check_policy(policy::ParseResult parsed);
[[nodiscard]] CheckedPolicy check_policy_file(const std::filesystem::path& path);
// The same policy again. Certificates that have ended since are no error: the kernel asks for no
// dates either, and a host must not lose its policy by a reboot.
[[nodiscard]] CheckedPolicy check_snapshot(const PolicySnapshot& snapshot);

}  // namespace bpfwarden::loader
