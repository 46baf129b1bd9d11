// Kernel functions, user-space functions and tracepoints that a perf event traces, in the words of
// a policy.
#pragma once

#include <cstdint>
#include <string>

namespace bpfwarden::loader {

struct TracedEvent {
  enum class Kind : uint8_t { kprobe, kretprobe, uprobe, uretprobe, tracepoint, other };
  Kind kind = Kind::other;
  std::string name;      // function, file, or tracepoint without its group
  uint64_t offset = 0;   // in the function or in the file
  uint64_t address = 0;  // of a kprobe that was not placed by name
};

// "kprobe/do_unlinkat+0x4", "uprobe//usr/bin/bash:0x4710", "tp/sched/sched_switch", "perf_event".
[[nodiscard]] std::string event_text(const TracedEvent& event);

}  // namespace bpfwarden::loader
