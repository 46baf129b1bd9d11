// Programs whose device gets another name, or goes into another network namespace, after they were
// attached: judged again by where they now are, and told of, for they cannot be refused any more.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

// A veth device mv0, a netkit device mv2, and a network namespace.
class Devices {
 public:
  Devices() {
    clear();
    must("ip link add mv0 type veth peer name mv9 && tc qdisc add dev mv0 clsact");
    must("ip link add mv2 type netkit && ip netns add moved");
  }
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;
  ~Devices() { clear(); }

 private:
  static void clear() {
    run("ip link del mv9; ip link del mv2; ip link del mv3; ip netns del moved");
  }
};

int index_of(const char* device) {
  const auto index = static_cast<int>(::if_nametoindex(device));
  REQUIRE(index != 0);
  return index;
}

// With the families that a device can have.
std::string allow_at(const std::string& place, const std::string& more = "") {
  std::string patterns;
  for (const char* family :
       {"xdp", "tc", "tcx/ingress", "tcx/egress", "netkit/primary", "netkit/peer"})
    patterns += (patterns.empty() ? "\"" : ", \"") + std::string(family) + "@" + place + "\"";
  return "[[rules]]\nname = \"here\"\nallow = [" + patterns + "]\nsignature = \"unsigned\"\n" +
         more;
}

struct Attached {
  std::string family;
  Fd program, link;  // no link: attached without one
};

Attached by_link(const std::string& family, bpf_attach_type type, const char* device) {
  Attached made{.family = family, .program = loaded(program_of(family)), .link = Fd()};
  made.link = make_link(made.program, index_of(device), type);
  return made;
}

Attached by_filter(const char* device, bpf_tc_attach_point direction) {
  Attached made{.family = "tc", .program = loaded(program_of("tc")), .link = Fd()};
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = index_of(device), .attach_point = direction);
  LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = made.program.get());
  REQUIRE(bpf_tc_attach(&hook, &filter) == 0);
  return made;
}

// All that mv0 takes.
std::vector<Attached> on_veth() {
  std::vector<Attached> all;
  all.push_back(by_link("xdp", BPF_XDP, "mv0"));
  all.push_back(by_link("tcx/ingress", BPF_TCX_INGRESS, "mv0"));
  all.push_back(by_link("tcx/ingress", BPF_TCX_INGRESS, "mv0"));
  Attached plain{.family = "tcx/egress", .program = loaded(program_of("tcx/egress")), .link = Fd()};
  REQUIRE(bpf_prog_attach_opts(plain.program.get(), index_of("mv0"), BPF_TCX_EGRESS, nullptr) == 0);
  all.push_back(std::move(plain));
  all.push_back(by_filter("mv0", BPF_TC_INGRESS));
  all.push_back(by_filter("mv0", BPF_TC_EGRESS));
  return all;
}

// Each program has one event, whatever the mode: nobody got an errno.
void check_told(Warden& warden, const std::vector<const Attached*>& all, const std::string& route,
                const std::string& place, bool is_allowed, const std::string& mode) {
  const std::vector<json> events = events_of_hook(warden, "attach");
  INFO(json(events).dump());
  CHECK(events.size() == all.size());
  for (const Attached* one : all) {
    json told;
    for (const json& event : events)
      if (event["program_id"] == program_id(one->program)) told = event;
    CAPTURE(one->family);
    REQUIRE_FALSE(told.is_null());
    CHECK(told["attach"] == one->family + "@" + place);
    CHECK(told["route"] == route);
    CHECK(told["decision"] == (is_allowed ? "allow" : "deny"));
    CHECK(told["cause"] == (is_allowed ? "rule" : "default"));
    CHECK(told["rule"] == (is_allowed ? json("here") : json()));
    CHECK(told["refused"] == false);
    CHECK(told["errno"] == 0);
    CHECK(told["mode"] == mode);
    CHECK(told["digest"].is_string());
    CHECK(told["program"] == "scene");
    CHECK(told["comm"] == "ip");
    CHECK(told["exe"].is_string());
    CHECK(told["policy_version"] == warden.version());
  }
}

std::vector<const Attached*> all_of(const std::vector<Attached>& list) {
  std::vector<const Attached*> all;
  for (const Attached& one : list) all.push_back(&one);
  return all;
}

// dev_shutdown() takes the filters of tc away when a device changes its namespace.
std::vector<const Attached*> without_filters(const std::vector<Attached>& list) {
  std::vector<const Attached*> all;
  for (const Attached& one : list)
    if (one.family != "tc") all.push_back(&one);
  return all;
}

std::string moved_place(const std::string& device) {
  struct stat status = {};
  REQUIRE(::stat("/run/netns/moved", &status) == 0);
  return "netns:" + std::to_string(status.st_ino) + "/" + device;
}

uint64_t would_deny() { return json_of("bpfwarden status --json")["counters"]["would_deny"]; }

}  // namespace

TEST_CASE("deny_of_programs_is_told_when_their_device_is_renamed",
          "[vm][attach][kernel][kernel:netkit]") {
  Warden warden;
  for (const std::string mode : {"enforce", "audit"}) {
    const Devices devices;
    warden.apply(mode, allow_at("mv0"));
    const std::vector<Attached> all = on_veth();
    (void)warden.events();
    const uint64_t before = would_deny();
    must("ip link set dev mv0 name mv1");
    check_told(warden, all_of(all), "device-renamed", "mv1", false, mode);
    CHECK(would_deny() == before + all.size());
    CHECK(must("ip link show dev mv1").find("xdp") != std::string::npos);
    must("ip link set dev mv1 name mv0");
    check_told(warden, all_of(all), "device-renamed", "mv0", true, mode);
    CHECK(run("ip link set dev mv0 name mv9").status != 0);
    CHECK(events_of_hook(warden, "attach").empty());
  }
}

TEST_CASE("deny_of_programs_is_told_when_their_device_changes_its_network_namespace",
          "[vm][attach]") {
  Warden warden;
  for (const std::string mode : {"enforce", "audit"}) {
    const Devices devices;
    warden.apply(mode, allow_at("mv0"));
    const std::vector<Attached> all = on_veth();
    (void)warden.events();
    must("ip link set dev mv0 netns moved");
    check_told(warden, without_filters(all), "device-moved", moved_place("mv0"), false, mode);
    must("ip -n moved link set dev mv0 netns 1");
    check_told(warden, without_filters(all), "device-moved", "mv0", true, mode);
  }
}

TEST_CASE("deny_of_programs_at_both_ends_is_told_when_a_netkit_device_is_renamed",
          "[vm][attach][kernel][kernel:netkit]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv2"));
  const Attached primary = by_link("netkit/primary", BPF_NETKIT_PRIMARY, "mv2");
  const Attached peer = by_link("netkit/peer", BPF_NETKIT_PEER, "mv2");
  (void)warden.events();
  must("ip link set dev mv2 name mv3");
  check_told(warden, {&primary, &peer}, "device-renamed", "mv3", false, "enforce");
}

// What is judged before the kernel handles a message must hold when it attaches.
TEST_CASE("deny_to_attach_by_the_name_that_the_same_buffer_changes", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv0"));
  const Fd program = loaded({});
  (void)warden.events();
  for (const Messages messages : {Messages::one, Messages::two}) {
    CHECK(rename_and_attach(program, index_of("mv0"), "mv1", messages) == EPERM);
    const json refused = last_refused_attachment(warden);
    INFO(refused.dump());
    REQUIRE_FALSE(refused.is_null());
    CHECK(refused["attach"] == "xdp");  // at no place that is known
    CHECK(refused["route"] == "netlink");
    CHECK(rename_and_attach(program, index_of("mv0"), nullptr, messages) == 0);
    REQUIRE(bpf_xdp_detach(index_of("mv0"), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  }
}

TEST_CASE("allow_iproute2_to_attach_to_the_device_that_a_rule_names", "[vm][attach]") {
  const char* const pin = "/sys/fs/bpf/moved";
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv0"));
  const Fd program = loaded({});
  REQUIRE(bpf_obj_pin(program.get(), pin) == 0);
  const Ran there = run(std::string("ip link set dev mv0 xdpgeneric pinned ") + pin);
  const Ran elsewhere = run(std::string("ip link set dev mv9 xdpgeneric pinned ") + pin);
  REQUIRE(std::filesystem::remove(pin));
  INFO(there.output << elsewhere.output);
  CHECK(there.status == 0);
  CHECK(elsewhere.status != 0);
  CHECK(last_refused_attachment(warden)["attach"] == "xdp@mv9");
}

TEST_CASE("allow_to_rename_and_attach_by_one_buffer_where_no_place_is_named", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("lo") +
                              "[[rules]]\nname = \"any\"\nallow = [\"xdp\"]\nsignature = "
                              "\"unsigned\"\n");
  const Fd program = loaded({});
  CHECK(rename_and_attach(program, index_of("mv0"), "mv1", Messages::one) == 0);
  REQUIRE(bpf_xdp_detach(index_of("mv1"), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  CHECK(rename_and_attach(program, index_of("mv1"), "mv0", Messages::two) == 0);
}

TEST_CASE("allow_a_device_to_be_renamed_to_what_a_rule_names", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv*"));
  const std::vector<Attached> all = on_veth();
  (void)warden.events();
  must("ip link set dev mv0 name mv1");
  check_told(warden, all_of(all), "device-renamed", "mv1", true, "enforce");
  warden.apply("enforce", allow_at("mv*", "log = false\n"));
  must("ip link set dev mv1 name mv0");
  CHECK(events_of_hook(warden, "attach").empty());
}

TEST_CASE("allow_devices_to_be_renamed_untold_where_nothing_falls_at_attach", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", "[[rules]]\nname = \"all\"\nallow = [\"*\"]\nsignature = \"unsigned\"\n");
  const std::vector<Attached> all = on_veth();
  (void)warden.events();
  must("ip link set dev mv0 name mv1");
  must("ip link set dev mv1 netns moved");
  CHECK(events_of_hook(warden, "attach").empty());
}

TEST_CASE("deny_by_the_staged_policy_is_told_when_a_device_is_renamed", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv*"));
  must("bpfwarden stage " + warden.write_policy("enforce", allow_at("mv0"), warden.version() + 1));
  const Attached xdp = by_link("xdp", BPF_XDP, "mv0");
  (void)warden.events();
  must("ip link set dev mv0 name mv1");
  const std::vector<json> events = events_of_hook(warden, "staged");
  INFO(json(events).dump());
  REQUIRE(events.size() == 1);
  CHECK(events[0]["attach"] == "xdp@mv1");
  CHECK(events[0]["decision"] == "deny");
  CHECK(events[0]["active_decision"] == "allow");
  CHECK(events[0]["route"] == "device-renamed");
}

TEST_CASE("deny_of_a_renamed_device_comes_with_what_to_do", "[vm][attach]") {
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow_at("mv0"));
  const Attached xdp = by_link("xdp", BPF_XDP, "mv0");
  must("ip link set dev mv0 name mv1");
  const std::string why = must("bpfwarden why");
  INFO(why);
  CHECK(why.find("renamed the device of an unsigned program 'scene', now xdp@mv1") !=
        std::string::npos);
  CHECK(why.find("ip link set dev mv1 xdp off") != std::string::npos);
  must("bpftool link detach id " + std::to_string(link_id(xdp.link)));
  CHECK(must("ip link show dev mv1").find("xdp") == std::string::npos);
}

}  // namespace bpfwarden::vm
