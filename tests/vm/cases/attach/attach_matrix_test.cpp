// What is decided at attach, as a table of families and routes: a cell is decided where a row of
// attach_routes.h stands for it, which the other tests go through; else it is said here why none
// does. No cell is blank.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <set>

#include "bpf-lsm/abi/event.h"
#include "policy/language/attach_point.h"
#include "policy/text/wording.h"
#include "tests/vm/helpers/attach/attach_routes.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNone = "n/a";          // the kernel attaches none of the family that way
constexpr const char* kAfterwards = "told";   // was attached before: see attach_moved_test.cpp
constexpr const char* kAsOther = "as other";  // it does, and knows them as another family's
constexpr const char* kNoDevice = "no device";
constexpr const char* kAlarm = "alarm";  // by a way that no hook knows: attack/unjudged_test.cpp
constexpr const char* kByMap =
    "by map";  // its descriptor is the map's: attack/made_earlier_test.cpp

using Families = std::vector<std::string_view>;  // a trailing `*` stands for any rest

struct Reason {
  const char* route;
  const char* why;
  Families families;
};

// libbpf's names for kprobes and uprobes at certain places.
const Families kAliases = {"ksyscall", "kretsyscall", "usdt"};

const Families kProbes = {"kprobe", "kretprobe", "uprobe", "uretprobe"};
const Families kMultiProbes = {"kprobe.*", "kretprobe.multi", "uprobe.*", "uretprobe.multi"};
const Families kTracepoints = {"tp", "raw_tp", "raw_tp.w"};
const Families kTrampolines = {"fentry", "fexit", "fsession", "fmod_ret",
                               "tp_btf", "lsm",   "freplace"};
const Families kMultiTrampolines = {"fentry.multi", "fexit.multi", "fsession.multi"};
const Families kOthers = {"iter", "struct_ops", "syscall", "perf_event", "lirc_mode2"};
const Families kSocketSelectors = {"sk_reuseport", "sk_reuseport/migrate"};
const Families kSocketMaps = {"sk_msg", "sk_skb/*"};
const Families kNetworks = {"sk_lookup", "flow_dissector", "netfilter"};
const Families kDevices = {"xdp", "tcx/*", "netkit/*"};
const Families kByNetlink = {"tc", "action", "lwt_*"};
const Families kXdpMaps = {"xdp/devmap", "xdp/cpumap"};
const Families kCgroups = {"cgroup*", "lsm_cgroup", "sockops"};

Families all(std::initializer_list<Families> groups) {
  Families together;
  for (const Families& group : groups) together.insert(together.end(), group.begin(), group.end());
  return together;
}

Families tracing() {
  return all({kProbes, kMultiProbes, kTracepoints, kTrampolines, kMultiTrampolines, kOthers});
}

Families network() {
  return all({kSocketSelectors, kSocketMaps, kNetworks, kDevices, kByNetlink, kXdpMaps, kCgroups});
}

// The first that names a cell is its reason.
std::vector<Reason> reasons() {
  return {
      {"*", kAsOther, kAliases},
      {"device-renamed", kAfterwards, all({kDevices, {"tc"}})},
      {"device-renamed", kNone, {"*"}},
      {"device-moved", kAfterwards, kDevices},
      {"device-moved", kNone, {"*"}},  // tc: its filters do not come along
      {"device-joined", kAfterwards, {"xdp", "tc", "action"}},
      {"device-joined", kNone, {"*"}},
      {"unjudged", kAlarm, {"*"}},
      {"link-create", kByMap, {"struct_ops"}},
      {"link-update", kByMap, {"struct_ops"}},
      {"prog-attach", kNoDevice, {"lirc_mode2"}},
      {"map-update", kNoDevice, {"lirc_mode2"}},
      {"link-create", kNone,
       all({kSocketSelectors,
            kByNetlink,
            kXdpMaps,
            {"socket", "raw_tp", "raw_tp.w", "struct_ops", "syscall", "lirc_mode2"}})},
      {"link-update", kNone,
       all({kProbes,
            kMultiProbes,
            kTracepoints,
            kTrampolines,
            kMultiTrampolines,
            kSocketSelectors,
            kByNetlink,
            kXdpMaps,
            {"socket", "struct_ops", "syscall", "perf_event", "lirc_mode2", "netfilter"}})},
      {"prog-attach", kNone,
       all({tracing(),
            kSocketSelectors,
            kByNetlink,
            kXdpMaps,
            {"socket", "xdp", "sk_lookup", "netfilter"}})},
      {"raw-tracepoint-open", kNone,
       all({kProbes, kMultiProbes, kMultiTrampolines, kOthers, network(), {"tp", "socket"}})},
      {"test-run", kNone,
       all({kProbes,
            kMultiProbes,
            kSocketSelectors,
            kSocketMaps,
            kXdpMaps,
            {"tp", "raw_tp.w", "tp_btf", "lsm", "freplace", "iter", "perf_event", "lirc_mode2",
             "lsm_cgroup", "sockops", "cgroup/*", "lwt_seg6local"}})},
      {"map-update", kNone, {"freplace"}},
      {"perf-event", kNone,
       all({kMultiProbes,
            kTrampolines,
            kMultiTrampolines,
            network(),
            {"socket", "raw_tp", "raw_tp.w", "iter", "struct_ops", "syscall", "lirc_mode2"}})},
      {"ioctl", kNone, all({tracing(), network()})},
      {"setsockopt", kNone,
       all({tracing(), kSocketMaps, kNetworks, kDevices, kByNetlink, kXdpMaps, kCgroups})},
      {"netlink", kNone,
       all({tracing(),
            kSocketSelectors,
            kSocketMaps,
            kNetworks,
            kXdpMaps,
            kCgroups,
            {"socket", "tcx/*", "netkit/*"}})},
      {"iter-create", kNone,
       all({kProbes,
            kMultiProbes,
            kTracepoints,
            kTrampolines,
            kMultiTrampolines,
            network(),
            {"struct_ops", "syscall", "perf_event", "lirc_mode2", "socket"}})},
  };
}

bool names(std::string_view pattern, std::string_view family) {
  if (!pattern.ends_with('*')) return pattern == family;
  return family.starts_with(pattern.substr(0, pattern.size() - 1));
}

const char* reason_for(const std::vector<Reason>& reasons, std::string_view family,
                       std::string_view route) {
  for (const Reason& reason : reasons)
    if (names(reason.route, route) &&
        std::ranges::any_of(reason.families, [&](auto one) { return names(one, family); }))
      return reason.why;
  return nullptr;
}

bool is_alias(std::string_view family) {
  return std::ranges::find(kAliases, family) != kAliases.end();
}

std::vector<std::string> routes() {
  std::vector<std::string> names;
  for (int route = BW_ROUTE_NONE + 1; route <= BW_ROUTE_UNJUDGED; route++)
    names.emplace_back(policy::route_name(static_cast<bw_route>(route)));
  return names;
}

std::string cell(bool is_decided, const char* reason) {
  if (is_decided && reason == nullptr) return "decided";
  return is_decided || reason == nullptr ? "" : reason;
}

}  // namespace

TEST_CASE("deny_or_allow_is_said_of_each_family_and_route",
          "[vm][attach][kernel][kernel:link_attach_type][kernel:netns_link][kernel:sockmap_link]") {
  std::set<std::pair<std::string, std::string>> decided;
  for (const Row& row : all_rows()) decided.insert({row.family, row.route});
  decided.insert({"iter", "iter-create"});  // of a link, not of a program: attach_iterator_test.cpp
  const std::vector<Reason> why_not = reasons();
  std::string text = "\nDecided at attach, by family and route\n\n                         ";
  char column[64];
  for (const std::string& route : routes()) {
    std::snprintf(column, sizeof(column), " %-11.11s", route.c_str());
    text += column;
  }
  for (const policy::AttachFamily& family : policy::attach_families()) {
    const std::string name(family.name);
    std::snprintf(column, sizeof(column), "\n%-25s", name.c_str());
    text += column;
    for (const std::string& route : routes()) {
      const std::string said =
          cell(decided.contains({name, route}), reason_for(why_not, name, route));
      CAPTURE(name, route);
      CHECK_FALSE(said.empty());  // blank, or there is a row of what is said not to be
      std::snprintf(column, sizeof(column), " %-11s", said.c_str());
      text += column;
    }
  }
  std::printf(
      "%s\n\nn/a: not applicable, the kernel attaches none of them that way. as other: not "
      "applicable, what libbpf\ncalls so is a kprobe or a uprobe to the kernel. no device: not "
      "applicable in these guests, which have\nno receiver for infrared, and no KCM.\n",
      text.c_str());
}

TEST_CASE("allow_no_runs_but_those_that_are_decided",
          "[vm][attach][kernel][kernel:fsession][kernel:tracing_multi]") {
  run("bpfwarden off");
  std::set<std::string> decided;
  for (const Row& row : run_rows()) decided.insert(row.family);
  for (const policy::AttachFamily& family : policy::attach_families()) {
    CAPTURE(family.name);
    if (!decided.contains(std::string(family.name)) && !is_alias(family.name))
      CHECK_FALSE(runs(family));
  }
}

}  // namespace bpfwarden::vm
