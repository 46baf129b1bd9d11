#include "policy/language/attach_point.h"

#include <linux/bpf.h>

#include <set>

#include <catch2/catch_test_macros.hpp>

#include "bpf-lsm/abi/image.h"
#include "policy/language/attach_pattern.h"

using namespace bpfwarden::policy;

namespace {

std::string error_of(std::string_view text) {
  const auto pattern = parse_attach_pattern(text);
  return pattern ? "" : pattern.error().message;
}

std::string hint_of(std::string_view text) {
  const auto pattern = parse_attach_pattern(text);
  return pattern ? "" : pattern.error().hint;
}

std::set<std::string_view> families_of(std::string_view text) {
  const auto pattern = parse_attach_pattern(text);
  INFO(text << ": " << error_of(text));
  REQUIRE(pattern.has_value());
  std::set<std::string_view> names;
  for (size_t i = 0; i < attach_families().size(); i++)
    if (pattern->families.test(i)) names.insert(attach_families()[i].name);
  return names;
}

std::set<std::string_view> names_in(const FamilySet& families) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < attach_families().size(); i++)
    if (families.test(i)) names.insert(attach_families()[i].name);
  return names;
}

}  // namespace

TEST_CASE("every family is in the class that its own load falls to") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < attach_families().size(); i++) {
    const AttachFamily& family = attach_families()[i];
    INFO(family.name);
    CHECK(names.insert(family.name).second);
    const uint8_t number = load_class_of(family.prog_type, family.attach_type);
    REQUIRE(number != BW_CLASS_UNKNOWN);
    CHECK(load_classes()[number].home.test(i));
    CHECK(load_classes()[number].prog_type == family.prog_type);
  }
  CHECK(load_classes().size() <= BW_CLASSES);
}

TEST_CASE("every program type of Linux 7.3 has a family") {
  for (uint32_t type = BPF_PROG_TYPE_SOCKET_FILTER; type < __MAX_BPF_PROG_TYPE; type++) {
    bool known = false;
    for (const AttachFamily& family : attach_families()) known |= family.prog_type == type;
    INFO(type);
    CHECK(known);
  }
}

TEST_CASE("every attach type of Linux 7.3 is some family's own") {
  // Links that are made from another program type's attach type, or from a map.
  const std::set<uint32_t> others = {BPF_PERF_EVENT, BPF_STRUCT_OPS};
  for (uint32_t type = 0; type < __MAX_BPF_ATTACH_TYPE; type++) {
    bool known = others.contains(type);
    for (const AttachFamily& family : attach_families()) known |= family.attach_type == type;
    INFO(type);
    CHECK(known);
  }
}

TEST_CASE("what BPF_PROG_LOAD cannot tell apart shares a class") {
  const uint8_t tc = load_class_of(BPF_PROG_TYPE_SCHED_CLS, 0);
  CHECK(load_class_of(BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS) == tc);
  CHECK(load_class_of(BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PEER) == tc);
  CHECK(load_class_of(BPF_PROG_TYPE_SCHED_CLS, BPF_XDP) == tc);
  CHECK(load_class_of(BPF_PROG_TYPE_SCHED_ACT, 0) != tc);
  CHECK(load_class_of(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS) ==
        load_class_of(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS));
  CHECK(load_class_of(BPF_PROG_TYPE_SK_SKB, 0) ==
        load_class_of(BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT));
  CHECK(load_class_of(BPF_PROG_TYPE_STRUCT_OPS, 0) == load_class_of(BPF_PROG_TYPE_STRUCT_OPS, 99));
}

TEST_CASE("xdp: devmap and cpumap programs are told apart, all others are xdp") {
  const uint8_t xdp = load_class_of(BPF_PROG_TYPE_XDP, BPF_XDP);
  CHECK(load_class_of(BPF_PROG_TYPE_XDP, 0) == xdp);
  CHECK(load_class_of(BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP) != xdp);
  CHECK(load_class_of(BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP) != xdp);
  CHECK(names_in(load_classes()[xdp].reach) == std::set<std::string_view>{"xdp"});
}

TEST_CASE("a kprobe.multi program can be attached to a plain kprobe by ioctl, not the reverse") {
  const uint8_t plain = load_class_of(BPF_PROG_TYPE_KPROBE, 0);
  const uint8_t multi = load_class_of(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI);
  REQUIRE(plain != multi);
  CHECK(names_in(load_classes()[multi].home) ==
        std::set<std::string_view>{"kprobe.multi", "kretprobe.multi"});
  CHECK(names_in(load_classes()[multi].reach).contains("uprobe"));
  CHECK(load_classes()[plain].reach == load_classes()[plain].home);
  CHECK(names_in(load_classes()[plain].home).size() == 7);
}

TEST_CASE("tracing and LSM programs need an attach type that is known exactly") {
  CHECK(load_class_of(BPF_PROG_TYPE_TRACING, 0) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(BPF_PROG_TYPE_TRACING, BPF_LSM_MAC) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(BPF_PROG_TYPE_LSM, 0) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(BPF_PROG_TYPE_LSM, BPF_LSM_MAC) !=
        load_class_of(BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP));
  const uint8_t fentry = load_class_of(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY);
  CHECK(load_classes()[fentry].flags == BW_CLASS_NAMED);
  const uint8_t multi = load_class_of(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY_MULTI);
  CHECK(load_classes()[multi].flags == 0);
}

TEST_CASE("what this version does not know has no class") {
  CHECK(load_class_of(0, 0) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(BPF_PROG_TYPE_KPROBE, __MAX_BPF_ATTACH_TYPE) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(__MAX_BPF_PROG_TYPE, 0) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(1U << 31, 1U << 31) == BW_CLASS_UNKNOWN);
  CHECK(load_class_of(BPF_PROG_TYPE_SYSCALL, 1) == BW_CLASS_UNKNOWN);
  CHECK(load_classes()[load_class_of(BPF_PROG_TYPE_SYSCALL, 0)].flags == BW_CLASS_LOADER);
}

TEST_CASE("describe_attach_point") {
  CHECK(describe_attach_point(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open") == "lsm/file_open");
  CHECK(describe_attach_point(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "") == "lsm/…");
  CHECK(describe_attach_point(BPF_PROG_TYPE_XDP, 0, "") == "xdp");
  CHECK(describe_attach_point(BPF_PROG_TYPE_KPROBE, 0, "") == "kprobe/…");
  CHECK(describe_attach_point(BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, "") ==
        "uprobe.multi/…");
  CHECK(describe_attach_point(BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, "") == "tcx/egress");
  CHECK(describe_attach_point(BPF_PROG_TYPE_SCHED_CLS, 0, "") == "tc");
  CHECK(describe_attach_point(BPF_PROG_TYPE_STRUCT_OPS, 3, "tcp_congestion_ops") ==
        "struct_ops/tcp_congestion_ops");
  CHECK(describe_attach_point(99, 3, "") == "program type 99, attach type 3");
}

TEST_CASE("patterns: exact, by target prefix, and over several families") {
  CHECK(families_of("xdp") == std::set<std::string_view>{"xdp"});
  CHECK(families_of("tcx/*") == std::set<std::string_view>{"tcx/ingress", "tcx/egress"});
  CHECK(families_of("xdp*") == std::set<std::string_view>{"xdp", "xdp/devmap", "xdp/cpumap"});
  CHECK(families_of("xdp/*") == std::set<std::string_view>{"xdp/devmap", "xdp/cpumap"});
  CHECK(families_of("kprobe/*") == std::set<std::string_view>{"kprobe"});
  CHECK(families_of("fentry*") == std::set<std::string_view>{"fentry", "fentry.multi"});
  CHECK(families_of("*").size() == attach_families().size());
  CHECK(families_of("cgroup/*").size() == 25);

  const auto exact = parse_attach_pattern("lsm/file_open");
  REQUIRE(exact.has_value());
  CHECK(exact->target.match == TargetMatch::exact);
  CHECK(exact->target.text == "file_open");
  const auto prefix = parse_attach_pattern("fentry/tcp_*");
  REQUIRE(prefix.has_value());
  CHECK(prefix->target.match == TargetMatch::prefix);
  CHECK(prefix->target.text == "tcp_");
  CHECK(parse_attach_pattern("fentry/" + std::string(127, 'a')).has_value());
}

TEST_CASE("patterns that are refused, and what to write instead") {
  CHECK(hint_of("lsm.s/file_open") == "write `lsm/file_open`");
  CHECK(hint_of("fentry.s/*") == "write `fentry/*`");
  CHECK(hint_of("fentry.s*") == "write `fentry*`");
  CHECK(hint_of("uprobe.multi.s/*") == "write `uprobe.multi/*`");
  CHECK(hint_of("tracepoint.s/*") == "write `tp/*`");
  CHECK(hint_of("xdp.frags") == "did you mean `xdp`?");
  CHECK(hint_of("xdp.frags/devmap") == "did you mean `xdp/devmap`?");
  CHECK(hint_of("tracepoint/*") == "did you mean `tp/*`?");
  CHECK(hint_of("tracepoint*") == "did you mean `tp*`?");
  CHECK(hint_of("raw_tracepoint.w/*") == "did you mean `raw_tp.w/*`?");
  CHECK(hint_of("classifier") == "did you mean `tc`?");
  CHECK(hint_of("tc/ingress") == "did you mean `tcx/ingress`?");
  CHECK(hint_of("cgroup/sock") == "did you mean `cgroup/sock_create`?");
  CHECK(hint_of("cgroup/skb") == "did you mean `cgroup_skb/*`?");
  CHECK(hint_of("sk_skb") == "did you mean `sk_skb/*`?");
  CHECK(hint_of("fenty/*") == "did you mean `fentry/*`?");
  CHECK(hint_of("fenty/tcp_connect") == "did you mean `fentry/tcp_connect`?");
  CHECK(hint_of("cgroup/conect4") == "did you mean `cgroup/connect4`?");
  CHECK(hint_of("XDP") == "did you mean `xdp`?");
  CHECK(hint_of("fentry") == "write `fentry/*` for every target");
  CHECK(hint_of("lsm/") == "write `lsm/*` for every target");
  CHECK(hint_of("xdp/eth0") == "write `xdp`");
  CHECK(hint_of("lsm/bpf_lsm_file_open") == "write `lsm/file_open`");
  CHECK(hint_of("iter/bpf_iter_*") == "write `iter/*`");
  CHECK(hint_of("iter/bpf_iter_task*") == "write `iter/task*`");
  CHECK(hint_of("tp_btf/btf_trace_sched_switch") == "write `tp_btf/sched_switch`");
  CHECK(hint_of("lsm/nf_tables:file_open") == "write `lsm/file_open`");
  CHECK(hint_of("fentry/:x") ==
        "write `prog:NAME` for a BPF program's, `MODULE:NAME` for a module's");
  CHECK(hint_of("fentry/nf_tables:") == hint_of("fentry/:x"));
  CHECK(hint_of("tp_btf/mod:btf_trace_x") == "write `tp_btf/mod:x`");
  CHECK(error_of("") != "");
  CHECK(error_of("xdp ") != "");
  CHECK(error_of("fentry/tcp_*_v4") != "");
  CHECK(error_of("**") != "");
  CHECK(error_of("fentry/\x01") != "");
  CHECK(error_of("fentry/é") != "");
  CHECK(error_of("fentry/" + std::string(128, 'a')) != "");
  CHECK(error_of("fentry/" + std::string(128, 'a') + "*") != "");
  CHECK(error_of("there-is-no-such-thing-at-all") != "");
}

TEST_CASE("patterns with a place, and targets that are known only at attach") {
  const auto device = parse_attach_pattern("xdp@eth*");
  REQUIRE(device.has_value());
  CHECK(device->target.match == TargetMatch::all);
  CHECK(device->place.match == TargetMatch::prefix);
  CHECK(device->place.text == "eth");
  CHECK(falls_at_attach(*device));
  const auto cgroup = parse_attach_pattern("lsm_cgroup/socket_*@/system.slice/a.service");
  REQUIRE(cgroup.has_value());
  CHECK(cgroup->target.text == "socket_");
  CHECK(cgroup->place.match == TargetMatch::exact);
  CHECK(families_of("tc*@eth0").size() == 3);
  const auto symbol = parse_attach_pattern("kprobe/tcp_*");
  REQUIRE(symbol.has_value());
  CHECK(symbol->target.match == TargetMatch::prefix);
  CHECK(falls_at_attach(*symbol));
  CHECK_FALSE(falls_at_attach(*parse_attach_pattern("kprobe/*")));
  CHECK_FALSE(falls_at_attach(*parse_attach_pattern("lsm/file_open")));
  const auto binary = parse_attach_pattern("uprobe//opt/a@b/bin:main");
  REQUIRE(binary.has_value());
  CHECK(binary->target.text == "/opt/a@b/bin:main");
  CHECK(binary->place.match == TargetMatch::all);
}

TEST_CASE("devices of other network namespaces are named with the number of theirs") {
  for (const char* text : {"xdp@netns:4026532567/eth0", "tc@netns:4026532567/eth*", "xdp@netns:*",
                           "xdp@netns:40*", "xdp@netns:4026532567/*"}) {
    INFO(text);
    CHECK(error_of(text) == "");
  }
  for (const char* text : {"xdp@netns:4026532567", "xdp@netns:4026532567/", "xdp@netns:/eth0",
                           "xdp@netns:blue/eth0", "xdp@netns:1/eth0/1", "xdp@netns:x*",
                           "xdp@netns:4026532567/a-name-that-is-too-long", "xdp@eth0:1"}) {
    INFO(text);
    CHECK(error_of(text).find("names no network device") != std::string::npos);
  }
  // What begins as these do would admit devices of namespaces that anybody can make.
  CHECK(error_of("xdp@n*").find("all devices of other network namespaces") != std::string::npos);
  CHECK(error_of("xdp@netns*").find("all devices of other") != std::string::npos);
  CHECK(error_of("xdp@net0*") == "");
  CHECK(error_of("xdp@net") == "");
  const auto point = parse_attach_point("xdp@netns:4026532567/eth0");
  REQUIRE(point.has_value());
  CHECK(attach_point_text(*point) == "xdp@netns:4026532567/eth0");
}

TEST_CASE("places that are refused") {
  CHECK(error_of("kprobe.multi/*@eth0").find("only at the end") != std::string::npos);
  CHECK(error_of("perf_event@cpu0").find("no place") != std::string::npos);
  CHECK(error_of("xdp*@eth0").find("`xdp/devmap` has no place") != std::string::npos);
  CHECK(error_of("xdp@").find("nothing is said") != std::string::npos);
  CHECK(error_of("xdp@*").find("nothing is said") != std::string::npos);
  CHECK(error_of("xdp@a-name-that-is-too-long") != "");
  CHECK(error_of("xdp@eth0/1") != "");
  CHECK(error_of("xdp@e*0") != "");
  CHECK(error_of("@eth0") != "");
  CHECK(error_of("cgroup/connect4@system.slice") != "");
  CHECK(error_of("cgroup/connect4@/system.slice/") != "");
  CHECK(error_of("cgroup/connect4@/system.slice/*") == "");
  CHECK(error_of("cgroup/connect4@/") == "");
  CHECK(error_of("cgroup/connect4@/" + std::string(127, 'a')) != "");
}

TEST_CASE("one attach point, as explain takes it") {
  const auto lsm = parse_attach_point("lsm/file_open");
  REQUIRE(lsm.has_value());
  CHECK(attach_families()[lsm->family].name == "lsm");
  CHECK(lsm->target == "file_open");
  const auto uprobe = parse_attach_point("uprobe//usr/bin/bash:readline");
  REQUIRE(uprobe.has_value());
  CHECK(uprobe->target == "/usr/bin/bash:readline");
  const auto xdp = parse_attach_point("xdp@eth0");
  REQUIRE(xdp.has_value());
  CHECK(xdp->place == "eth0");
  CHECK(attach_point_text(*xdp) == "xdp@eth0");
  CHECK(attach_point_text(*uprobe) == "uprobe//usr/bin/bash:readline");
  CHECK_FALSE(parse_attach_point("xdp@eth*").has_value());
  CHECK_FALSE(parse_attach_point("perf_event@0").has_value());
  CHECK_FALSE(parse_attach_point("fentry/*").has_value());
  CHECK_FALSE(parse_attach_point("fentry").has_value());
}
