#include "policy/language/attach_point.h"

#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <vector>

#include "bpf-lsm/abi/image.h"

namespace bpfwarden::policy {
namespace {

using enum Scope;

constexpr AttachFamily none(std::string_view name, uint32_t prog_type, uint32_t attach_type,
                            Scope scope, Place place = Place::none) {
  return {name, prog_type, attach_type, scope, Target::none, place};
}

constexpr AttachFamily at_load(std::string_view name, uint32_t prog_type, uint32_t attach_type,
                               Scope scope = exact, Place place = Place::none) {
  return {name, prog_type, attach_type, scope, Target::load, place};
}

constexpr AttachFamily at_attach(std::string_view name, uint32_t prog_type, uint32_t attach_type,
                                 Scope scope) {
  return {name, prog_type, attach_type, scope, Target::attach, Place::none};
}

constexpr auto kFamilies = std::to_array<AttachFamily>({
    none("socket", BPF_PROG_TYPE_SOCKET_FILTER, 0, rest),
    none("sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT, exact),
    none("sk_reuseport/migrate", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE,
         exact),

    at_attach("kprobe", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("kretprobe", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("uprobe", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("uretprobe", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("ksyscall", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("kretsyscall", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("usdt", BPF_PROG_TYPE_KPROBE, 0, always),
    at_attach("kprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, exact),
    at_attach("kretprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, exact),
    at_attach("kprobe.session", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_SESSION, exact),
    at_attach("uprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, exact),
    at_attach("uretprobe.multi", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, exact),
    at_attach("uprobe.session", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_SESSION, exact),

    none("tc", BPF_PROG_TYPE_SCHED_CLS, 0, rest, Place::device),
    none("tcx/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS, rest, Place::device),
    none("tcx/egress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, rest, Place::device),
    none("netkit/primary", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PRIMARY, rest, Place::device),
    none("netkit/peer", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PEER, rest, Place::device),
    none("action", BPF_PROG_TYPE_SCHED_ACT, 0, rest),

    at_attach("tp", BPF_PROG_TYPE_TRACEPOINT, 0, rest),
    at_attach("raw_tp", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, rest),
    at_attach("raw_tp.w", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, rest),
    at_load("tp_btf", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP),
    at_load("fentry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY),
    at_load("fexit", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT),
    at_load("fmod_ret", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN),
    at_load("fsession", BPF_PROG_TYPE_TRACING, BPF_TRACE_FSESSION),
    at_load("iter", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER),
    at_attach("fentry.multi", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY_MULTI, exact),
    at_attach("fexit.multi", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT_MULTI, exact),
    at_attach("fsession.multi", BPF_PROG_TYPE_TRACING, BPF_TRACE_FSESSION_MULTI, exact),
    at_load("freplace", BPF_PROG_TYPE_EXT, 0),
    at_load("lsm", BPF_PROG_TYPE_LSM, BPF_LSM_MAC),
    at_load("lsm_cgroup", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, exact, Place::cgroup),
    // expected_attach_type is the index of a member of the struct.
    at_load("struct_ops", BPF_PROG_TYPE_STRUCT_OPS, 0, rest),
    none("syscall", BPF_PROG_TYPE_SYSCALL, 0, exact),
    none("perf_event", BPF_PROG_TYPE_PERF_EVENT, 0, rest),

    none("xdp", BPF_PROG_TYPE_XDP, BPF_XDP, rest, Place::device),
    none("xdp/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, exact),
    none("xdp/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, exact),
    none("lwt_in", BPF_PROG_TYPE_LWT_IN, 0, rest),
    none("lwt_out", BPF_PROG_TYPE_LWT_OUT, 0, rest),
    none("lwt_xmit", BPF_PROG_TYPE_LWT_XMIT, 0, rest),
    none("lwt_seg6local", BPF_PROG_TYPE_LWT_SEG6LOCAL, 0, rest),
    none("sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, rest, Place::cgroup),
    none("sk_skb/stream_parser", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER, rest),
    none("sk_skb/stream_verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, rest),
    none("sk_skb/verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT, rest),
    none("sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, rest),
    none("lirc_mode2", BPF_PROG_TYPE_LIRC_MODE2, BPF_LIRC_MODE2, rest),
    none("flow_dissector", BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, rest),
    none("sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, exact),
    none("netfilter", BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER, exact),

    none("cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, rest,
         Place::cgroup),
    none("cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, rest,
         Place::cgroup),
    none("cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, rest, Place::cgroup),
    none("cgroup/sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL, rest, Place::cgroup),
    none("cgroup/getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, exact,
         Place::cgroup),
    none("cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, exact,
         Place::cgroup),
    none("cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, exact,
         Place::cgroup),
    none("cgroup/sock_release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE, exact,
         Place::cgroup),
    none("cgroup/post_bind4", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, exact,
         Place::cgroup),
    none("cgroup/post_bind6", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, exact,
         Place::cgroup),
    none("cgroup/bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, exact,
         Place::cgroup),
    none("cgroup/bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, exact,
         Place::cgroup),
    none("cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, exact,
         Place::cgroup),
    none("cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, exact,
         Place::cgroup),
    none("cgroup/connect_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_CONNECT, exact,
         Place::cgroup),
    none("cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, exact,
         Place::cgroup),
    none("cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, exact,
         Place::cgroup),
    none("cgroup/sendmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_SENDMSG, exact,
         Place::cgroup),
    none("cgroup/recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, exact,
         Place::cgroup),
    none("cgroup/recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, exact,
         Place::cgroup),
    none("cgroup/recvmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_RECVMSG, exact,
         Place::cgroup),
    none("cgroup/getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, exact,
         Place::cgroup),
    none("cgroup/getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, exact,
         Place::cgroup),
    none("cgroup/getpeername_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETPEERNAME,
         exact, Place::cgroup),
    none("cgroup/getsockname4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETSOCKNAME, exact,
         Place::cgroup),
    none("cgroup/getsockname6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETSOCKNAME, exact,
         Place::cgroup),
    none("cgroup/getsockname_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETSOCKNAME,
         exact, Place::cgroup),
});
static_assert(kFamilies.size() <= kMaxFamilies);

// The kernel ignores attach types it does not know, a later kernel may give them a meaning: such a
// load is of no class here, and denied. The index of a struct_ops member has no such end.
constexpr uint32_t attach_types_of(const AttachFamily& family) {
  return family.prog_type == BPF_PROG_TYPE_STRUCT_OPS ? uint32_t{BW_ATTACH_TYPES}
                                                      : uint32_t{__MAX_BPF_ATTACH_TYPE};
}
static_assert(int{__MAX_BPF_PROG_TYPE} <= BW_PROG_TYPES &&
              int{__MAX_BPF_ATTACH_TYPE} <= BW_ATTACH_TYPES);

constexpr bool share_class(const AttachFamily& left, const AttachFamily& right) {
  if (left.prog_type != right.prog_type || left.scope != right.scope) return false;
  return left.scope != exact || left.attach_type == right.attach_type;
}

struct ClassTable {
  std::vector<LoadClass> classes;
  std::array<std::array<uint8_t, BW_ATTACH_TYPES>, BW_PROG_TYPES> of;

  ClassTable();

 private:
  void add(size_t first);
};

ClassTable::ClassTable() : classes(1), of{} {
  for (size_t i = 0; i < kFamilies.size(); i++) {
    const auto shares = [&](const AttachFamily& other) { return share_class(other, kFamilies[i]); };
    if (std::none_of(kFamilies.begin(), kFamilies.begin() + i, shares)) add(i);
  }
}

void ClassTable::add(size_t first) {
  const AttachFamily& family = kFamilies[first];
  const auto number = static_cast<uint8_t>(classes.size());
  LoadClass added = {};
  added.prog_type = family.prog_type;
  if (family.target == Target::load) added.flags |= BW_CLASS_NAMED;
  if (family.prog_type == BPF_PROG_TYPE_SYSCALL) added.flags |= BW_CLASS_LOADER;
  for (size_t i = 0; i < kFamilies.size(); i++) {
    if (share_class(kFamilies[i], family)) added.home.set(i);
    if (kFamilies[i].prog_type == family.prog_type && kFamilies[i].scope == always)
      added.reach.set(i);
  }
  added.reach |= added.home;
  classes.push_back(added);

  auto& row = of[family.prog_type];
  if (family.scope == exact) {
    row[family.attach_type] = number;
    return;
  }
  for (uint32_t type = 0; type < attach_types_of(family); type++) {
    const auto claims = [&](const AttachFamily& other) {
      return other.prog_type == family.prog_type && other.scope == exact &&
             other.attach_type == type;
    };
    if (std::none_of(kFamilies.begin(), kFamilies.end(), claims)) row[type] = number;
  }
}

const ClassTable& table() {
  static const ClassTable instance;
  return instance;
}

}  // namespace

std::span<const AttachFamily> attach_families() { return kFamilies; }

std::optional<size_t> find_family(std::string_view name) {
  for (size_t i = 0; i < kFamilies.size(); i++)
    if (kFamilies[i].name == name) return i;
  return std::nullopt;
}

bool is_uprobe(const FamilySet& families) {
  constexpr std::string_view names[] = {"uprobe", "uretprobe", "uprobe.multi", "uretprobe.multi",
                                        "uprobe.session"};
  return std::ranges::any_of(
      names, [&](std::string_view name) { return families.test(*find_family(name)); });
}

bool has_owned_targets(size_t family) {
  const AttachFamily& one = kFamilies[family];
  switch (one.prog_type) {
    case BPF_PROG_TYPE_TRACING:
      return one.attach_type != BPF_TRACE_ITER;
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
    case BPF_PROG_TYPE_STRUCT_OPS:
      return true;
    default:
      return false;
  }
}

std::string target_in_facts(size_t family, std::string_view target) {
  const bool is_owned =
      has_owned_targets(family) && target.find(':') != std::string_view::npos && target[0] != ':';
  return (is_owned ? ":" : "") + std::string(target);
}

std::string target_of_facts(std::string_view name) {
  return std::string(name.starts_with(':') ? name.substr(1) : name);
}

std::span<const LoadClass> load_classes() { return table().classes; }

uint8_t load_class_of(uint32_t prog_type, uint32_t attach_type) {
  if (prog_type >= BW_PROG_TYPES || attach_type >= BW_ATTACH_TYPES) return BW_CLASS_UNKNOWN;
  return table().of[prog_type][attach_type];
}

std::string describe_attach_point(uint32_t prog_type, uint32_t attach_type, std::string_view name) {
  const uint8_t number = load_class_of(prog_type, attach_type);
  if (number == BW_CLASS_UNKNOWN)
    return "program type " + std::to_string(prog_type) + ", attach type " +
           std::to_string(attach_type);
  const FamilySet& home = load_classes()[number].home;
  const AttachFamily* chosen = nullptr;
  for (size_t i = 0; i < kFamilies.size(); i++) {
    if (!home.test(i)) continue;
    if (!chosen || (kFamilies[i].attach_type == attach_type && chosen->attach_type != attach_type))
      chosen = &kFamilies[i];
  }
  if (!chosen) return "program type " + std::to_string(prog_type);  // no class is without a home
  std::string text(chosen->name);
  if (chosen->target == Target::attach || (chosen->target == Target::load && name.empty()))
    return text + "/" + std::string(kUnknownTarget);
  if (chosen->target == Target::load) text.append("/").append(target_of_facts(name));
  return text;
}

}  // namespace bpfwarden::policy
