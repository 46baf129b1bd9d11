// Attachments without a link, on devices and cgroups: told as bpftool tells them, and gone when
// they are. The programs stay pinned throughout, so that only the attachment can make the
// difference.
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "policy/language/attach_point.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

json one_at(const Places& places, const std::string& program) {
  const json at = places.at(program);
  INFO(program << " " << at.dump());
  REQUIRE(at.size() == 1);
  CHECK(at[0]["link_id"] == 0);
  return at[0];
}

// Whether one of them is on this program and has these words; "detail" need only begin so.
bool is_among(const std::vector<json>& told, const json& id, const std::string& attach,
              const std::string& detail, const json& network) {
  return std::ranges::any_of(told, [&](const json& one) {
    return one["id"] == id && one["attach"] == attach && one["link_id"] == 0 &&
           one["network_namespace"] == network &&
           (one["detail"].is_null() ? detail.empty()
                                    : one["detail"].get<std::string>().starts_with(detail));
  });
}

// bpftool knows no namespace but its own.
json net_show(const std::string& network) {
  return json_of(inside(network) + "bpftool net show -j").at(0);
}

// All of bpftool's are told; returns how many there are.
size_t check_xdp(const Places& places, const std::string& network) {
  const json theirs = net_show(network)["xdp"];
  for (const json& one : theirs) {
    CAPTURE(one.dump());
    CHECK(is_among(places.of_type("xdp"), one["id"], "xdp@" + one["devname"].get<std::string>(),
                   one["mode"], network.empty() ? json() : json(network)));
  }
  return theirs.size();
}

size_t check_tc(const Places& places) {
  const json theirs = net_show("")["tc"];
  for (const json& one : theirs) {
    CAPTURE(one.dump());
    const std::string kind = one["kind"], device = one["devname"];
    const bool is_tcx = kind.starts_with("tcx/");
    CHECK(is_among(places.of_type(is_tcx ? "tcx" : "tc"), one[is_tcx ? "prog_id" : "id"],
                   (is_tcx ? kind : "tc") + "@" + device, is_tcx ? "" : kind, {}));
  }
  return theirs.size();
}

void add_devices() {
  must("ip netns add blue");
  must("ip link add places0 type veth peer name places1 netns blue");
}

// Only a process holds that namespace; returns its id.
std::string attach_in_a_namespace_without_a_name(const std::string& program) {
  must("rm -f /tmp/alone");
  must("busybox unshare -n sh -c 'bpftool net attach xdpgeneric pinned " + std::string(kPinned) +
       "/" + program +
       " dev lo && echo $$ > /tmp/alone && exec busybox sleep 600' "
       ">/dev/null 2>&1 &");
  return must(
      "for i in $(seq 300); do [ -s /tmp/alone ] && break; sleep 0.1; done; "
      "tr -d '\\n' < /tmp/alone");
}

// As libbpf names the attach type, which bpftool prints; "lsm_cgroup" for all of those.
std::string family_of(const std::string& attach_type) {
  for (const policy::AttachFamily& family : policy::attach_families())
    if (family.place == policy::Place::cgroup &&
        attach_type == libbpf_bpf_attach_type_str(static_cast<bpf_attach_type>(family.attach_type)))
      return std::string(family.name);
  return "unknown " + attach_type;
}

size_t check_cgroups(const Places& places) {
  size_t count = 0;
  for (const json& cgroup : json_of("bpftool cgroup tree -j")) {
    const std::string path =
        cgroup["cgroup"].get<std::string>().substr(std::strlen("/sys/fs/cgroup"));
    for (const json& one : cgroup["programs"]) {
      CAPTURE(one.dump(), path);
      std::string family = family_of(one["attach_type"]);
      if (family == "lsm_cgroup") family += "/socket_bind";
      const std::string flags = one["attach_flags"];
      CHECK(is_among(places.of_type("cgroup"), one["id"],
                     family + "@" + (path.empty() ? "/" : path),
                     flags.empty() ? "exclusive" : flags, {}));
      count++;
    }
  }
  return count;
}

void cgroup(const std::string& verb, const std::string& path, const std::string& type,
            const std::string& program, const std::string& flags = "") {
  must("bpftool cgroup " + verb + " /sys/fs/cgroup" + path + " " + type + " pinned " + kPinned +
       "/" + program + " " + flags);
}

}  // namespace

TEST_CASE("allow_xdp_by_netlink_to_be_told_in_each_network_namespace", "[vm][rollout][inventory]") {
  Places places;
  places.look();
  REQUIRE(places.of_type("xdp").empty());
  add_devices();
  attach("xdpgeneric", "on_device", "dev lo");
  attach("xdpdrv", "on_device", "dev places0");
  attach("xdpgeneric", "on_device_too", "dev lo", "blue");
  attach("xdpdrv", "on_device_too", "dev places1", "blue");
  const std::string pid = attach_in_a_namespace_without_a_name("on_device_too");
  places.look();
  CHECK(check_xdp(places, "") == 2);
  CHECK(check_xdp(places, "blue") == 2);
  CHECK(places.of_type("xdp").size() == 5);
  const std::string inode = must("busybox readlink /proc/" + pid + "/ns/net | tr -d '\\n'");
  CHECK(is_among(places.of_type("xdp"), places.id("on_device_too"), "xdp@lo", "generic",
                 inode + " of busybox (" + pid + ")"));

  must("kill " + pid);
  must("bpftool net detach xdpgeneric dev lo");
  must("ip link del places0");
  must("ip netns del blue");
  places.look();
  CHECK(places.of_type("xdp").empty());
  CHECK(places.at("on_device").empty());
  CHECK(places.at("on_device_too").empty());
}

TEST_CASE("allow_tc_filters_actions_and_tcx_to_be_told", "[vm][rollout][inventory]") {
  Places places;
  add_devices();
  const auto pinned = [](const char* name) {
    return std::string(" object-pinned ") + kPinned + "/" + name;
  };
  must("tc qdisc add dev places0 clsact");
  must("tc qdisc replace dev places0 root handle 1: fq_codel");
  must("tc filter add dev places0 ingress pref 7 bpf da" + pinned("as_filter"));
  must("tc filter add dev places0 parent 1: bpf da" + pinned("as_filter"));
  must("tc filter add dev places0 egress bpf" + pinned("as_filter_too") + " action bpf" +
       pinned("as_action"));
  attach("tcx_ingress", "on_tcx", "dev places0");
  places.look();
  CHECK(check_tc(places) == 4);
  CHECK(places.of_type("tc").size() == 3);
  CHECK(places.of_type("tcx").size() == 1);
  CHECK(is_among(places.of_type("tc"), places.id("as_filter"), "tc@places0",
                 "clsact/ingress pref 7", {}));
  const json bound = one_at(places, "as_action");
  CHECK(bound["attach"] == "action");
  CHECK(bound["detail"].get<std::string>().find("bpf on places0 clsact/egress") !=
        std::string::npos);

  must("tc filter del dev places0 egress");
  must("tc actions add action bpf" + pinned("as_action"));
  must("bpftool net detach tcx_ingress dev places0");
  places.look();
  CHECK(check_tc(places) == 2);
  CHECK(places.at("as_filter_too").empty());
  CHECK(places.at("on_tcx").empty());
  CHECK(one_at(places, "as_action")["detail"].get<std::string>().ends_with("on no filter"));

  must("ip link del places0");
  must("tc actions flush action bpf");
  places.look();
  CHECK(places.at("as_filter").empty());
  CHECK(places.at("as_action").empty());
}

TEST_CASE("allow_cgroup_programs_to_be_told_where_they_were_attached", "[vm][rollout][inventory]") {
  Places places;
  must("mkdir -p /sys/fs/cgroup/places/inner");
  cgroup("attach", "", "cgroup_device", "on_cgroup_dev", "multi");
  cgroup("attach", "/places", "cgroup_inet_egress", "on_egress", "override");
  cgroup("attach", "/places", "cgroup_sock_ops", "on_sockops", "multi");
  cgroup("attach", "/places", "lsm_cgroup", "on_bind", "multi");
  cgroup("attach", "/places/inner", "cgroup_inet4_connect", "on_connect");
  cgroup("attach", "/places/inner", "cgroup_device", "on_cgroup_dev", "multi");
  places.look();
  CHECK(check_cgroups(places) == 6);
  CHECK(places.of_type("cgroup").size() == 6);
  CHECK(places.at("on_cgroup_dev").size() == 2);
  CHECK(one_at(places, "on_bind")["attach"] == "lsm_cgroup/socket_bind@/places");
  // In effect in /places/inner as well, and not told there.
  CHECK(one_at(places, "on_egress")["attach"] == "cgroup_skb/egress@/places");
  CHECK(must("bpftool cgroup show /sys/fs/cgroup/places/inner effective").find("on_egress") !=
        std::string::npos);

  cgroup("detach", "", "cgroup_device", "on_cgroup_dev");
  cgroup("detach", "/places", "cgroup_inet_egress", "on_egress");
  must("rmdir /sys/fs/cgroup/places/inner");
  places.look();
  CHECK(places.at("on_egress").empty());
  CHECK(places.of_type("cgroup").size() == 2);
  cgroup("detach", "/places", "cgroup_sock_ops", "on_sockops");
  cgroup("detach", "/places", "lsm_cgroup", "on_bind");
  places.look();
  CHECK(places.of_type("cgroup").empty());
}

TEST_CASE("allow_flow_dissectors_to_be_told", "[vm][rollout][inventory]") {
  Places places;
  must(std::string("bpftool prog attach pinned ") + kPinned + "/dissect flow_dissector");
  places.look();
  const json dissector = one_at(places, "dissect");
  CHECK(dissector["attach"] == "flow_dissector");
  CHECK(dissector["network_namespace"].is_null());
  // As JSON this part of bpftool 7.8 cannot be parsed.
  CHECK(must("bpftool net show").find("flow_dissector:\nid " + places.id("dissect").dump()) !=
        std::string::npos);
  must(std::string("bpftool prog detach pinned ") + kPinned + "/dissect flow_dissector");
  places.look();
  CHECK(places.at("dissect").empty());
}

}  // namespace bpfwarden::vm
