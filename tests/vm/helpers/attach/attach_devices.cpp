// Rows of programs on network devices, and of all with a cgroup as their place.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>

#include "policy/language/attach_point.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"

namespace bpfwarden::vm {
namespace {

Target device(const char* name) {
  const auto index = static_cast<int>(::if_nametoindex(name));
  REQUIRE(index != 0);
  return {.fd = Fd(), .index = index};
}

Target veth(Where where) { return device(where == Where::good ? "att0" : "att1"); }
Target netkit(Where where) { return device(where == Where::good ? "attk0" : "attk1"); }

Target cgroup(Where where) {
  return {.fd = open_cgroup(where == Where::good ? "/att.good" : "/att.bad")};
}

Attach xdp_by_netlink(Where where) {
  return [target = veth(where)](const Fd& program) {
    const int error =
        error_of(bpf_xdp_attach(target.number(), program.get(), XDP_FLAGS_SKB_MODE, nullptr));
    if (error == 0) REQUIRE(bpf_xdp_detach(target.number(), XDP_FLAGS_SKB_MODE, nullptr) == 0);
    return error;
  };
}

// libbpf speaks netlink by itself.
std::function<Attach(Where)> tc_by_netlink(bpf_tc_attach_point direction) {
  return [=](Where where) -> Attach {
    return [=, target = veth(where)](const Fd& program) {
      LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = target.number(), .attach_point = direction);
      LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program.get());
      const int error = error_of(bpf_tc_attach(&hook, &filter));
      if (error == 0) {
        filter.prog_fd = 0;
        filter.prog_id = 0;
        filter.flags = 0;
        REQUIRE(bpf_tc_detach(&hook, &filter) == 0);
      }
      return error;
    };
  };
}

struct MultiProgram {
  const char* family;
  bpf_attach_type type;
  FindTarget find;
  const char *good, *bad;
};

std::vector<MultiProgram> multi_programs() {
  return {{"tcx/ingress", BPF_TCX_INGRESS, veth, "@att0", "@att1"},
          {"tcx/egress", BPF_TCX_EGRESS, veth, "@att0", "@att1"},
          {"netkit/primary", BPF_NETKIT_PRIMARY, netkit, "@attk0", "@attk1"},
          {"netkit/peer", BPF_NETKIT_PEER, netkit, "@attk0", "@attk1"}};
}

struct OnCgroup {
  std::string family, target, good, bad;
  uint32_t type;
};

std::vector<OnCgroup> cgroup_families() {
  std::vector<OnCgroup> found;
  for (const policy::AttachFamily& family : policy::attach_families()) {
    if (family.place != policy::Place::cgroup) continue;
    const std::string target = family.target == policy::Target::load ? kLsmCgroupHook : "";
    const std::string text = target.empty() ? "" : "/" + target;
    found.push_back({std::string(family.name), target, text + "@/att.good", text + "@/att.bad",
                     family.attach_type});
  }
  return found;
}

std::function<Attempt()> loading(const OnCgroup& on) {
  return [=] { return load(program_of(on.family, on.target)); };
}

}  // namespace

std::vector<Row> device_rows() {
  std::vector<Row> rows = {
      {"xdp", "link-create", "", "@att0", "@att1", by_link(veth, BPF_XDP)},
      {"xdp", "netlink", "", "@att0", "@att1", xdp_by_netlink},
      {"tc", "netlink", "ingress", "@att0", "@att1", tc_by_netlink(BPF_TC_INGRESS)},
      {"tc", "netlink", "egress", "@att0", "@att1", tc_by_netlink(BPF_TC_EGRESS)},
  };
  for (const MultiProgram& one : multi_programs()) {
    rows.push_back({one.family, "link-create", "", one.good, one.bad, by_link(one.find, one.type)});
    rows.push_back(
        {one.family, "prog-attach", "", one.good, one.bad, by_prog_attach(one.find, one.type)});
  }
  return rows;
}

std::vector<Row> cgroup_rows() {
  std::vector<Row> rows;
  for (const OnCgroup& on : cgroup_families()) {
    rows.push_back(
        {on.family, "link-create", "", on.good, on.bad, by_link(cgroup, on.type), loading(on)});
    rows.push_back({on.family, "prog-attach", "", on.good, on.bad,
                    by_prog_attach(cgroup, on.type, BPF_F_ALLOW_MULTI), loading(on)});
  }
  return rows;
}

std::vector<Row> place_update_rows() {
  std::vector<Row> rows = {
      {"xdp", "link-update", "", "@att0", "@att1", by_update(veth, BPF_XDP, "xdp"), {}, true}};
  for (const MultiProgram& one : multi_programs())
    rows.push_back({one.family,
                    "link-update",
                    "",
                    one.good,
                    one.bad,
                    by_update(one.find, one.type, one.family),
                    {},
                    true});
  for (const OnCgroup& on : cgroup_families())
    rows.push_back({on.family, "link-update", "", on.good, on.bad,
                    by_update(cgroup, on.type, on.family, on.target), loading(on), true});
  return rows;
}

}  // namespace bpfwarden::vm
