// One signed program, and what else its signature fits: another type, another hook, other flags.
// The kernel verifies all of them; the rule ties the signer to one attach point.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kFileGuard = R"(
[[rules]]
name = "the file guard"
allow = ["lsm/file_open"]
signed-by = ["netops"]
sleepable = false
)";

struct Replay {
  const char* name;
  uint32_t type;
  uint32_t attach_type = 0;
  const char* target = "";  // a function that BTF names
  uint32_t flags = 0;
};

constexpr Replay kOriginal = {"lsm/file_open", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_file_open"};

constexpr Replay kReplays[] = {
    {"lsm.s/file_open", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_file_open", BPF_F_SLEEPABLE},
    {"lsm/bprm_check_security", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_bprm_check_security"},
    {"lsm/bpf_prog_load", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf_lsm_bpf_prog_load"},
    {"lsm_cgroup/file_open", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, "bpf_lsm_file_open"},
    {"fentry/tcp_v4_connect", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "tcp_v4_connect"},
    {"fexit/tcp_v4_connect", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, "tcp_v4_connect"},
    {"fentry/security_file_open", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "security_file_open"},
    {"fmod_ret/security_file_open", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, "security_file_open"},
    {"fmod_ret/" SYSTEM_CALL("getpgid"), BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN,
     SYSTEM_CALL("getpgid")},
    {"iter/task", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, "bpf_iter_task"},
    {"socket", BPF_PROG_TYPE_SOCKET_FILTER},
    {"kprobe", BPF_PROG_TYPE_KPROBE},
    {"kprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI},
    {"uprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI},
    {"tc", BPF_PROG_TYPE_SCHED_CLS},
    {"tcx/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS},
    {"action", BPF_PROG_TYPE_SCHED_ACT},
    {"tp", BPF_PROG_TYPE_TRACEPOINT},
    {"raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT},
    {"perf_event", BPF_PROG_TYPE_PERF_EVENT},
    {"xdp", BPF_PROG_TYPE_XDP},
    {"xdp/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP},
    {"xdp/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP},
    {"xdp.frags", BPF_PROG_TYPE_XDP, 0, "", BPF_F_XDP_HAS_FRAGS},
    {"cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS},
    {"cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE},
    {"cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
    {"cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE},
    {"cgroup/sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL},
    {"cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
    {"sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
    {"sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT},
    {"sk_skb/verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT},
    {"sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP},
    {"flow_dissector", BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR},
    {"netfilter", BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER},
    {"lwt_xmit", BPF_PROG_TYPE_LWT_XMIT},
    {"syscall", BPF_PROG_TYPE_SYSCALL, 0, "", BPF_F_SLEEPABLE},
};

// The same bytes with the same signature, as something else.
int replay(const Replay& as, const Load& original) {
  Load request = original;
  request.type = as.type;
  request.attach_type = as.attach_type;
  request.btf_id = *as.target != 0 ? function_id(as.target) : 0;
  request.change = [&](bpf_attr& attr) { attr.prog_flags = as.flags; };
  return load(request).error;
}

Load signed_original(const Signer& signer) {
  Load request;
  request.insns = Load::return_value(0);
  return request.signed_by(signer);
}

}  // namespace

TEST_CASE(
    "deny_one_signed_object_wherever_else_the_kernel_would_take_it",
    "[vm][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  const Load original = signed_original(warden.netops());
  warden.apply("audit", kFileGuard);
  std::vector<const Replay*> possible;
  for (const Replay& as : kReplays)
    if (replay(as, original) == 0) possible.push_back(&as);
  CHECK(possible.size() >= 30);
  CHECK(replay(kOriginal, original) == 0);

  warden.apply("enforce", kFileGuard);
  for (const Replay* as : possible) {
    INFO(as->name);
    // A loader is judged by what its key may load (docs/adr/0004): its children are refused.
    const bool is_loader = as->type == BPF_PROG_TYPE_SYSCALL;
    CHECK(replay(*as, original) == (is_loader ? 0 : EPERM));
  }
  CHECK(replay(kOriginal, original) == 0);
}

TEST_CASE(
    "deny_one_signed_object_from_a_key_of_ones_own",
    "[vm][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kFileGuard);
  Load stranger;
  stranger.insns = Load::return_value(0);
  CHECK(replay(kOriginal, stranger) == EPERM);
  CHECK(replay(kOriginal, stranger.signed_by(warden.stranger())) == EPERM);
  CHECK(replay(kOriginal, signed_original(warden.netops())) == 0);
}

TEST_CASE(
    "deny_an_old_signed_object_once_its_digest_is_on_the_list",
    "[vm][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]["
    "kernel:program_digest]") {
  needs_digests();
  Warden warden;
  const Load original = signed_original(warden.netops());
  warden.apply("enforce", kFileGuard);
  CHECK(replay(kOriginal, original) == 0);
  const std::string digest = hex(keyring::sha256(original.insns));
  warden.apply("enforce", "deny-digests = [\"sha256:" + digest + "\"]\n" + kFileGuard);
  CHECK(replay(kOriginal, original) == EPERM);
  Load newer;
  newer.insns = Load::return_value(-EPERM);
  CHECK(replay(kOriginal, newer.signed_by(warden.netops())) == 0);
}

}  // namespace bpfwarden::vm
