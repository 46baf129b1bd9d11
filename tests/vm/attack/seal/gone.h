// What is tried once the links of a sealed host are gone: each route by which a program could be
// loaded, had or made active, with all that it needs from before.
#pragma once

#include <bpf/libbpf.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"

namespace bpfwarden::vm {

struct GoneAttempt {
  std::string name;
  std::move_only_function<int()> attempt;  // errno; 0: it worked
};

using GoneAttempts = std::vector<GoneAttempt>;

// Held since before there was bpfwarden, by a process that is not told of.
struct Held {
  Held();

  Sites sites;
  Fd xdp, filter, tracepoint, lsm_cgroup;                 // programs
  Fd event, socket, group, cgroup, iterator, map, array;  // where they could go, a link, two maps
  std::string bpffs = "/tmp/held-bpffs/";                 // of its own; /pin is a map
};

// Those that must have worked before, and do so again and again.
[[nodiscard]] GoneAttempts attempts_by_hand(const Held& held);
// Of attach_routes.h, with what they attach.
[[nodiscard]] GoneAttempts attempts_by_route();

// All must work, without bpfwarden.
void control_attempts(GoneAttempts& attempts);

// All must be refused, and with them each load, `signed_load` too. Prints a line about each. The
// kernel detaches links from a work queue: until it has come to one, its hook decides as before.
void must_stop(const Load& signed_load, GoneAttempts& attempts);

// Until the attempt is refused. What it ends with.
[[nodiscard]] int settled(const std::function<int()>& attempt);

// The ring of denials, opened while its pin is there.
class Denials {
 public:
  Denials();
  Denials(const Denials&) = delete;
  Denials& operator=(const Denials&) = delete;
  ~Denials();

  // Of which hooks the guard has told since the last call: "hook warden_bpf", …
  [[nodiscard]] std::set<std::string> silent_hooks();

 private:
  Fd map_;
  ring_buffer* ring_ = nullptr;
  std::set<std::string> seen_;
};

}  // namespace bpfwarden::vm
