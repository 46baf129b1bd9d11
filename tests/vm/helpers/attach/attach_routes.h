// The ways in which a program becomes active, as a table: one row for each family of
// policy/language/attach_point.cpp and each route by which its programs can be attached, run or put
// in a map. The tests of decisions at attach go through it, and the matrix that they print is made
// of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "policy/language/attach_point.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// Attaches a program where it was made ready for, and takes it away again. 0, or errno. What was
// made ready goes with the object.
using Attach = std::move_only_function<int(const Fd& program)>;

enum class Where : uint8_t { good, bad };

struct Row {
  std::string family;  // as a policy names it
  std::string route;   // as events name it
  std::string how;     // where one route has several ways; else empty
  std::string good;    // what follows the family where the policy allows it: "@att0"
  std::string bad;     // and where it does not; empty: nowhere, a rule is `load-only` instead
  std::function<Attach(Where)> prepare;
  std::function<Attempt()> program;  // loads it; empty: the family's plain one
  bool is_early = false;             // prepared before there is a policy, as what it updates
  std::string pattern;               // of the rule, where it is not `family` and `good`
};

[[nodiscard]] std::string name_of(const Row& row);     // "xdp, link-create (how)"
[[nodiscard]] std::string pattern_of(const Row& row);  // quoted, for a rule
[[nodiscard]] Attempt load(const Row& row);

// Whether this kernel knows programs of the family; to another, loading them is EINVAL.
[[nodiscard]] bool is_known_here(const Row& row);

[[nodiscard]] std::vector<Row> device_rows();   // xdp, tc, tcx, netkit
[[nodiscard]] std::vector<Row> cgroup_rows();   // all with a cgroup as their place
[[nodiscard]] std::vector<Row> probe_rows();    // targets known only at attach
[[nodiscard]] std::vector<Row> target_rows();   // targets known at load
[[nodiscard]] std::vector<Row> network_rows();  // sockets, namespaces, routes, actions: no place
[[nodiscard]] std::vector<Row> update_rows();   // link-update, whatever the family
[[nodiscard]] std::vector<Row> map_rows();      // map-update, whatever the family
[[nodiscard]] std::vector<Row> run_rows();      // test-run, whatever the family
[[nodiscard]] std::vector<Row> all_rows();

// Whether the kernel runs a program of the family once, by BPF_PROG_TEST_RUN.
[[nodiscard]] bool runs(const policy::AttachFamily& family);

// Of update_rows(): those of devices and cgroups, and those of the network that have no place.
[[nodiscard]] std::vector<Row> place_update_rows();
[[nodiscard]] std::vector<Row> network_update_rows();

// What rows attach to: devices att0 and att1, attk0 and attk1 of netkit, cgroups /att.good and
// /att.bad. Gone with the object.
class Sites {
 public:
  // Without a program of LSM_CGROUP where none may be.
  explicit Sites(bool keeps_shim = true);
  Sites(const Sites&) = delete;
  Sites& operator=(const Sites&) = delete;
  ~Sites();

 private:
  // An lsm_cgroup program that stays attached. When the last one of a hook goes, its shim in the
  // trampoline goes later, by a workqueue; kernels without 56145d237385 (CVE-2026-23319),
  // as 6.18.15, give the dying shim to a program that is attached meanwhile, and free it twice.
  Fd keeps_shim_;
};

inline constexpr const char* kLsmCgroupHook = "socket_bind";  // of all lsm_cgroup programs here

// A program of the family that does nothing. `target` is of those families whose load names one.
[[nodiscard]] Load program_of(std::string_view family, const std::string& target = "");
[[nodiscard]] Fd loaded(const Load& request);  // which must go through

// What a link or an attachment is made to: a file descriptor of ours, or a number.
struct Target {
  Fd fd;
  int index = 0;

  [[nodiscard]] int number() const { return fd ? fd.get() : index; }
};
using FindTarget = std::function<Target(Where)>;

// Of the last call that returned `result`: 0, or errno.
[[nodiscard]] int error_of(int result);

// Likewise of a call that makes a file descriptor, which is closed.
[[nodiscard]] int error_of_made(int fd);

[[nodiscard]] std::function<Attach(Where)> by_link(const FindTarget& find, uint32_t attach_type);
[[nodiscard]] std::function<Attach(Where)> by_prog_attach(const FindTarget& find,
                                                          uint32_t attach_type, uint32_t flags = 0);
// The link is there before, with a program of its own.
[[nodiscard]] std::function<Attach(Where)> by_update(const FindTarget& find, uint32_t attach_type,
                                                     const std::string& family,
                                                     const std::string& target = "");

}  // namespace bpfwarden::vm
