// What a report says in numbers: counted here, shown by report_page and by `report --json`.
//
// Denials are what the policy says no to: refused, or let through in audit mode. A staged policy's
// differences are no decisions and are counted apart.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "loader/report/event_table.h"
#include "loader/report/report_timeline.h"

namespace bpfwarden::loader {

using OutcomeCounts = std::array<uint64_t, kOutcomes>;

// Of loads: who vouches ("key:netops"), and the family of the attach point.
using Matrix = std::map<std::pair<std::string, std::string>, OutcomeCounts>;

struct DeniedProgram {
  std::string hook, program, attach, digest;  // these tell programs apart; with its prefix
  std::string vouch, signature, rule, cause;  // as of the last denial
  uint64_t would_deny = 0, refused = 0;
  bool is_probe = false;  // a feature probe (policy/answers/probes.h)
  uint64_t units = 0;     // that started it
  Micros first = 0, last = 0;
};

struct DeniedUnit {
  std::string unit, kind;
  uint64_t would_deny = 0, refused = 0;
  uint64_t programs = 0;
  Micros first = 0, last = 0;
};

struct SeenPolicy {
  uint64_t version = 0;
  std::string digest;  // with its prefix
  uint64_t events = 0;
  OutcomeCounts counts = {};
  Micros first = 0, last = 0;
};

// About the recording itself, so that what is not in it is said.
struct Recording {
  uint64_t received = 0;    // events that the report counts
  uint64_t missing = 0;     // between them, by their sequence numbers
  uint64_t unreadable = 0;  // lines that were no event
  uint64_t outside = 0;     // before --since or after --until
};

struct ReportNumbers {
  Recording recording;
  OutcomeCounts counts = {};
  OutcomeCounts probes = {};   // of these, loads of feature probes
  Micros first = 0, last = 0;  // of the events; both 0 without any
  Matrix matrix;
  std::vector<DeniedProgram> denied_programs;  // most denials first
  std::vector<DeniedUnit> denied_units;        // likewise
  std::vector<SeenPolicy> policies;            // as they came
  Timeline timeline;
};

// `events` by time. What `recording` says of other lines is taken over.
[[nodiscard]] ReportNumbers count_events(const EventTable& events, const Recording& recording);

// Of the longest lists the first `most_rows`, the rest as a sum.
[[nodiscard]] nlohmann::json to_json(const ReportNumbers& numbers, size_t most_rows);

}  // namespace bpfwarden::loader
