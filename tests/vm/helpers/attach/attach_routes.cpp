#include "tests/vm/helpers/attach/attach_routes.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <stdexcept>

#include "loader/btf/kernel_has.h"
#include "policy/language/attach_point.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

// Each command of it says what it has to say to the caller alone.
std::string group(const std::string& commands) { return "(" + commands + ")"; }

void clear() {
  run(group("ip link del att0; ip link del attk0; ip link del attk1; tc actions flush action bpf"));
  run("rmdir /sys/fs/cgroup/att.good/inner /sys/fs/cgroup/att.good /sys/fs/cgroup/att.bad "
      "/sys/fs/cgroup/att.kept");
}

// What the kernel accepts, and what harms nobody who passes by meanwhile.
int32_t harmless(std::string_view family) {
  if (family.starts_with("xdp")) return 2;
  const auto& found = policy::attach_families()[*policy::find_family(family)];
  if (found.place == policy::Place::cgroup) return 1;
  for (const char* const pass : {"sk_", "netfilter", "socket"})
    if (family.starts_with(pass)) return 1;
  return 0;
}

uint32_t btf_id(const std::string& name, uint32_t kind) {
  static btf* const kernel = btf__load_vmlinux_btf();
  const int id = btf__find_by_name_kind(kernel, name.c_str(), kind);
  if (id < 0) throw std::runtime_error("no BTF for " + name);
  return static_cast<uint32_t>(id);
}

uint32_t target_id(std::string_view family, const std::string& target) {
  if (family == "tp_btf") return btf_id("btf_trace_" + target, BTF_KIND_TYPEDEF);
  if (family == "struct_ops") return btf_id(target, BTF_KIND_STRUCT);
  if (family == "iter") return function_id("bpf_iter_" + target);
  return function_id((family.starts_with("lsm") ? "bpf_lsm_" : "") + target);
}

}  // namespace

std::string name_of(const Row& row) {
  return row.family + ", " + row.route + (row.how.empty() ? "" : " (" + row.how + ")");
}

std::string pattern_of(const Row& row) {
  return row.pattern.empty() ? "\"" + row.family + row.good + "\"" : row.pattern;
}

Attempt load(const Row& row) { return row.program ? row.program() : load(program_of(row.family)); }

bool is_known_here(const Row& row) {
  if (row.family == "fsession") return BW_KERNEL_HAS(fsession);
  if (row.family == "fentry.multi" || row.family == "fexit.multi")
    return BW_KERNEL_HAS(tracing_multi);
  if (row.family == "fsession.multi") return BW_KERNEL_HAS(tracing_multi);
  return true;
}

Fd loaded(const Load& request) {
  Attempt attempt = load(request);
  REQUIRE(attempt.error == 0);
  return std::move(attempt.fd);
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (auto* const some : {device_rows, cgroup_rows, probe_rows, target_rows, network_rows,
                           update_rows, map_rows, run_rows})
    for (Row& row : some()) rows.push_back(std::move(row));
  return rows;
}

Sites::Sites(bool keeps_shim) {
  clear();
  must("ip link add att0 type veth peer name att1 && ip link set att0 up && ip link set att1 up");
  must("tc qdisc add dev att0 clsact && tc qdisc add dev att1 clsact");
  must("ip link add attk0 type netkit && ip link add attk1 type netkit");
  must(
      "mkdir -p /sys/fs/cgroup/att.good/inner /sys/fs/cgroup/att.bad "
      "/sys/fs/cgroup/att.kept");
  if (!keeps_shim) return;
  keeps_shim_ = make_link(loaded(program_of("lsm_cgroup", kLsmCgroupHook)),
                          open_cgroup("/att.kept").get(), BPF_LSM_CGROUP);
}

Sites::~Sites() { clear(); }

Load program_of(std::string_view family, const std::string& target) {
  const auto number = policy::find_family(family);
  if (!number) throw std::runtime_error("no family " + std::string(family));
  const policy::AttachFamily& found = policy::attach_families()[*number];
  Load request = Load::of_type(found.prog_type, harmless(family));
  request.attach_type = found.attach_type;
  if (!target.empty()) request.btf_id = target_id(family, target);
  if (family == "syscall")
    request.change = [](bpf_attr& attr) { attr.prog_flags = BPF_F_SLEEPABLE; };
  return request;
}

int error_of(int result) { return result < 0 ? errno : 0; }

int error_of_made(int fd) {
  const int error = error_of(fd);
  const Fd owned(fd);
  return error;
}

std::function<Attach(Where)> by_link(const FindTarget& find, uint32_t attach_type) {
  return [=](Where where) -> Attach {
    return [=, target = find(where)](const Fd& program) {
      return error_of_made(bpf_link_create(program.get(), target.number(),
                                           static_cast<bpf_attach_type>(attach_type), nullptr));
    };
  };
}

std::function<Attach(Where)> by_prog_attach(const FindTarget& find, uint32_t attach_type,
                                            uint32_t flags) {
  const auto type = static_cast<bpf_attach_type>(attach_type);
  return [=](Where where) -> Attach {
    return [=, target = find(where)](const Fd& program) {
      const int error = error_of(bpf_prog_attach(program.get(), target.number(), type, flags));
      if (error == 0) REQUIRE(bpf_prog_detach2(program.get(), target.number(), type) == 0);
      return error;
    };
  };
}

std::function<Attach(Where)> by_update(const FindTarget& find, uint32_t attach_type,
                                       const std::string& family, const std::string& target) {
  return [=](Where where) -> Attach {
    Target place = find(where);
    const Attempt first = load(program_of(family, target));
    REQUIRE(first.error == 0);
    Fd link = make_link(first.fd, place.number(), static_cast<bpf_attach_type>(attach_type));
    return [link = std::move(link), place = std::move(place)](const Fd& program) {
      return error_of(bpf_link_update(link.get(), program.get(), nullptr));
    };
  };
}

}  // namespace bpfwarden::vm
