#include "loader/status/canary.h"

#include <linux/bpf.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "loader/kernel/syscall.h"
#include "loader/status/status.h"
#include "policy/image/situation.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kName = "bw_canary";

struct Load {
  const char* attach;
  bpf_prog_type type;
};
constexpr std::array kLoads = {Load{"socket", BPF_PROG_TYPE_SOCKET_FILTER},
                               Load{"xdp", BPF_PROG_TYPE_XDP}, Load{"tc", BPF_PROG_TYPE_SCHED_CLS},
                               Load{"cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE}};

std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  constexpr std::string_view unified = "0::";
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(unified)) return line.substr(unified.size());
  return {};
}

// What the image says to it, loaded by this process.
bw_decision decision_about(const Load& load, const bw_image& image) {
  policy::Situation situation;
  situation.attach = *policy::parse_attach_point(load.attach);
  std::error_code error;
  situation.exe = std::filesystem::read_symlink("/proc/self/exe", error).string();
  situation.cgroup = own_cgroup();
  situation.time = std::time(nullptr);
  situation.is_only_load = true;
  return policy::decide_on(image, situation).load;
}

// 0, or the errno.
int load_program(bpf_prog_type type) {
  constexpr std::array<bpf_insn, 2> returns_zero = {
      {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
       {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}}};
  bpf_attr attr = {};
  attr.prog_type = type;
  attr.insn_cnt = returns_zero.size();
  attr.insns = as_u64(returns_zero.data());
  attr.license = as_u64("GPL");
  std::strncpy(attr.prog_name, kName, sizeof(attr.prog_name) - 1);
  const Fd program(sys_bpf(BPF_PROG_LOAD, attr));
  return program ? 0 : errno;
}

std::unexpected<Error> alarm(const std::string& what) {
  return fail("the canary: " + what,
              "`bpfwarden status` and `bpfwarden doctor` say what is missing");
}

Result<Canary> try_load(const Load& load, bool is_enforced) {
  const auto before = read_counters();
  if (!before) return std::unexpected(before.error());
  const int code = load_program(load.type);
  const auto after = read_counters();
  if (!after) return std::unexpected(after.error());
  const std::string what = std::string("an unsigned ") + load.attach + " program, ";
  if (is_enforced && code != EPERM)
    return alarm(what + "which the policy denies, " +
                 (code == 0 ? "was let in" : std::string("got: ") + std::strerror(code)));
  if (!is_enforced && code != 0)
    return alarm(what + "which audit mode lets through, got: " + std::strerror(code));
  const bool is_counted =
      is_enforced ? after->refused > before->refused : after->would_deny > before->would_deny;
  if (!is_counted) return alarm(what + "which the policy denies, was decided by nobody of ours");
  return Canary{is_enforced ? CanaryResult::refused : CanaryResult::told, load.attach};
}

}  // namespace

std::string canary_text(const Canary& canary) {
  switch (canary.result) {
    case CanaryResult::refused:
      return "canary: a load that it denies was refused (" + canary.attach + ")";
    case CanaryResult::told:
      return "canary: a load that it denies was counted (" + canary.attach + ")";
    case CanaryResult::untested:
      break;
  }
  return "canary: none, the policy denies no load that can be tried";
}

Result<Canary> try_canary(const CompiledPolicy& policy) {
  for (const Load& load : kLoads) {
    const bw_decision decision = decision_about(load, *policy.image);
    if (!decision.allow) return try_load(load, bw_refused(&decision) != 0);
  }
  return Canary{};
}

}  // namespace bpfwarden::loader
