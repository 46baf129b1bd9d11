// Reading kept events back: all files, oldest first, and what is no event passed over.
#include "loader/events/event_log.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "loader/events/event_file.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {

TEST_CASE("kept events are read from the oldest file on") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  auto file = EventFile::open({.path = path, .max_bytes = 40, .keep = 12});
  REQUIRE(file);
  for (int i = 1; i <= 25; i++) REQUIRE(file->write(nlohmann::json({{"sequence", i}}).dump()));
  int next = 1;
  const auto done = read_event_log(
      path, [&](const nlohmann::json& event) { CHECK(event["sequence"] == next++); });
  REQUIRE(done);
  CHECK(done->events == 25);
  CHECK(done->unreadable == 0);
}

TEST_CASE("half a line is counted and passed over") {
  const test::TempDir folder;
  const auto path = folder.write("events.jsonl", "{\"sequence\":1}\n[]\n{\"seq");
  const auto done = read_event_log(path, [](const nlohmann::json&) {});
  REQUIRE(done);
  CHECK(done->events == 1);
  CHECK(done->unreadable == 2);
}

TEST_CASE("a log that is not there is an error that says who keeps one") {
  const test::TempDir folder;
  const auto done = read_event_log(folder.path() / "none", [](const nlohmann::json&) {});
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ENOENT);
  CHECK(done.error().hint.find("bpfwarden events --follow --output") != std::string::npos);
}

}  // namespace bpfwarden::loader
