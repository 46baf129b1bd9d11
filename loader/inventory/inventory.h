// Every BPF program that is in the kernel now: where it is attached, what holds it, and who vouches
// for it. Listed by the iterators of the kernel part (bpf-lsm/inventory_hooks.bpf.h), so that none
// is missed and no id is guessed; details of links by BPF_OBJ_GET_INFO_BY_FD, attachments without a
// link by asking each place (sighted_*.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/inventory.h"

namespace bpfwarden::loader {

struct Attachment {
  uint32_t link_id = 0;  // 0: attached without a link
  std::string kind;      // "xdp", "perf_event", as bpftool and libbpf name types of links
  std::string attach;    // as a policy writes it: "xdp@eth0", "kprobe/do_unlinkat"
  std::string
      detail;  // "generic", "clsact/ingress pref 49152", "2 sockets of nginx (71)"; may be empty
  std::string network;  // network namespace of the device; empty for the caller's own
};

struct Holder {
  uint32_t pid = 0;
  std::string name;
  std::string unit;  // of systemd; empty: none
};

// Who vouches for it.
enum class Standing : uint8_t {
  admitted,     // by a rule, or by the policy's default
  would_deny,   // the policy says no; audit mode has let it in
  resident,     // there before the warden, or no policy is active
  own,          // of bpfwarden itself
  unexplained,  // after the warden, and unknown to it: this must not be
};

struct ListedProgram {
  bw_listed_program listed = {};
  bw_program admitted = {};  // where the warden has seen its load
  Standing standing = Standing::resident;
  std::string attach;  // what its load fixes: "fentry/tcp_connect", "kprobe/…"
  std::vector<Attachment> attachments;
  std::vector<std::string> pins;  // of the program, or of a link of it
  std::vector<Holder> holders;    // processes with a file descriptor of it, or of a link of it
};

[[nodiscard]] const char* standing_name(Standing standing);

// How many programs of each standing there are now: without a look at links, pins and processes.
// None where no policy is active. Errors: errno of bpf(2).
[[nodiscard]] Result<std::map<Standing, uint64_t>> count_standings();

// Programs from before the first policy. What of them the policy would refuse, were they loaded
// again by root, as far as is known of them: who signed them is not.
struct Residents {
  uint64_t count = 0;
  uint64_t would_deny = 0;
};
// Nothing where no policy is active. Errors: errno of bpf(2).
[[nodiscard]] Result<Residents> count_residents();

// By id. Needs root. Where no policy is active the iterators are loaded for the moment. `missed`,
// if given, takes the places that could not be looked at, and why. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<ListedProgram>> read_inventory(
    std::vector<Error>* missed = nullptr);

}  // namespace bpfwarden::loader
