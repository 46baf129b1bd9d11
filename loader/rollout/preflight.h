// What a policy would refuse of that which runs already, and of that which was recorded: asked
// before it is made active.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/seen_loads.h"
#include "loader/kernel/pins.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

struct WouldRefuse {
  uint32_t program_id = 0;  // 0: recorded, and not known to run now
  std::string name;         // of the program
  std::string attach;       // "fentry/tcp_connect"; of an attachment "xdp@eth0"
  std::string signer;       // as the policy that admitted it calls it; may be empty
  std::string why;          // "rule 'no xdp' (line 7)"
  std::string by;           // recorded: who loaded it
  uint64_t count = 0;       // of events
  int64_t last = 0;         // Unix seconds
  bool is_probe = false;    // a feature probe (policy/answers/probes.h)
};

struct Preflight {
  std::vector<WouldRefuse> running;
  std::vector<WouldRefuse> recorded;  // loads, each kind once
  std::vector<WouldRefuse> probes;    // loads of feature probes, likewise, which are apart
  std::vector<WouldRefuse> attached;  // recorded attachments and runs, likewise
  std::vector<WouldRefuse> revoked;   // of all of these, whose key `next` revokes: as is meant
  size_t residents = 0;               // from before the first policy: their loads were never seen
  std::string unreadable;             // of the recording, in words; empty: all of it was read

  [[nodiscard]] bool is_clean() const {
    return running.empty() && recorded.empty() && probes.empty() && attached.empty();
  }
};

struct PreflightOptions {
  EventSource events;
  bool accept_denials = false;
};

// Decides about each program that the warden has admitted and that is still there, by the facts of
// its load; and about each kind of load and of attachment in the events that went through, unless
// the active policy would refuse it already. An attachment whose load it would refuse is not told
// besides. Errors: errno of bpf(2); a file of events that was named and cannot be
// read.
[[nodiscard]] Result<Preflight> preflight(const CompiledPolicy& next, const EventSource& events);

// Several lines; empty if there is nothing. With a limit, how many more there are.
inline constexpr size_t kListedDenials = 20;
[[nodiscard]] std::string preflight_text(const Preflight& found, size_t limit = kListedDenials);

// Before `next` is made active: an Error with the list where it would refuse something, unless
// that is accepted. What its revocations take away is refused on purpose: that list is returned, to
// be told.
[[nodiscard]] Result<std::string> require_accepted(const CompiledPolicy& next,
                                                   const PreflightOptions& options);

}  // namespace bpfwarden::loader
