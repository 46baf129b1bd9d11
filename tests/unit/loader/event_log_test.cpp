// Reading kept events back: all files, oldest first, and what is no event passed over.
#include "loader/events/event_log.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "loader/events/event_file.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {

TEST_CASE("kept events are read from the oldest file on") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  auto file = EventFile::open({.path = path, .max_bytes = 75, .keep = 12});
  REQUIRE(file);
  for (int i = 1; i <= 25; i++)
    REQUIRE(file->write(nlohmann::json({{"hook", "attach"}, {"sequence", i}}).dump()));
  uint64_t next = 1;
  const auto done =
      read_event_log(path, [&](const Event& event) { CHECK(event.sequence == next++); });
  REQUIRE(done);
  CHECK(done->events == 25);
  CHECK(done->unreadable == 0);
}

TEST_CASE("half a line is counted and passed over") {
  const test::TempDir folder;
  const auto path =
      folder.write("events.jsonl", "{\"hook\":\"attach\",\"sequence\":1}\n[]\n{\"seq");
  const auto done = read_event_log(path, [](const Event&) {});
  REQUIRE(done);
  CHECK(done->events == 1);
  CHECK(done->unreadable == 2);
  CHECK(done->first_problem == path.string() + ", line 2: this is no JSON object");
}

TEST_CASE("a log that is not there is an error that says who keeps one") {
  const test::TempDir folder;
  const auto done = read_event_log(folder.path() / "none", [](const Event&) {});
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ENOENT);
  CHECK(done.error().hint.find("bpfwarden events --follow --output") != std::string::npos);
}

TEST_CASE("a file that was rotated meanwhile is read once, and none is left out") {
  const test::TempDir folder;
  const auto path = folder.write("events.jsonl", "{\"hook\":\"attach\",\"sequence\":1}\n");
  std::filesystem::create_hard_link(path,
                                    path.string() + ".1");  // both names, as between two looks
  folder.write("events.jsonl.2", "{\"hook\":\"attach\",\"sequence\":0}\n");
  std::vector<uint64_t> read;
  REQUIRE(read_event_log(path, [&](const Event& event) { read.push_back(event.sequence); }));
  CHECK(read == std::vector<uint64_t>{0, 1});
}

TEST_CASE("a line of the wrong types, or without a hook, is no event; which is said") {
  const test::TempDir folder;
  const auto path = folder.write("events.jsonl",
                                 "{\"sequence\":1}\n"
                                 "{\"hook\":\"attach\",\"uid\":\"root\"}\n");
  const auto none = walk_events({.file = path}, [](const Event&) {});
  REQUIRE_FALSE(none);
  CHECK(none.error().message == path.string() + ": 0 of 2 lines are events; " + path.string() +
                                    ", line 1: it has no `hook`");
  const auto empty = folder.write("empty.jsonl", "");
  const auto nothing = walk_events({.file = empty}, [](const Event&) {});
  REQUIRE(nothing);
  CHECK(nothing->sources == "0 events of " + empty.string());
}

}  // namespace bpfwarden::loader
