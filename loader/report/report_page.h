// One self-contained HTML page of a report: style, script and data are in it, and its
// Content-Security-Policy lets nothing else in, neither from a network nor from the data.
//
// Texts from programs and users are hostile: they reach the page only through escape_html(),
// script_json() or, compressed, as base64, and the script puts them into text nodes alone.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/report/event_table.h"

namespace bpfwarden::loader {

// Where a recording is longer, or so varied that the page would not stay this small, the numbers
// still count all events; of those to look at, denials and rejections go first, then the newest.
inline constexpr size_t kMostEventsInPage = 100'000;
inline constexpr size_t kMostBytesInPage = size_t{5} << 20;
inline constexpr size_t kMostRowsInPage = 200;

struct ReportPage {
  std::string title;
  std::string summary;  // for a browser without scripts
};

// `report`: what the script shows. Errors: no memory to compress in.
[[nodiscard]] Result<std::string> render_page(const ReportPage& page, const nlohmann::json& report,
                                              const EventTable& events);

// The events in columns, as loader/report/page/data.js reads them.
[[nodiscard]] nlohmann::json events_to_columns(const EventTable& events, size_t most);

[[nodiscard]] std::string escape_html(std::string_view text);
// JSON that no HTML parser takes for markup: < > & are \u escapes.
[[nodiscard]] std::string script_json(const nlohmann::json& value);

}  // namespace bpfwarden::loader
