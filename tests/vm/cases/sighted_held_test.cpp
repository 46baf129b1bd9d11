// Attachments without a link to perf events, sockets and maps; and that one with a link is told as
// that link, once.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <thread>

#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

void set_program(const Fd& event, const Fd& program) {
  REQUIRE(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()) == 0);
}

// As bpftool perf shows it.
std::string probe_text(const json& one) {
  const std::string type = one["fd_type"];
  if (type == "tracepoint") return "tp/sched/" + one["tracepoint"].get<std::string>();
  if (type == "uprobe") return "uprobe/" + one["filename"].get<std::string>() + ":0x1000";
  return type + "/" + one["func"].get<std::string>();
}

json only(const json& attachments) {
  INFO(attachments.dump());
  REQUIRE(attachments.size() == 1);
  return attachments[0];
}

std::string map_text(const char* type, const Fd& map, const char* name) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_map_get_info_by_fd(map.get(), &info, &size) == 0);
  return std::string(type) + " " + std::to_string(info.id) + " " + name;
}

// lo has the index 1 in every namespace.
Fd link_in_blue(const Fd& program) {
  Fd link;
  std::thread([&] {
    const Fd blue(::open("/run/netns/blue", O_RDONLY | O_CLOEXEC));
    if (::setns(blue.get(), CLONE_NEWNET) == 0)
      link = Fd(bpf_link_create(program.get(), 1, BPF_XDP, nullptr));
  }).join();
  REQUIRE(link);
  return link;
}

void check_link(const json& attachment, const Fd& link, const char* type, const char* attach,
                const json& network = {}) {
  INFO(attachment.dump());
  CHECK(attachment["link_id"] == link_id(link));
  CHECK(attachment["link_type"] == type);
  CHECK(attachment["attach"] == attach);
  CHECK(attachment["network_namespace"] == network);
}

}  // namespace

TEST_CASE("allow_perf_events_by_ioctl_to_be_told", "[vm][rollout][inventory]") {
  Places places;
  {
    const Fd kprobe = kprobe_event("tcp_connect"), uprobe = uprobe_event(4096),
             tracepoint = tracepoint_event("sched/sched_switch"), clock = clock_event();
    set_program(kprobe, places.open("on_kprobe"));
    set_program(uprobe, places.open("on_uprobe"));
    set_program(tracepoint, places.open("on_tracepoint"));
    set_program(clock, places.open("on_clock"));
    const Fd again(::fcntl(kprobe.get(), F_DUPFD_CLOEXEC, 0));  // still one attachment
    places.look();
    const json theirs = json_of("bpftool perf show -j");
    CHECK(theirs.size() == 4);  // the duplicate is there as well, the clock is not
    for (const json& one : theirs) {
      CAPTURE(one.dump());
      bool found = false;
      for (const json& ours : places.of_type("perf_event"))
        found = found || (ours["id"] == one["prog_id"] && ours["attach"] == probe_text(one));
      CHECK(found);
    }
    CHECK(places.of_type("perf_event").size() == 4);
    CHECK(only(places.at("on_kprobe"))["attach"] == "kprobe/tcp_connect");
    CHECK(only(places.at("on_clock"))["attach"] == "perf_event");
    CHECK(only(places.at("on_clock"))["link_id"] == 0);
    CHECK(places.program("on_clock")["processes"].at(0)["tgid"] == ::getpid());
  }
  places.look();
  CHECK(places.of_type("perf_event").empty());
  CHECK(places.program("on_clock")["processes"].empty());
}

TEST_CASE("allow_programs_of_sockets_to_be_told", "[vm][rollout][inventory]") {
  Places places;
  const std::string us = " of vm_tests (" + std::to_string(::getpid()) + ")";
  {
    const Fd one = udp_socket(), two = udp_socket(), group = udp_socket();
    set_option(one, SO_ATTACH_BPF, places.open("on_socket").get());
    set_option(two, SO_ATTACH_BPF, places.open("on_socket").get());
    const Fd same(::fcntl(two.get(), F_DUPFD_CLOEXEC, 0));
    sockaddr_in address = {.sin_family = AF_INET};
    set_option(group, SO_REUSEPORT, 1);
    REQUIRE(::bind(group.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    set_option(group, SO_ATTACH_REUSEPORT_EBPF, places.open("on_reuseport").get());
    places.look();
    CHECK(only(places.at("on_socket"))["detail"] == "2 sockets" + us);
    CHECK(only(places.at("on_socket"))["attach"] == "socket");
    CHECK(only(places.at("on_reuseport"))["detail"] == "1 socket" + us);
    CHECK(only(places.at("on_reuseport"))["attach"] == "sk_reuseport");
  }
  places.look();
  CHECK(places.at("on_socket").empty());
  CHECK(places.at("on_reuseport").empty());
}

TEST_CASE("allow_programs_in_maps_to_be_told", "[vm][rollout][inventory]") {
  Places places;
  const std::string programs = std::string("pinned ") + kPinned,
                    maps = std::string("pinned ") + kMaps;
  must("bpftool prog attach " + programs + "/on_message sk_msg_verdict " + maps + "/sockets");
  must("bpftool prog attach " + programs + "/on_stream sk_skb_stream_verdict " + maps + "/sockets");
  const std::string tail_call = " 0 0 0 value " + programs + "/as_filter";
  must("bpftool map update " + maps + "/tail_calls key 1" + tail_call);
  must("bpftool map update " + maps + "/tail_calls key 3" + tail_call);
  const Fd devices = places.open_map("devices"), cpus = places.open_map("cpus"),
           in_devmap = places.open("in_devmap"), in_cpumap = places.open("in_cpumap");
  const uint32_t first = 0;
  const bpf_devmap_val device = {.ifindex = 1, .bpf_prog = {.fd = in_devmap.get()}};
  const bpf_cpumap_val cpu = {.qsize = 64, .bpf_prog = {.fd = in_cpumap.get()}};
  REQUIRE(bpf_map_update_elem(devices.get(), &first, &device, BPF_ANY) == 0);
  REQUIRE(bpf_map_update_elem(cpus.get(), &first, &cpu, BPF_ANY) == 0);
  places.look();
  const std::string sockets = map_text("sockmap", places.open_map("sockets"), "sockets");
  CHECK(only(places.at("on_message"))["attach"] == "sk_msg");
  CHECK(only(places.at("on_message"))["detail"] == sockets);
  CHECK(only(places.at("on_stream"))["attach"] == "sk_skb/stream_verdict");
  CHECK(only(places.at("on_stream"))["detail"] == sockets);
  CHECK(only(places.at("as_filter"))["link_type"] == "prog_array");
  CHECK(only(places.at("as_filter"))["detail"] ==
        "2 entries of " + map_text("prog_array", places.open_map("tail_calls"), "tail_calls"));
  CHECK(only(places.at("in_devmap"))["attach"] == "xdp/devmap");
  CHECK(only(places.at("in_devmap"))["detail"] ==
        "1 entry of " + map_text("devmap", devices, "devices"));
  CHECK(only(places.at("in_cpumap"))["detail"] == "1 entry of " + map_text("cpumap", cpus, "cpus"));

  must("bpftool prog detach " + programs + "/on_message sk_msg_verdict " + maps + "/sockets");
  must("bpftool map delete " + maps + "/tail_calls key 1 0 0 0");
  REQUIRE(bpf_map_delete_elem(devices.get(), &first) == 0);
  places.look();
  CHECK(places.at("on_message").empty());
  CHECK(places.at("in_devmap").empty());
  CHECK(only(places.at("as_filter"))["detail"].get<std::string>().starts_with("1 entry of"));
}

TEST_CASE("allow_struct_ops_to_be_told_with_a_link_and_without", "[vm][rollout][inventory]") {
  Places places;
  must(std::string("bpftool struct_ops register ") + kOwnObjects + "/congestion.bpf.o /sys/fs/bpf");
  places.look();
  const std::vector<json> told = places.of_type("struct_ops");
  size_t with_link = 0;
  for (const json& one : told)
    if (one["link_id"] != 0) with_link++;
  CHECK(told.size() == 6);  // three members, registered as two
  CHECK(with_link == 3);
  CHECK(only(places.at("plain_avoid"))["link_id"] == 0);
  CHECK(only(places.at("linked_avoid"))["link_id"] != 0);
  CHECK(only(places.at("plain_avoid"))["attach"] == places.program("plain_avoid")["attach"]);

  must("bpftool struct_ops unregister name plain");
  must("rm /sys/fs/bpf/linked");
  places.look();
  CHECK(places.of_type("struct_ops").empty());
}

TEST_CASE("allow_each_link_to_be_told_once_and_where_it_is",
          "[vm][rollout][inventory][kernel][kernel:perf_link][kernel:xdp_link]") {
  Places places;
  must("ip netns add blue");
  must("mkdir -p /sys/fs/cgroup/places");
  const Fd cgroup = open_cgroup("/places"), kprobe = kprobe_event("tcp_connect");
  const Fd here = make_link(places.open("on_device"), 1, BPF_XDP),
           there = link_in_blue(places.open("on_device_too")),
           tcx = make_link(places.open("on_tcx"), 1, BPF_TCX_INGRESS),
           traced = make_link(places.open("on_kprobe"), kprobe.get(), BPF_PERF_EVENT),
           device = make_link(places.open("on_cgroup_dev"), cgroup.get(), BPF_CGROUP_DEVICE);
  must(std::string("bpftool cgroup attach /sys/fs/cgroup/places cgroup_device pinned ") + kPinned +
       "/on_cgroup_dev multi");
  places.look();
  check_link(only(places.at("on_device")), here, "xdp", "xdp@lo");
  check_link(only(places.at("on_device_too")), there, "xdp", "xdp@lo", "blue");
  check_link(only(places.at("on_tcx")), tcx, "tcx", "tcx/ingress@lo");
  check_link(only(places.at("on_kprobe")), traced, "perf_event", "kprobe/tcp_connect");
  json both = places.at("on_cgroup_dev");
  INFO(both.dump());
  REQUIRE(both.size() == 2);  // with a link, and without
  if (both[0]["link_id"] == 0) std::swap(both[0], both[1]);
  check_link(both[0], device, "cgroup", "cgroup/dev@/places");
  CHECK(both[1]["link_id"] == 0);
  CHECK(both[1]["attach"] == "cgroup/dev@/places");
}

TEST_CASE("allow_the_iterators_of_the_moment_to_be_our_own", "[vm][rollout][inventory]") {
  run("bpfwarden off");
  Places places;
  places.look();
  CHECK(places.program("list_holders")["standing"] == "bpfwarden");
  CHECK(places.program("on_device")["standing"] == "resident");
}

}  // namespace bpfwarden::vm
