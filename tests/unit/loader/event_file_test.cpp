// The file of events: what is rotated, and that no line is lost or halved.
#include "loader/events/event_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <string>

#include "base/fd.h"
#include "base/file.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

std::string text_of(const std::filesystem::path& path) {
  const auto bytes = read_file(path, 1 << 20);
  REQUIRE(bytes);
  return {bytes->begin(), bytes->end()};
}

}  // namespace

TEST_CASE("a full file gives way to a new one, and the oldest goes") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  auto file = EventFile::open({.path = path, .max_bytes = 10, .keep = 2});
  REQUIRE(file);
  for (const char* line : {"one", "two", "three", "four", "a line longer than any file", "six"})
    REQUIRE(file->write(line));
  CHECK(text_of(path) == "six\n");
  CHECK(text_of(path.string() + ".1") == "a line longer than any file\n");
  CHECK(text_of(path.string() + ".2") == "four\n");
  CHECK_FALSE(std::filesystem::exists(path.string() + ".3"));
}

TEST_CASE("a file is gone on with where it ends") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  for (const char* line : {"one", "two"}) {
    auto file = EventFile::open({.path = path, .max_bytes = 10, .keep = 1});
    REQUIRE(file);
    REQUIRE(file->write(line));
  }
  CHECK(text_of(path) == "one\ntwo\n");
  const auto mode = std::filesystem::status(path).permissions();
  CHECK((mode & std::filesystem::perms::others_all) == std::filesystem::perms::none);
}

TEST_CASE("a line that does not fit on the disk leaves nothing of itself") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  auto file = EventFile::open({.path = path});
  REQUIRE(file);
  REQUIRE(file->write("one"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small = {.rlim_cur = 10, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status full = file->write("a line that is too long");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  REQUIRE_FALSE(full);
  CHECK(full.error().code == EFBIG);
  CHECK(text_of(path) == "one\n");
  REQUIRE(file->write("two"));
  CHECK(text_of(path) == "one\ntwo\n");
}

using Lines = std::vector<std::string>;

TEST_CASE("who follows a file gets each line from then on, through all its names") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  auto file = EventFile::open({.path = path, .max_bytes = 10, .keep = 3});
  REQUIRE(file);
  REQUIRE(file->write("before"));
  auto followed = FollowedEventFile::open(path);
  REQUIRE(followed);
  CHECK(followed->read() == Lines());
  REQUIRE(file->write("1"));
  CHECK(followed->read() == Lines{"1"});
  for (const char* line : {"two", "a line longer than any file", "four", "five"})
    REQUIRE(file->write(line));
  CHECK(followed->read() == Lines{"two", "a line longer than any file", "four", "five"});
  CHECK(followed->read() == Lines());
  REQUIRE(file->write("six"));
  CHECK(followed->read() == Lines{"six"});
}

TEST_CASE("who follows a file gets no half line, and none twice that was cut off") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  REQUIRE(write_output(path, std::string_view("one\n")));
  auto followed = FollowedEventFile::open(path);
  REQUIRE(followed);
  const Fd writer(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  REQUIRE(write_all(writer.get(), "half of a li"));
  CHECK(followed->read() == Lines());
  REQUIRE(::ftruncate(writer.get(), 4) == 0);
  REQUIRE(write_all(writer.get(), "another\n"));
  CHECK(followed->read() == Lines{"another"});
}

}  // namespace bpfwarden::loader
