// Events in JSON, as `bpfwarden events --json` prints them and docs/events.md describes them: the
// only place that knows the names of their members.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/events/event.h"

namespace bpfwarden::loader {

[[nodiscard]] nlohmann::json event_to_json(const Event& event);
// On one line, without its end.
[[nodiscard]] std::string event_line(const Event& event);

// A member that is not there, or null, is not told; one that is not known here is left out. Errors:
// no object, a member of another type or out of range.
[[nodiscard]] Result<Event> event_from_json(const nlohmann::json& object);
// Errors: likewise, and no JSON.
[[nodiscard]] Result<Event> parse_event(std::string_view text);

// The one event that the file holds. Errors: an unreadable file, no event, more than one.
[[nodiscard]] Result<Event> read_event(const std::filesystem::path& path);

}  // namespace bpfwarden::loader
