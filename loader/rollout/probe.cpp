#include "loader/rollout/probe.h"

#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>

#include "keyring/kernel_keyring.h"
#include "keyring/new_key.h"
#include "keyring/x509.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/btf/kernel_has.h"
#include "loader/host/lockdown.h"
#include "loader/kernel/trial.h"
#include "loader/policies/bpf_keyring.h"
#include "policy/lint/own_programs.h"

namespace bpfwarden::loader {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

constexpr const char* kModules = "/sys/kernel/security/lsm";

Capability probe_lsm() {
  Capability result = {.name = "BPF LSM", .detail = first_line(kModules)};
  if (result.detail.empty()) {
    result.finding = Finding::missing;
    result.detail = "cannot read /sys/kernel/security/lsm";
    result.remedy = "run as root, or `mount -t securityfs securityfs /sys/kernel/security`";
  } else if (("," + result.detail + ",").find(",bpf,") == std::string::npos) {
    result.finding = Finding::missing;
    result.detail = "not active; the active ones are " + result.detail;
    result.remedy = "add bpf to the list: boot with lsm=" + result.detail +
                    ",bpf; `bpfwarden doctor --fix` shows where";
  } else {
    result.detail = "active among " + result.detail;
  }
  return result;
}

Capability probe_lockdown() {
  const std::string modes = lockdown_modes();
  if (!forbids_kernel_reads(modes))
    return {.name = "lockdown", .detail = modes.empty() ? "none" : modes};
  return {.name = "lockdown",
          .finding = Finding::missing,
          .detail = kLockdownRefusal,
          .remedy = kLockdownHint};
}

Capability probe_bpffs() {
  constexpr long magic = 0xcafe4a11;
  struct statfs where = {};
  if (::statfs("/sys/fs/bpf", &where) == 0 && where.f_type == magic)
    return {.name = "BPF file system", .detail = "mounted at /sys/fs/bpf"};
  return {.name = "BPF file system",
          .finding = Finding::missing,
          .detail = "not mounted",
          .remedy = "run `mount -t bpf bpf /sys/fs/bpf`"};
}

Capability probe_root() {
  if (::geteuid() == 0) return {.name = "privilege", .detail = "root"};
  return {.name = "privilege",
          .finding = Finding::missing,
          .detail = "not root",
          .remedy = "run as root to apply a policy"};
}

Capability probe_signatures(const KernelAbilities& kernel) {
  Capability result = {.name = "signature verification", .detail = verification_text(kernel)};
  switch (kernel.most) {
    case policy::Signature::unsigned_:
      result.finding = Finding::missing;
      result.detail = "nobody verifies signatures on BPF programs here";
      result.remedy = "use Linux 6.12 or later, with CONFIG_SYSTEM_DATA_VERIFICATION";
      break;
    case policy::Signature::prog_only:
      result.finding = Finding::limited;
      result.detail += ", signatures cover the instructions, never a map";
      result.remedy = "use Linux 7.3 or later for rules that ask for prog-used-maps";
      break;
    case policy::Signature::prog_used_maps:
      result.detail += ", bound maps are folded into the signature";
  }
  return result;
}

// Nothing where the kernel has none.
std::optional<Capability> probe_bpf_keyring(const KernelAbilities& kernel) {
  if (!kernel.bpf_keyring) return std::nullopt;
  constexpr const char* name = ".bpf keyring (untested: no such kernel was tried)";
  if (kernel.own_keyring)
    return Capability{.name = name,
                      .detail = "not in force: keyrings of bpfwarden's verify, as elsewhere"};
  Capability result = {.name = name,
                       .finding = Finding::limited,
                       .detail = kBpfKeyringAlone,
                       .remedy = kBpfKeyringHint};
  const auto keys = keys_in_bpf_keyring();
  if (!keys)
    result.detail += "; and " + keys.error().message;
  else if (*keys == 0)
    result.detail += "; .bpf is empty, so nothing is verified in it either";
  else
    result.detail += "; .bpf has " + std::to_string(*keys) + (*keys == 1 ? " key" : " keys");
  return result;
}

Capability probe_signed_policies(const KernelAbilities& kernel) {
  if (kernel.signed_policies)
    return {.name = "signed policies", .detail = "the kernel part can verify them"};
  return {.name = "signed policies",
          .finding = Finding::limited,
          .detail = "there is no bpf_verify_pkcs7_signature()",
          .remedy = "use a kernel with CONFIG_SYSTEM_DATA_VERIFICATION"};
}

Capability probe_attach(const KernelAbilities& kernel) {
  if (kernel.awaits_ends)
    return {.name = "attachments", .detail = "are watched to the end of their call"};
  return {.name = "attachments",
          .finding = Finding::limited,
          .detail =
              "the end of a call cannot be awaited: refused are threads under `detect`, and "
              "links of many targets that no rule admits wherever they go",
          .remedy = "use Linux 6.18 or later"};
}

Capability probe_seal(const KernelAbilities& kernel) {
  if (kernel.seal)
    return {.name = "seal", .detail = "holds; kernel.ftrace_enabled stays as it is then"};
  return {.name = "seal",
          .finding = Finding::limited,
          .detail = "there are no programs of LSM_CGROUP, which guard it",
          .remedy = "use a kernel with CONFIG_CGROUP_BPF"};
}

void append(std::string& list, const char* name) {
  list += (list.empty() ? "" : ", ") + std::string(name);
}

// What the kernel part is attached to: of an LSM hook, the empty function that BPF LSM has for it.
std::string function_of(std::string_view attach_point) {
  const std::string target(attach_point.substr(attach_point.find('/') + 1));
  if (target == "netif_change_name" && !BW_KERNEL_HAS(netif_change_name)) return "dev_change_name";
  return attach_point.starts_with("lsm/") ? "bpf_lsm_" + target : target;
}

Capability probe_hooks() {
  std::set<std::string> lacking_names;  // a function may be hooked twice
  for (const std::string_view attach_point : policy::own_attach_points())
    if (const std::string name = function_of(attach_point); !kernel_has_function(name.c_str()))
      lacking_names.insert(name);
  std::string lacking;
  for (const std::string& name : lacking_names) append(lacking, name.c_str());
  if (lacking.empty()) return {.name = "hooks", .detail = "all in the kernel's BTF"};
  return {.name = "hooks",
          .finding = Finding::missing,
          .detail = "not in the kernel's BTF: " + lacking,
          .remedy =
              "use a kernel with CONFIG_BPF_LSM, CONFIG_SYSTEM_DATA_VERIFICATION and "
              "CONFIG_DEBUG_INFO_BTF, such as Debian's 7.3"};
}

struct Algorithm {
  const char* name;
  keyring::KeyType type;
};
constexpr Algorithm kAlgorithms[] = {{"RSA", keyring::KeyType::rsa_2048},
                                     {"ECDSA P-256", keyring::KeyType::ecdsa_p256},
                                     {"ECDSA P-384", keyring::KeyType::ecdsa_p384},
                                     {"ECDSA P-521", keyring::KeyType::ecdsa_p521}};

Status ask_for(const Algorithm& algorithm) {
  const auto files = keyring::make_key({.common_name = "asked", .type = algorithm.type});
  if (!files) return std::unexpected(files.error());
  const auto* bytes = reinterpret_cast<const uint8_t*>(files->certificate.data());
  const auto parsed = keyring::parse_certificates({bytes, files->certificate.size()}, "asked");
  if (!parsed) return std::unexpected(parsed.error());
  return keyring::ask_kernel_for(parsed->front());
}

Capability probe_digest(const KernelAbilities& kernel) {
  if (kernel.digests)
    return {.name = "program digest", .detail = "SHA-256 of the instructions is kept"};
  return {.name = "program digest",
          .finding = Finding::limited,
          .detail = "the kernel keeps no SHA-256 of a program",
          .remedy = "use Linux 6.18 or later for `digests` and `deny-digests`"};
}

}  // namespace

std::vector<Capability> probe_kernel() {
  std::vector<Capability> found = {probe_root(), probe_lsm(), probe_lockdown(), probe_bpffs()};
  if (!kernel_has_btf()) {
    found.push_back({.name = "kernel BTF",
                     .finding = Finding::missing,
                     .detail = "cannot read /sys/kernel/btf/vmlinux",
                     .remedy = "use a kernel with CONFIG_DEBUG_INFO_BTF=y"});
    return found;
  }
  found.push_back({.name = "kernel BTF", .detail = "/sys/kernel/btf/vmlinux"});
  const KernelAbilities kernel = abilities_of_kernel();
  found.push_back(probe_signatures(kernel));
  if (auto keyring = probe_bpf_keyring(kernel)) found.push_back(std::move(*keyring));
  found.push_back(probe_hooks());
  found.push_back(probe_digest(kernel));
  found.push_back(probe_signed_policies(kernel));
  found.push_back(probe_attach(kernel));
  found.push_back(probe_seal(kernel));
  return found;
}

std::string active_modules() { return first_line(kModules); }

namespace {

// What a refusal means, as far as it can be known.
std::string why_refused(const Trial& trial) {
  switch (trial.error) {
    case EPERM:
      if (is_filtered()) return "run it outside the container: seccomp filters this process";
      return "run as root with CAP_SYS_ADMIN; or another security module forbids bpf(2)";
    case ENOENT:
    case ESRCH:
      return "use a kernel with CONFIG_BPF_LSM";
    case EOPNOTSUPP:
      return "use a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS or its like";
    default:
      return "use a kernel with CONFIG_BPF_SYSCALL, CONFIG_BPF_JIT and CONFIG_BPF_LSM";
  }
}

}  // namespace

Capability probe_by_trying() {
  std::string worked;
  for (const Trial& trial : try_each_kind()) {
    if (trial.error == 0) {
      append(worked, trial.what.c_str());
      continue;
    }
    return {.name = "trial",
            .finding = Finding::missing,
            .detail = trial.what +
                      (trial.was_loaded ? " cannot be attached: " : " cannot be loaded: ") +
                      std::strerror(trial.error),
            .remedy = why_refused(trial)};
  }
  return {.name = "trial", .detail = "attached and taken away again: " + worked};
}

Capability probe_algorithms() {
  std::string verified, lacking;
  for (const Algorithm& algorithm : kAlgorithms)
    append(ask_for(algorithm) ? verified : lacking, algorithm.name);
  Capability result = {.name = "signature algorithms", .detail = verified};
  if (lacking.empty()) return result;
  result.finding = Finding::limited;
  result.detail = (verified.empty() ? "none" : verified) + "; not " + lacking;
  result.remedy = verified.empty()
                      ? "use a kernel with CONFIG_ASYMMETRIC_KEY_TYPE, CONFIG_CRYPTO_RSA and "
                        "CONFIG_CRYPTO_ECDSA, and allow keyctl(2)"
                      : "sign with a key of those, or use a kernel with CONFIG_CRYPTO_ECDSA";
  return result;
}

const Capability* first_missing(const std::vector<Capability>& found) {
  for (const auto& capability : found)
    if (capability.finding == Finding::missing) return &capability;
  return nullptr;
}

}  // namespace bpfwarden::loader
