// Where a report's facts come from: this machine, or files made on another by `events`,
// `inventory --json` and `status --json`.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/report/report_data.h"

namespace bpfwarden::loader {

struct ReportFiles {
  std::filesystem::path events, inventory, status;  // empty: not given

  // Then nothing of this machine is in the report: it may be about another.
  [[nodiscard]] bool any() const {
    return !events.empty() || !inventory.empty() || !status.empty();
  }
};

struct ReportSpan {
  std::optional<Micros> since, until;
};

struct RecordedEvents {
  EventTable table;  // by time
  Recording recording;
  std::vector<std::string> notes;  // what a reader should know about it
};

// Those of the file, or with an empty path those that this machine has kept and those in its
// kernel. Errors: as of walk_events().
[[nodiscard]] Result<RecordedEvents> read_recorded_events(const std::filesystem::path& path,
                                                          const ReportSpan& span);

// Errors: an unreadable file, no JSON.
[[nodiscard]] Result<nlohmann::json> read_json_file(const std::filesystem::path& path);

// All that a report shows. `status` and `inventory` may be null: not known. Errors: they are
// something else.
[[nodiscard]] Result<nlohmann::json> make_report(const RecordedEvents& events,
                                                 const nlohmann::json& status,
                                                 const nlohmann::json& inventory, size_t most_rows);

}  // namespace bpfwarden::loader
