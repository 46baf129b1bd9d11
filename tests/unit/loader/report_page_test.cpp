// A page that holds hostile texts and stays a page.
#include "loader/report/report_page.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/report/report_assets.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr const char* kHostile = "</script><img src=x onerror=alert(1)>{{EVENTS}}<!--";

EventTable events(size_t count, bool is_denied = false) {
  EventTable table;
  for (size_t i = 1; i <= count; i++)
    REQUIRE(table.add(event_of({{"sequence", i},
                                {"wall_time", 1'700'000'000 + i},
                                {"hook", "bpf_prog_load"},
                                {"decision", is_denied || i == 1 ? "deny" : "allow"},
                                {"program", kHostile},
                                {"tgid", i}})));
  return table;
}

size_t occurrences(std::string_view text, std::string_view what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
    count++;
  return count;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("texts for HTML have no markup and no control characters") {
  CHECK(escape_html("<a href=\"x\" b='y'>&amp;") ==
        "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
  CHECK(escape_html(std::string_view("a\0b\x1b[2J\x7f\n", 9)) == "a?b?[2J??");
}

TEST_CASE("JSON for a script holds nothing that ends it, and means the same") {
  const json value = {{"name", kHostile}, {"broken", "\xff\xfe"}, {"control", "\x1b\n"}};
  const std::string text = script_json(value);
  CHECK(text.find_first_of("<>&") == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(json::parse(text)["name"] == kHostile);
}

TEST_CASE("base64 as RFC 4648 has it") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) CHECK(keyring::base64(bytes_of(plain)) == encoded);
  constexpr uint8_t high[] = {0xfb, 0xff, 0xfe};
  CHECK(keyring::base64(high) == "+//+");
}

TEST_CASE("a page has its own three scripts and lets in no other") {
  const auto page = render_page({.title = kHostile, .summary = kHostile},
                                {{"host", kHostile}, {"causes", json::object()}}, events(3));
  REQUIRE(page);
  CHECK(occurrences(*page, "</script") == 3);
  CHECK(occurrences(*page, "<img") == 0);
  CHECK(occurrences(*page, "<!--") == 0);
  CHECK(page->contains("<title>&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;{{EVENTS}}"));
  CHECK(page->contains("script-src 'sha256-" +
                       keyring::base64(keyring::sha256(bytes_of(kReportScript))) + "'"));
  CHECK(page->contains("<script>" + std::string(kReportScript) + "</script>"));
  CHECK(page->contains("<style>" + std::string(kReportStyle) + "</style>"));
  CHECK_FALSE(page->contains("unsafe-"));
  CHECK_FALSE(page->contains("https://"));
}

TEST_CASE("columns tell all of each event") {
  const json columns = events_to_columns(events(3), 10);
  CHECK(columns["total"] == 3);
  CHECK(columns["time"] == json({1'700'000'001'000'000, 1'000'000, 1'000'000}));
  CHECK(columns["sequence"] == json({1, 1, 1}));
  CHECK(columns["tgid"] == json({1, 2, 3}));
  CHECK(columns["shape"] == json({0, 0, 2}));  // new, new, the second again
  REQUIRE(columns["fields"].size() == kFields);
  for (const json& column : columns["fields"]) CHECK(column.size() == 2);
  const json& program = columns["fields"]["program"];  // each as the difference to the one before
  CHECK(program[1] == 0);
  CHECK(columns["texts"][program[0].get<size_t>()] == kHostile);
}

TEST_CASE("of too many events denials stay, then the newest") {
  const json columns = events_to_columns(events(5), 3);
  CHECK(columns["total"] == 5);
  CHECK(columns["tgid"] == json({1, 4, 5}));
  CHECK(events_to_columns(events(5, true), 2)["tgid"] == json({4, 5}));
}

TEST_CASE("a page stays small, whatever the names: it then carries fewer events, and says so") {
  EventTable table;
  for (size_t i = 1; i <= kMostEventsInPage; i++) {
    const std::string digest = hex(keyring::sha256(bytes_of(std::to_string(i))));
    REQUIRE(table.add(event_of({{"sequence", i},
                                {"wall_time", 1'700'000'000 + i},
                                {"hook", "bpf_prog_load"},
                                {"decision", "allow"},
                                {"digest", digest},
                                {"loader_digest", digest.substr(32) + digest.substr(0, 32)}})));
  }
  const auto page = render_page({}, json::object(), table);
  REQUIRE(page);
  CHECK(page->size() < kMostBytesInPage);
  CHECK(page->size() > kMostBytesInPage / 2);
}

}  // namespace bpfwarden::loader
