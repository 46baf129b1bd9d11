// Rows of programs whose load names their target.
#include <catch2/catch_test_macros.hpp>
#include <memory>

#include "loader/kernel/syscall.h"
#include "policy/language/attach_point.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/extendable.h"

namespace bpfwarden::vm {
namespace {

struct Traced {
  const char *family, *target;
  bool by_name = true;  // by BPF_RAW_TRACEPOINT_OPEN, which then names nothing
};

constexpr Traced kTraced[] = {
    {"fentry", "tcp_connect"},   {"fexit", "tcp_connect"},
    {"fsession", "tcp_connect"}, {"fmod_ret", "bpf_modify_return_test"},
    {"tp_btf", "sched_switch"},  {"lsm", "file_open"},
    {"iter", "task", false},
};

// Not through libbpf, which tries the other route where one fails.
Attach link_of(uint32_t attach_type) {
  return [=](const Fd& program) {
    bpf_attr attr = {};
    attr.link_create.prog_fd = static_cast<uint32_t>(program.get());
    attr.link_create.attach_type = attach_type;
    return error_of_made(loader::sys_bpf(BPF_LINK_CREATE, attr));
  };
}

Attach open_without_name(Where) {
  return [](const Fd& program) {
    bpf_attr attr = {};
    attr.raw_tracepoint.prog_fd = static_cast<uint32_t>(program.get());
    return error_of_made(loader::sys_bpf(BPF_RAW_TRACEPOINT_OPEN, attr));
  };
}

// Loaded when first needed, which is before there is a policy.
class Lazy {
 public:
  [[nodiscard]] const Extendable& get() {
    if (!made_) made_ = std::make_unique<Extendable>();
    return *made_;
  }

 private:
  std::unique_ptr<Extendable> made_;
};

}  // namespace

std::vector<Row> target_rows() {
  std::vector<Row> rows;
  for (const Traced& traced : kTraced) {
    const std::string family = traced.family, target = traced.target, good = "/" + target;
    const uint32_t type = policy::attach_families()[*policy::find_family(family)].attach_type;
    const auto program = [=] { return load(program_of(family, target)); };
    rows.push_back(
        {family, "link-create", "", good, "", [=](Where) { return link_of(type); }, program});
    if (traced.by_name)
      rows.push_back({family, "raw-tracepoint-open", "", good, "", open_without_name, program});
  }
  const auto host = std::make_shared<Lazy>();
  const auto extension = [=] { return host->get().load_extension(); };
  const auto link = [=](Where) -> Attach {
    return [=](const Fd& program) { return host->get().link(program); };
  };
  rows.push_back({"freplace", "link-create", "", "/replaceable", "", link, extension});
  rows.push_back(
      {"freplace", "raw-tracepoint-open", "", "/replaceable", "", open_without_name, extension});
  return rows;
}

}  // namespace bpfwarden::vm
