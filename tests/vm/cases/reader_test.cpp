// The stream of events has one reader, and loses none to another or to an output that fails.
#include <signal.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <set>
#include <sstream>
#include <thread>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPacketsOnly = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signature = "unsigned"
)";

// Waits up to 60 s.
template <class Condition>
bool becomes_true(Condition condition) {
  for (int i = 0; i < 600; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string text_of(const std::string& file) { return run("cat " + file).output; }

// The numbers of the events in it, of which a number appears once.
std::set<uint64_t> numbers_in(const std::string& file) {
  std::istringstream lines(text_of(file));
  std::set<uint64_t> numbers;
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object()) continue;
    INFO(line);
    CHECK(numbers.insert(event["sequence"].get<uint64_t>()).second);
  }
  return numbers;
}

// `bpfwarden events` in the background, with its own two outputs in files.
class Reader {
 public:
  Reader(const std::string& name, const std::string& options)
      : output_("/tmp/" + name + ".out"), errors_("/tmp/" + name + ".err") {
    const Ran started =
        run("bpfwarden events " + options + " >" + output_ + " 2>" + errors_ + " & echo $!");
    pid_ = std::stoi(started.output);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { end(); }

  void end(int signal = SIGTERM) {
    if (pid_ == 0) return;
    ::kill(pid_, signal);
    CHECK(becomes_true([&] { return ::kill(pid_, 0) != 0; }));
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] std::string errors() const { return text_of(errors_); }
  // Of a lock: "1: FLOCK  ADVISORY  WRITE 71 00:1f:12345 0 EOF"
  [[nodiscard]] bool reads() const {
    return run("grep -q 'FLOCK .* " + std::to_string(pid_) + " ' /proc/locks").status == 0;
  }

 private:
  std::string output_, errors_;
  pid_t pid_ = 0;
};

// Denied and allowed ones by turns.
void load_some(int count) {
  for (int i = 0; i < count; i++) {
    CHECK(load({}).error == EPERM);
    CHECK(load(Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER)).error == 0);
  }
}

}  // namespace

TEST_CASE("allow_others_to_see_what_the_recorder_keeps", "[vm][reader]") {
  const std::string file = "/tmp/kept.jsonl";
  Warden warden;
  warden.apply("enforce", kPacketsOnly);
  (void)warden.events();
  run("rm -f " + file);
  Reader recorder("recorder", "--follow --output " + file);
  REQUIRE(becomes_true([&] { return recorder.reads(); }));
  Reader second("second", "--follow --json");
  REQUIRE(becomes_true([&] { return contains(second.errors(), "shown from there"); }));
  load_some(21);
  CHECK(becomes_true([&] { return numbers_in(file).size() == 42; }));
  CHECK(becomes_true([&] { return numbers_in(second.output()) == numbers_in(file); }));

  const std::string who = "bpfwarden (pid " + std::to_string(recorder.pid()) + ")";
  CHECK(contains(second.errors(), who + " reads the events, which keeps them in " + file));
  const Ran at_once = run("bpfwarden events --json");
  CHECK(at_once.status == 1);
  CHECK(contains(at_once.output, "are being read by " + who + ", which keeps them in " + file));
  const Ran other_file = run("bpfwarden events --follow --output /tmp/other.jsonl");
  CHECK(other_file.status == 1);
  CHECK(contains(other_file.output, who));
  // By the pins, whatever else is seen from there.
  const Ran elsewhere =
      run("busybox unshare -m sh -c 'mount -t tmpfs none /tmp && bpfwarden "
          "events --follow --json'");
  CHECK(elsewhere.status == 1);
  CHECK(contains(elsewhere.output, who + ", which keeps them in "));
  CHECK(contains(elsewhere.output, " of another mount namespace"));

  // A crash of the recorder loses nothing: the next one goes on.
  recorder.end(SIGKILL);
  CHECK(becomes_true([&] { return contains(second.errors(), "nobody reads the events now"); }));
  load_some(1);
  const Reader next("next", "--follow --output " + file);
  CHECK(becomes_true([&] { return numbers_in(file).size() == 44; }));
  CHECK(becomes_true([&] { return numbers_in(second.output()) == numbers_in(file); }));
}

TEST_CASE("allow_a_recorder_to_wait_for_who_only_looks", "[vm][reader]") {
  const std::string file = "/tmp/kept.jsonl";
  Warden warden;
  warden.apply("enforce", kPacketsOnly);
  (void)warden.events();
  run("rm -f " + file);
  Reader looks("looks", "--follow --json");
  REQUIRE(becomes_true([&] { return looks.reads(); }));
  Reader recorder("recorder", "--follow --output " + file);
  REQUIRE(becomes_true([&] { return contains(recorder.errors(), "waiting until it ends"); }));
  CHECK(contains(recorder.errors(), "bpfwarden (pid " + std::to_string(looks.pid()) + ")"));
  load_some(5);
  CHECK(becomes_true([&] { return numbers_in(looks.output()).size() == 10; }));
  looks.end();
  load_some(5);
  CHECK(becomes_true([&] { return numbers_in(file).size() == 10; }));
  auto all = numbers_in(file);
  all.merge(numbers_in(looks.output()));
  CHECK(all.size() == 20);
}

TEST_CASE("allow_no_event_to_go_where_nothing_can_be_written", "[vm][reader]") {
  Warden warden;
  warden.apply("enforce", kPacketsOnly);
  (void)warden.events();
  load_some(5);
  for (const char* options : {"", "--json", "--follow", "--follow --json"}) {
    const Ran full = run("{ bpfwarden events " + std::string(options) + " >/dev/full; }");
    INFO(options << ": " << full.output);
    CHECK(full.status == 1);
    CHECK(contains(full.output, "cannot write to standard output: No space left on device"));
  }
  const Ran closed =
      run("(sleep 1; bpfwarden events --json; echo $? >&2) 2>/tmp/closed | true; "
          "sleep 3; cat /tmp/closed");
  INFO(closed.output);
  CHECK(contains(closed.output, "Broken pipe"));
  CHECK(closed.output.ends_with("1\n"));
  CHECK(warden.events().size() == 10);
  CHECK(warden.events().empty());
}

TEST_CASE("deny_so_often_that_sums_are_told_and_lose_none_where_nothing_can_be_written",
          "[vm][reader][slow]") {
  constexpr int denials = 20'000;
  Warden warden;
  warden.apply("enforce", kPacketsOnly);
  (void)warden.events();
  int refused = 0;
  for (int i = 0; i < denials; i++) refused += load({}).error == EPERM;
  CHECK(refused == denials);
  const auto status = nlohmann::json::parse(run("bpfwarden status --json").output);
  CHECK(status["counters"]["summed"].get<int>() > 0);
  CHECK(run("bpfwarden events --json >/dev/full").status == 1);
  int told = 0;
  for (const auto& event : warden.events()) told += event["count"].get<int>();
  CHECK(told == denials);
  CHECK(warden.events().empty());
}

TEST_CASE("allow_a_recorder_to_go_on_with_the_next_policy", "[vm][reader][bare][slow]") {
  const std::string file = "/tmp/kept.jsonl";
  Warden warden;
  warden.apply("enforce", kPacketsOnly);
  run("rm -f " + file);
  const Reader recorder("recorder", "--follow --output " + file);
  REQUIRE(becomes_true([&] { return recorder.reads(); }));
  load_some(1);
  CHECK(run("bpfwarden off").status == 0);
  CHECK(becomes_true([&] { return contains(recorder.errors(), "turned off"); }));
  const std::string denial = "grep -c '\"decision\":\"deny\"' " + file;
  CHECK(run(denial).output == "1\n");
  warden.apply("enforce", kPacketsOnly);
  load_some(1);
  CHECK(becomes_true([&] { return run(denial).output == "2\n"; }));
}

}  // namespace bpfwarden::vm
