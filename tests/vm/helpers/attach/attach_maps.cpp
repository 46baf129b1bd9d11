// Rows of programs that are put in a map, that replace another in a link, and that are run once.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "loader/kernel/syscall.h"
#include "policy/language/attach_point.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/struct_ops.h"

namespace bpfwarden::vm {
namespace {

// ---- Maps ---------------------------------------------------------------------------------------

template <class Value>
int update(const Fd& map, const Value& value) {
  const uint32_t first = 0;
  return error_of(bpf_map_update_elem(map.get(), &first, &value, BPF_ANY));
}

Attach tail_call(Where) {
  return [map = make_map(BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t))](const Fd& program) {
    return update(map, program.get());
  };
}

Attach redirect_to_device(Where) {
  return [map = make_map(BPF_MAP_TYPE_DEVMAP, sizeof(bpf_devmap_val))](const Fd& program) {
    return update(map, bpf_devmap_val{.ifindex = 1, .bpf_prog = {.fd = program.get()}});
  };
}

Attach redirect_to_cpu(Where) {
  return [map = make_map(BPF_MAP_TYPE_CPUMAP, sizeof(bpf_cpumap_val))](const Fd& program) {
    return update(map, bpf_cpumap_val{.qsize = 64, .bpf_prog = {.fd = program.get()}});
  };
}

// A target of each family whose load names one.
std::string target_of(const policy::AttachFamily& family) {
  if (family.target != policy::Target::load) return "";
  const std::string_view name = family.name;
  return name == "fmod_ret"     ? "bpf_modify_return_test"
         : name == "tp_btf"     ? "sched_switch"
         : name == "lsm"        ? "file_open"
         : name == "lsm_cgroup" ? kLsmCgroupHook
         : name == "iter"       ? "task"
                                : "bpf_fentry_test1";
}

// What follows the family in a rule that admits its programs wherever they go.
std::string any_place(const policy::AttachFamily& family, const std::string& target) {
  if (!target.empty()) return "/" + target;
  return family.target == policy::Target::attach ? "/*" : "";
}

// libbpf names some probes by what they are for: the kernel knows them as kprobes and uprobes.
bool is_known_as_another(std::string_view family) {
  return family == "ksyscall" || family == "kretsyscall" || family == "usdt";
}

bool fits_in_program_array(std::string_view family) {
  for (const char* const other : {"freplace", "struct_ops", "xdp/devmap", "xdp/cpumap"})
    if (family == other) return false;
  return family != "lirc_mode2" && !is_known_as_another(family);
}

// What a load tells of a probe is that it is one: any of these rules alone does not admit it.
constexpr const char* kAnyProbe = R"("kprobe/*", "kretprobe/*", "uprobe/*", "uretprobe/*")";

Row tail_call_row(const policy::AttachFamily& family) {
  const std::string name(family.name), target = target_of(family);
  const std::string good = any_place(family, target);
  return {name,
          "map-update",
          "prog_array",
          good,
          "",
          tail_call,
          [=] { return load(program_of(name, target)); },
          false,
          family.scope == policy::Scope::always ? kAnyProbe : ""};
}

// ---- Runs ---------------------------------------------------------------------------------------

struct Run {
  const char* family;
  const char* target = "";
  size_t data = 0;
  size_t context = 0;
};

constexpr size_t kPacket = 64;

constexpr Run kRuns[] = {
    {"socket", "", kPacket},
    {"tc", "", kPacket},
    {"tcx/ingress", "", kPacket},
    {"tcx/egress", "", kPacket},
    {"netkit/primary", "", kPacket},
    {"netkit/peer", "", kPacket},
    {"action", "", kPacket},
    {"xdp", "", kPacket},
    {"lwt_in", "", kPacket},
    {"lwt_out", "", kPacket},
    {"lwt_xmit", "", kPacket},
    {"cgroup_skb/ingress", "", kPacket},
    {"cgroup_skb/egress", "", kPacket},
    {"flow_dissector", "", kPacket},
    {"netfilter", "", kPacket},
    {"sk_lookup", "", 0, sizeof(bpf_sk_lookup)},
    {"raw_tp"},
    {"fentry", "bpf_fentry_test1"},
    {"fexit", "bpf_fentry_test1"},
    {"fsession", "bpf_fentry_test1"},
    {"fmod_ret", "bpf_modify_return_test"},
    {"fentry.multi"},
    {"fexit.multi"},
    {"fsession.multi"},
    {"syscall"},
    {"struct_ops", "bpf_dummy_ops", 0, sizeof(uint64_t)},
};

int run_once(const Fd& program, const Run& run) {
  std::array<uint8_t, kPacket> packet = {};
  packet[12] = 8;  // IPv4
  packet[14] = 0x45;
  std::array<uint8_t, sizeof(bpf_sk_lookup)> context = {};
  if (run.context == context.size()) {
    const uint32_t family = AF_INET;
    std::memcpy(context.data() + offsetof(bpf_sk_lookup, family), &family, sizeof(family));
  }
  LIBBPF_OPTS(bpf_test_run_opts, options);
  if (run.data != 0) options.data_in = packet.data();
  options.data_size_in = static_cast<uint32_t>(run.data);
  if (run.context != 0) options.ctx_in = context.data();
  options.ctx_size_in = static_cast<uint32_t>(run.context);
  return error_of(bpf_prog_test_run_opts(program.get(), &options));
}

Row run_row(const Run& run) {
  const std::string family = run.family, target = run.target;
  const std::string good =
      any_place(policy::attach_families()[*policy::find_family(family)], target);
  const auto prepare = [=](Where) -> Attach {
    return [=](const Fd& program) { return run_once(program, run); };
  };
  return {
      family, "test-run", "", good, "", prepare, [=] {
            return load(program_of(family, target)); }};
}

}  // namespace

std::vector<Row> map_rows() {
  std::vector<Row> rows = {
      {"xdp/devmap", "map-update", "devmap", "", "", redirect_to_device},
      {"xdp/cpumap", "map-update", "cpumap", "", "", redirect_to_cpu},
      congestion_row(),
  };
  for (const policy::AttachFamily& family : policy::attach_families())
    if (fits_in_program_array(family.name)) rows.push_back(tail_call_row(family));
  return rows;
}

bool runs(const policy::AttachFamily& family) {
  const Attempt program = load(program_of(family.name, target_of(family)));
  if (program.error != 0) return false;
  const Run ways[] = {{"", "", kPacket}, {"", "", 0, sizeof(bpf_sk_lookup)}, {""}};
  return std::ranges::any_of(ways, [&](const Run& way) { return run_once(program.fd, way) == 0; });
}

std::vector<Row> run_rows() {
  std::vector<Row> rows;
  for (const Run& run : kRuns) rows.push_back(run_row(run));
  return rows;
}

std::vector<Row> update_rows() {
  const auto iterate = [](Where) { return Target(); };
  std::vector<Row> rows = {{"iter", "link-update", "", "/task", "",
                            by_update(iterate, BPF_TRACE_ITER, "iter", "task"),
                            [] { return load(program_of("iter", "task")); }, true}};
  for (auto* const some : {place_update_rows, network_update_rows})
    for (Row& row : some()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace bpfwarden::vm
