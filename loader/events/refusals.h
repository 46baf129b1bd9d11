// What was refused, or would have been: events of the past, those that repeat each other together.
// Plain data; owns what it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/events/event_log.h"

namespace bpfwarden::loader {

struct RefusalGroup {
  Event event;  // the latest
  uint64_t count = 0;
  int64_t first = 0;  // Unix seconds; 0 where an event has no time
  int64_t last = 0;
  uint64_t order = 0;  // of the latest, among all that were added
};

class RefusalLog {
 public:
  // Leaves out what is older than `since` (Unix seconds).
  // With a process: only of this one.
  explicit RefusalLog(int64_t since = 0, uint32_t process = 0) : since_(since), process_(process) {}

  // Oldest first. An event that tells of no refusal is left out.
  void add(const Event& event);

  // The groups with the latest events, the latest first.
  [[nodiscard]] std::vector<RefusalGroup> latest(size_t limit) const;
  [[nodiscard]] size_t size() const { return groups_.size(); }
  [[nodiscard]] size_t probes() const;  // of these, those of feature probes: one a tool

 private:
  int64_t since_;
  uint32_t process_;  // 0: of all
  uint64_t added_ = 0;
  std::unordered_map<std::string, RefusalGroup> groups_;
};

struct RefusalSource {
  std::optional<std::string> file;  // only this one; else what is kept and in the kernel
  int64_t since = 0;
  uint32_t process = 0;  // only of this one; 0: of all
};

struct Refusals {
  RefusalLog log;
  EventWalk walk;  // what was read for it
};

// Without a file: kEventLog where it is there, then what the kernel still has; an event that is in
// both counts once. Errors: as of walk_events(); there is neither a policy nor a file.
[[nodiscard]] Result<Refusals> read_refusals(const RefusalSource& source);

}  // namespace bpfwarden::loader
