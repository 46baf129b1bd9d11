#include "loader/policies/policy_file.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <set>

#include "base/file.h"
#include "bpf-lsm/decide.h"
#include "policy/image/compile.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

bool names_a_certificate(const std::filesystem::path& path) {
  const auto extension = path.extension();
  return extension == ".pem" || extension == ".crt" || extension == ".cer" || extension == ".der";
}

// The files of a folder in the order of their names, or the file itself.
Result<std::vector<std::filesystem::path>> certificate_files(
    const std::filesystem::path& path, std::vector<policy::PassedOver>& passed_over) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return std::vector{path};
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!names_a_certificate(entry->path())) continue;
    if (const auto why = why_not_read(entry->path()))
      passed_over.push_back({entry->path().string(), *why});
    else
      files.push_back(entry->path());
  }
  if (error) return fail_errno(error.value(), "the folder cannot be read");
  std::ranges::sort(files);
  return files;
}

Result<std::vector<Certificate>> read_noting(const std::filesystem::path& path,
                                             std::vector<policy::PassedOver>& passed_over) {
  auto files = certificate_files(path, passed_over);
  if (!files) return std::unexpected(std::move(files).error());
  std::vector<Certificate> infos;
  for (const auto& file : *files) {
    auto certificates = keyring::read_certificates(file);
    if (!certificates) return std::unexpected(std::move(certificates).error());
    std::ranges::move(*certificates, std::back_inserter(infos));
  }
  return infos;
}

Result<std::vector<Certificate>> read_infos(const std::filesystem::path& path) {
  std::vector<policy::PassedOver> nobody_asks;
  return read_noting(path, nobody_asks);
}

// Reads, and notes what was read and what was not.
policy::CertificateReader recording_reader(PolicySnapshot& snapshot,
                                           std::vector<policy::PassedOver>& passed_over) {
  return [&snapshot, &passed_over](const std::filesystem::path& path) {
    auto infos = read_noting(path, passed_over);
    if (!infos) return infos;
    auto& files = snapshot.certificates[path.string()];
    files.clear();
    for (const auto& info : *infos) {
      if (files.empty() || files.back().path != info.path) files.push_back({info.path, {}});
      files.back().certificates.push_back(info.der);
    }
    return infos;
  };
}

policy::CertificateReader snapshot_reader(const PolicySnapshot& snapshot) {
  return [&snapshot](const std::filesystem::path& path) -> Result<std::vector<Certificate>> {
    const auto found = snapshot.certificates.find(path.string());
    if (found == snapshot.certificates.end()) return fail("the copy of the policy lacks it");
    std::vector<Certificate> infos;
    for (const CertificateFile& file : found->second) {
      for (const auto& der : file.certificates) {
        auto parsed = keyring::parse_certificates(der, file.path);
        if (!parsed) return std::unexpected(std::move(parsed).error());
        std::ranges::move(*parsed, std::back_inserter(infos));
      }
    }
    return infos;
  };
}

// What the sealed keyring holds: not what is revoked, nor what is in a keyring of the kernel.
std::vector<Certificate> distinct_certificates(const policy::Policy& policy) {
  std::vector<Certificate> found;
  std::set<Digest> seen;
  for (const auto& key : policy.keys) {
    if (key.keyring) continue;
    for (const auto* certificates : {&key.certificates, &key.issuers})
      for (const auto& one : *certificates)
        if (seen.insert(one.fingerprint).second) found.push_back(one);
  }
  return found;
}

// Everything that the policy says: its files and all the certificates that it names.
std::vector<uint8_t> digested_bytes(const policy::ParseResult& parsed) {
  std::vector<uint8_t> bytes;
  for (const auto& source : parsed.sources)
    bytes.insert(bytes.end(), source.text.begin(), source.text.end());
  for (const auto& key : parsed.policy->keys)
    for (const auto* certificates : {&key.certificates, &key.issuers, &key.revoked})
      for (const auto& info : *certificates)
        bytes.insert(bytes.end(), info.der.begin(), info.der.end());
  return bytes;
}

}  // namespace

policy::ParseResult parse_policy_file(const std::filesystem::path& path) {
  return policy::parse_file(path, read_infos, std::time(nullptr));
}

policy::ParseResult parse_policy_text(std::vector<policy::SourceFile> sources) {
  return policy::parse(std::move(sources), read_infos, std::time(nullptr));
}

Result<CompiledPolicy> compile_policy(policy::ParseResult parsed) {
  if (!parsed.policy) return fail("the policy has errors", "run `bpfwarden check` on it");
  const std::vector<uint8_t> digested = digested_bytes(parsed);
  CompiledPolicy compiled = {.policy = std::move(*parsed.policy), .image = {}, .certificates = {}};
  compiled.certificates = distinct_certificates(compiled.policy);
  auto image = policy::compile(compiled.policy, keyring::sha256(digested));
  if (!image) return std::unexpected(std::move(image).error());
  compiled.image = std::move(*image);
  return compiled;
}

std::unique_ptr<bw_image> in_audit_mode(const bw_image& image) {
  auto audit = std::make_unique<bw_image>(image);
  audit->mode = BW_MODE_AUDIT;
  audit->enforce = {};
  return audit;
}

bool is_on_trial(const bw_image& image) { return bw_enforces(&image) == 0; }

CheckedPolicy check_policy(policy::ParseResult parsed) {
  CheckedPolicy checked = {std::move(parsed.diagnostics), parsed.sources, std::nullopt, {}};
  if (!parsed) return checked;
  policy::DiagnosticList failure(parsed.policy->files);
  auto compiled = compile_policy(std::move(parsed));
  if (!compiled) {
    failure.error({}, std::move(compiled.error().message), std::move(compiled.error().hint));
    checked.diagnostics.insert(checked.diagnostics.begin(), failure.take().front());
    return checked;
  }
  checked.diagnostics = policy::with_lint(std::move(checked.diagnostics), compiled->policy,
                                          *compiled->image, std::time(nullptr));
  checked.accepted = policy::take_accepted(checked.diagnostics, compiled->policy);
  checked.compiled = std::move(*compiled);
  return checked;
}

CheckedPolicy check_policy_file(const std::filesystem::path& path) {
  PolicySnapshot snapshot;
  snapshot.checked_at = std::time(nullptr);
  std::vector<policy::PassedOver> passed_over;
  auto parsed =
      policy::parse_file(path, recording_reader(snapshot, passed_over), snapshot.checked_at);
  passed_over.insert(passed_over.end(), parsed.passed_over.begin(), parsed.passed_over.end());
  CheckedPolicy checked = check_policy(std::move(parsed));
  checked.passed_over = std::move(passed_over);
  snapshot.sources = checked.sources;
  checked.snapshot = std::move(snapshot);
  return checked;
}

CheckedPolicy check_snapshot(const PolicySnapshot& snapshot) {
  CheckedPolicy checked =
      check_policy(policy::parse(snapshot.sources, snapshot_reader(snapshot), snapshot.checked_at));
  checked.snapshot = snapshot;
  return checked;
}

Status compile_again(CompiledPolicy& compiled, policy::Policy completed) {
  auto image = policy::compile(completed, compiled.image->policy_digest);
  if (!image) return std::unexpected(std::move(image).error());
  if (is_on_trial(*compiled.image)) *image = in_audit_mode(**image);
  compiled.policy = std::move(completed);
  compiled.image = std::move(*image);
  return {};
}

}  // namespace bpfwarden::loader
