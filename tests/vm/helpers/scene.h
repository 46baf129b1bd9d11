// What the tests in the guest and the demo share: keys made on the spot, a policy that is applied
// through the real binary, and loads made by hand with bpf(2), each in one precise way.
//
// Runs as root in a guest only (tests/vm/run). `bpfwarden` and `bpftool` are in the PATH, sample
// objects in kObjects.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "keyring/bundle.h"
#include "keyring/kernel_keyring.h"
#include "keyring/private_key.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::vm {

inline constexpr const char* kObjects = "/opt/bpfwarden/programs";

struct Ran {
  int status = 0;
  std::string output;  // stdout and stderr
};

// Through the shell.
Ran run(const std::string& command);

[[nodiscard]] bool says(const std::string& output, const std::string& text);
[[nodiscard]] bool says(const Ran& ran, const std::string& text);

// What `bpfwarden status --json` prints.
[[nodiscard]] nlohmann::json status();

// What the next boot would bring back is what decides now.
[[nodiscard]] bool is_saved();

// A key with its certificate, in memory and as files, and an open keyring that holds it.
struct Signer {
  explicit Signer(const std::string& name, const test::CertificateOptions& options = {});

  test::TempDir folder;
  std::filesystem::path key_file, certificate_file;
  Certificate certificate;
  keyring::PrivateKey key;
  keyring::KeySerial ring = 0;  // made by this process, as any root process can

  [[nodiscard]] std::vector<uint8_t> sign(const std::vector<uint8_t>& bytes) const;
  [[nodiscard]] std::string options() const;  // "--key FILE --cert FILE"
};

keyring::KeySerial make_ring(const Certificate& certificate);

// The active policy. The hooks are those that are loaded in the guest when the case begins
// (tests/vm/state): nothing was decided by them, and nothing is refused, so programs that are
// loaded before the test's own policy are not residents but admitted. A case that is about
// residents, or about hooks that are loaded or versions that begin, is tagged [bare]: there, the
// first apply() loads the hooks, which takes long. A second Warden of one case finds the hooks of
// the first, put to rest.
class Warden {
 public:
  // What a program of tests does before each: nothing by default.
  static inline void (*on_begin)() = nullptr;

  Warden();
  Warden(const Warden&) = delete;
  Warden& operator=(const Warden&) = delete;
  ~Warden();

  // `rules`, and settings of the policy before them, follow the header; [keys.netops] names the
  // certificate of `netops`. Each call raises the version. Throws with the output if the policy is
  // not accepted.
  void apply(const std::string& mode, const std::string& rules,
             const std::string& fallback = "deny");
  Ran try_apply(const std::string& mode, const std::string& rules, uint64_t version);
  // Such a policy as a file, which is overwritten by the next one.
  std::string write_policy(const std::string& mode, const std::string& rules, uint64_t version);

  // What was decided since the last call.
  std::vector<nlohmann::json> events();

  [[nodiscard]] uint64_t version() const { return version_; }
  // Of a policy that a case applies by itself.
  uint64_t raise_version() { return ++version_; }
  [[nodiscard]] std::string policy_file() const { return folder_.path() / "policy.toml"; }

  const Signer& netops() const { return netops_; }
  const Signer& stranger() const { return stranger_; }
  [[nodiscard]] keyring::KeySerial ring() const;  // bpfwarden's own

 private:
  bool put_to_rest();

  Signer netops_, stranger_;
  test::TempDir folder_;
  uint64_t version_ = 0;
};

// One BPF_PROG_LOAD. By default: an unsigned XDP program that passes every packet.
struct Load {
  uint32_t type = BPF_PROG_TYPE_XDP;
  uint32_t attach_type = 0;
  std::vector<uint8_t> insns = return_value(2);
  std::vector<uint8_t> signature;
  int32_t keyring = 0;
  uint32_t btf_id = 0;
  std::function<void(bpf_attr&)> change;  // last, for what a test is about

  static std::vector<uint8_t> return_value(int32_t value);  // r0 = value; exit
  static Load of_type(uint32_t type, int32_t value = 0);    // that returns this value
  static Load packet_filter();
  Load& signed_by(const Signer& signer, std::optional<keyring::KeySerial> ring = std::nullopt);
};

struct Attempt {
  int error = 0;  // errno; 0 if it went through
  Fd fd;
};

Attempt load(const Load& request);

// What was decided since the last call, by one hook.
std::vector<nlohmann::json> events_of_hook(Warden& warden, const std::string& hook);
// The last attachment that was refused since the last call; null: none was.
nlohmann::json last_refused_attachment(Warden& warden);

// The steps of a light skeleton, one at a time.
struct Skeleton {
  keyring::Bundle bundle;
  uint32_t map_flags = 0;
  uint32_t type = BPF_PROG_TYPE_SYSCALL;
  bool is_signed = true;
  bool is_exclusive = true;  // as far as the kernel has such maps

  Attempt create_map() const;  // exclusive, filled, frozen
  Attempt load_loader(const Fd& map, int32_t keyring) const;
  int run(const Fd& loader) const;  // errno, or what the loader returned
};

keyring::Bundle sign_object(const std::string& object, const Signer& signer);

// Everything at once: 0 or the errno of the step that failed. The programs are gone afterwards.
int load_bundle(const keyring::Bundle& bundle, int32_t keyring);

// BTF id of a kernel function, as attach_btf_id wants it.
uint32_t function_id(const std::string& name);

// What a reboot leaves: no pins, no keyring, the files. Waits until hooks are gone.
void lose_kernel_state();

}  // namespace bpfwarden::vm
