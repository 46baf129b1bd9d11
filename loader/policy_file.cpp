#include "loader/policy_file.h"

#include <ctime>
#include <set>

#include "policy/compile.h"

namespace bpfwarden::loader {
namespace {

policy::CertificateInfo to_info(keyring::Certificate certificate) {
  return {.path = std::move(certificate.path),
          .subject = std::move(certificate.subject),
          .fingerprint_hex = keyring::hex(certificate.fingerprint),
          .public_key = std::move(certificate.public_key),
          .kernel_algorithm = std::move(certificate.kernel_algorithm),
          .not_before = certificate.not_before,
          .not_after = certificate.not_after,
          .der = std::move(certificate.der)};
}

Result<std::vector<policy::CertificateInfo>> read_infos(const std::filesystem::path& path) {
  auto certificates = keyring::read_certificates(path);
  if (!certificates) return std::unexpected(std::move(certificates).error());
  std::vector<policy::CertificateInfo> infos;
  for (auto& certificate : *certificates) infos.push_back(to_info(std::move(certificate)));
  return infos;
}

std::vector<const policy::CertificateInfo*> distinct_certificates(const policy::Policy& policy) {
  std::vector<const policy::CertificateInfo*> found;
  std::set<std::string> seen;
  for (const auto& key : policy.keys)
    for (const auto& info : key.certificates)
      if (seen.insert(info.fingerprint_hex).second) found.push_back(&info);
  return found;
}

}  // namespace

policy::ParseResult parse_policy_file(const std::filesystem::path& path) {
  return policy::parse_file(path, read_infos, std::time(nullptr));
}

Result<CompiledPolicy> compile_policy(policy::ParseResult parsed) {
  if (!parsed.policy) return fail("the policy has errors", "run `bpfwarden check` on it");
  CompiledPolicy compiled = {.policy = std::move(*parsed.policy), .image = {}, .certificates = {}};
  std::vector<uint8_t> digested(parsed.text.begin(), parsed.text.end());
  for (const auto* info : distinct_certificates(compiled.policy)) {
    digested.insert(digested.end(), info->der.begin(), info->der.end());
    keyring::Certificate certificate = {};
    certificate.path = info->path;
    certificate.fingerprint = keyring::sha256(info->der);
    certificate.public_key = info->public_key;
    certificate.der = info->der;
    compiled.certificates.push_back(std::move(certificate));
  }
  auto image = policy::compile(compiled.policy, keyring::sha256(digested));
  if (!image) return std::unexpected(std::move(image).error());
  compiled.image = std::move(*image);
  return compiled;
}

}  // namespace bpfwarden::loader
