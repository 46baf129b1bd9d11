#include "loader/rollout/signed_trial.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "base/fd.h"
#include "keyring/cms.h"
#include "keyring/kernel_keyring.h"
#include "keyring/new_key.h"
#include "keyring/private_key.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/inventory/kernel_lists.h"
#include "loader/kernel/syscall.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kSignedTrial = "signed trial";

using Program = std::array<bpf_insn, 2>;

// `return value;`
Program returning(int value) {
  return {bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
          bpf_insn{.code = BPF_JMP | BPF_EXIT}};
}

// A key in memory, and the certificate of it.
struct ThrowAway {
  keyring::PrivateKey key;
  Certificate certificate;
};

Result<ThrowAway> make_throw_away() {
  auto files = keyring::make_key(
      {.common_name = "bpfwarden doctor", .type = keyring::KeyType::rsa_2048, .days = 1});
  if (!files) return std::unexpected(std::move(files).error());
  auto key = keyring::private_key_in(files->key);
  ::explicit_bzero(files->key.data(), files->key.size());
  if (!key) return std::unexpected(std::move(key).error());
  const auto* bytes = reinterpret_cast<const uint8_t*>(files->certificate.data());
  auto parsed = keyring::parse_certificates({bytes, files->certificate.size()}, "doctor");
  if (!parsed) return std::unexpected(std::move(parsed).error());
  return ThrowAway{std::move(*key), parsed->front()};
}

Result<std::vector<uint8_t>> sign(const Program& program, const ThrowAway& by) {
  return keyring::sign_detached({reinterpret_cast<const uint8_t*>(program.data()), sizeof(program)},
                                by.key, by.certificate);
}

// errno is set where there is no descriptor.
Fd load_signed(const Program& program, std::span<const uint8_t> signature,
               keyring::KeySerial ring) {
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attr.insns = as_u64(program.data());
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  attr.license = as_u64("GPL");
  std::strcpy(attr.prog_name, "bpfwarden_try");
  attr.signature = as_u64(signature.data());
  attr.signature_size = static_cast<uint32_t>(signature.size());
  attr.keyring_id = ring;
  return Fd(sys_bpf(BPF_PROG_LOAD, attr));
}

Capability failed(const std::string& detail, const std::string& remedy) {
  return {.name = kSignedTrial, .finding = Finding::missing, .detail = detail, .remedy = remedy};
}

Capability failed(const Error& error) { return failed(error.message, error.hint); }

constexpr const char* kDistrust =
    "trust no signature on this kernel, and report it: `bpfwarden doctor --json` and `uname -a`";

// Nothing: it is refused, as it must be.
std::optional<Capability> complain_if_loaded(const std::string& what, const Program& program,
                                             const std::vector<uint8_t>& signature,
                                             keyring::KeySerial ring, int expected) {
  const Fd loaded = load_signed(program, signature, ring);
  if (loaded) return failed(what + " is loaded", kDistrust);
  if (errno == expected) return std::nullopt;
  return failed(
      what + " is refused with " + std::strerror(errno) + ", not " + std::strerror(expected),
      "something else than its signature keeps it out: `bpfwarden why` looks for it");
}

uint32_t id_of(const Fd& program) {
  bpf_prog_info info = {};
  bpf_attr attr = {};
  attr.info.bpf_fd = static_cast<uint32_t>(program.get());
  attr.info.info_len = sizeof(info);
  attr.info.info = as_u64(&info);
  return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr) == 0 ? info.id : 0;
}

// In words; nothing where the verdict is another one than `verified`.
std::optional<std::string> verdict_of(const Fd& program) {
  const char* untold = "loaded, its verdict is not told by this kernel";
  constexpr uint32_t verified = 1;  // enum bpf_sig_verdict
  const auto lists = read_kernel_lists();
  if (!lists) return untold;
  const uint32_t id = id_of(program);
  const auto found = std::ranges::find_if(
      lists->programs,
      [&](const bw_listed_program_record& record) { return record.listed.id == id; });
  if (found == lists->programs.end() || (found->listed.flags & BW_LISTED_VERDICT) == 0)
    return untold;
  if (found->listed.verdict != verified) return std::nullopt;
  return "loaded, the kernel's verdict is `verified`";
}

}  // namespace

Capability probe_by_signing() {
  const KernelAbilities kernel = abilities_of_kernel();
  if (kernel.by_kernel == policy::Signature::unsigned_)
    return {.name = kSignedTrial,
            .finding = Finding::limited,
            .detail = "not tried: this kernel verifies no signatures on BPF programs"};
  if (!kernel.own_keyring)
    return {.name = kSignedTrial,
            .finding = Finding::limited,
            .detail = std::string("not tried: ") + kBpfKeyringAlone};
  const auto ours = make_throw_away(), strangers = make_throw_away();
  if (!ours) return failed(ours.error());
  if (!strangers) return failed(strangers.error());
  const auto ring =
      keyring::create_sealed_ring("bpfwarden-doctor", std::span(&ours->certificate, 1));
  if (!ring) return failed(ring.error());
  const Program program = returning(0);
  const auto signature = sign(program, *ours), foreign = sign(program, *strangers);
  if (!signature) return failed(signature.error());
  if (!foreign) return failed(foreign.error());
  const Fd loaded = load_signed(program, *signature, *ring);
  if (!loaded)
    return failed(std::string("a signed program is refused: ") + std::strerror(errno),
                  "use a kernel with CONFIG_SYSTEM_DATA_VERIFICATION");
  const auto verdict = verdict_of(loaded);
  if (!verdict) return failed("the kernel does not call a good signature verified", kDistrust);
  if (auto bad = complain_if_loaded("a program that was changed after it was signed", returning(1),
                                    *signature, *ring, EKEYREJECTED))
    return *bad;
  if (auto bad = complain_if_loaded("a program that a strange key signed", program, *foreign, *ring,
                                    ENOKEY))
    return *bad;
  return {.name = kSignedTrial,
          .detail = "a program signed with a throw-away key was " + *verdict +
                    "; changed after signing, or by another key, it was refused"};
}

}  // namespace bpfwarden::loader
