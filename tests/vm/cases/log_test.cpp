// What of the decisions is told: events of what was allowed, withheld as the policy says; the last
// hour; and `status` on a terminal and off it.
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// Sockets are allowed, xdp is denied, sk_msg is allowed and leaves no event.
constexpr const char* kRules = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signature = "unsigned"
[[rules]]
name = "quiet ones"
allow = ["sk_msg"]
signature = "unsigned"
log = false
)";

constexpr const char* kEverything = R"(
[[rules]]
name = "everything"
allow = ["*"]
signature = "unsigned"
)";

Load socket() { return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER); }

// The kernel refuses it before any hook.
Load badly_signed() {
  Load request = socket();
  request.signature = {0x30, 0x00};
  request.keyring = -3;  // KEY_SPEC_SESSION_KEYRING
  return request;
}

// Each in its own process, all at once; the number of those that failed.
template <class Work>
int at_once(int processes, Work work) {
  std::vector<pid_t> children;
  for (int i = 0; i < processes; i++) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work() ? 0 : 1);
    children.push_back(child);
  }
  int failed = 0;
  for (const pid_t child : children) {
    int ended = -1;
    failed += ::waitpid(child, &ended, 0) != child || ended != 0;
  }
  return failed;
}

// A program on a terminal of its own.
class OnTerminal {
 public:
  explicit OnTerminal(const std::string& command) {
    const winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
      ::_exit(127);
    }
    ::tcgetattr(terminal_, &before_);
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;
  ~OnTerminal() { ::close(terminal_); }

  // What it prints until all of these were printed in this order. Hangs on a program that prints
  // something else: the guest's own time ends that.
  std::string read_until(std::initializer_list<const char*> texts) {
    std::string output;
    size_t at = 0;
    for (const char* text : texts) {
      while (output.find(text, at) == std::string::npos && read_more(output)) {
      }
      at = std::min(output.find(text, at), output.size());
    }
    return output;
  }

  // As Ctrl-C does; its exit status.
  int interrupt() const {
    int ended = -1;
    ::kill(pid_, SIGINT);
    ::waitpid(pid_, &ended, 0);
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  }

  bool is_as_before() const {
    termios now = {};
    ::tcgetattr(terminal_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }

 private:
  bool read_more(std::string& output) const {
    char buffer[4096];
    const ssize_t size = ::read(terminal_, buffer, sizeof(buffer));
    if (size > 0) output.append(buffer, static_cast<size_t>(size));
    return size > 0;
  }

  int terminal_ = -1;
  pid_t pid_ = -1;
  termios before_ = {};
};

}  // namespace

TEST_CASE("allow_without_events_where_the_policy_wants_none", "[vm][log]") {
  Warden warden;
  warden.apply("audit", std::string("log-allowed = false\n") + kRules);
  CHECK(load(socket()).error == 0);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SK_MSG)).error == 0);
  CHECK(load({}).error == 0);  // denied, in audit mode
  auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["attach"] == "xdp");
  CHECK(events[0]["decision"] == "deny");
  CHECK(status()["counters"]["withheld"] == 1);
  CHECK(status()["counters"]["quiet"] == 1);
  CHECK(status()["log_allowed_per_second"] == 0);

  warden.apply("enforce", std::string("log-allowed = false\n") + kRules);
  CHECK(load({}).error == EPERM);
  events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["refused"] == true);

  warden.apply("enforce", kRules);
  CHECK(load(socket()).error == 0);
  CHECK(warden.events().size() == 1);
  CHECK(status()["counters"]["withheld"] == 1);
}

TEST_CASE("allow_so_many_events_a_second_and_count_the_rest", "[vm][log]") {
  constexpr int processes = 4, allowed = 2'000, denied = 100, limit = 20;
  Warden warden;
  warden.apply("enforce", "log-allowed-per-second = " + std::to_string(limit) + "\n" + kRules);
  CHECK(at_once(processes, [] {
          int right = 0;
          for (int i = 0; i < allowed; i++) right += load(socket()).error == 0;
          for (int i = 0; i < denied; i++) right += load({}).error == EPERM;
          return right == allowed + denied;
        }) == 0);
  const auto counters = status()["counters"];
  std::map<uint64_t, int> by_second;
  int denials = 0, admitted = 0;
  for (const auto& event : warden.events()) {
    if (event["decision"] == "deny") denials++;
    if (event["decision"] != "allow") continue;
    admitted++;
    by_second[event["time_ns"].get<uint64_t>() / 1'000'000'000]++;
  }
  CHECK(counters["dropped"] == 0);
  CHECK(denials == processes * denied);
  CHECK(counters["withheld"].get<int>() > 0);
  CHECK(admitted + counters["withheld"].get<int>() == processes * allowed);
  // The second is taken before the event's own time: an event of each process may carry the next
  // one's, and be the only one left of a second.
  int seconds = 0, most = 0;
  for (const auto& [second, count] : by_second) {
    seconds++;
    most = std::max(most, count);
  }
  CHECK(most <= limit + processes);
  CHECK(admitted <= limit * seconds + processes);
  CHECK(admitted > limit * (seconds - 3));  // the first and the last may be short
}

TEST_CASE("deny_and_allow_40000_times_and_account_for_each_decision",
          "[vm][log][slow][kernel][kernel:signature_attr]") {
  constexpr int processes = 4, rounds = 2'500, rejected = 25;
  Warden warden;
  warden.apply("enforce", std::string("log-allowed-per-second = 10\n") + kRules);
  REQUIRE(run("bpfwarden stage " + warden.write_policy("enforce", kEverything, 9)).status == 0);
  (void)warden.events();
  const auto before = status();
  CHECK(at_once(processes, [] {
          int right = 0;
          for (int i = 0; i < rounds; i++) {
            right += load(socket()).error == 0;
            right += load(socket()).error == 0;
            right += load(Load::of_type(BPF_PROG_TYPE_SK_MSG)).error == 0;
            right += load({}).error == EPERM;
          }
          for (int i = 0; i < rejected; i++) {
            const int error = load(badly_signed()).error;
            right += error != 0 && error != EPERM;
          }
          return right == 4 * rounds + rejected;
        }) == 0);
  const auto after = status();
  const auto events = warden.events();
  const auto of = [&](const char* name) {
    return after["counters"][name].get<uint64_t>() - before["counters"][name].get<uint64_t>();
  };
  const uint64_t differed =
      after["staged"]["differed"].get<uint64_t>() - before["staged"]["differed"].get<uint64_t>();
  CHECK(of("decided") == uint64_t{4} * processes * rounds);
  CHECK(of("refused") == uint64_t{processes} * rounds);
  CHECK(of("quiet") == uint64_t{processes} * rounds);
  CHECK(of("observed") == uint64_t{processes} * rejected);
  CHECK(differed == uint64_t{processes} * rounds);
  uint64_t told = 0;
  for (const auto& event : events) told += event["count"].get<uint64_t>();
  CHECK(of("dropped") > 0);
  CHECK(of("withheld") > 0);
  CHECK(told + of("dropped") + of("withheld") + of("quiet") ==
        of("decided") + of("observed") + differed);
}

TEST_CASE("deny_and_say_how_often_in_the_last_hour", "[vm][log][kernel][kernel:signature_attr]") {
  Warden warden;
  warden.apply("audit", kRules);
  CHECK(load({}).error == 0);
  CHECK(load({}).error == 0);
  CHECK(load(socket()).error == 0);
  warden.apply("enforce", kRules);
  CHECK(at_once(3, [] {
          int refused = 0;
          for (int i = 0; i < 50; i++) refused += load({}).error == EPERM;
          return refused == 50;
        }) == 0);
  CHECK(load(badly_signed()).error != 0);
  const auto hour = status()["last_hour"];
  CHECK(hour["would_deny"] == 2);
  CHECK(hour["refused"] == 150);
  CHECK(hour["observed"] == 1);
  const Ran shown = run("bpfwarden status");
  CHECK(shown.status == 0);
  CHECK(shown.output.starts_with("mode         enforce\npolicy       version " +
                                 std::to_string(warden.version()) + " of "));
  CHECK(says(shown.output, "last hour    2 would be denied, 150 refused\n"));
  CHECK(says(shown.output, "events       0 dropped, 0 withheld, 0 quiet\n"));
  CHECK_FALSE(says(shown.output, "\033"));
  CHECK(std::ranges::count(shown.output, '\n') <= 23);
}

TEST_CASE("allow_to_watch_the_status_in_place_and_leave_the_terminal_as_it_was", "[vm][log]") {
  Warden warden;
  warden.apply("enforce", kRules);
  OnTerminal watch("bpfwarden status --watch --interval 1s");
  const std::string first = watch.read_until({"mode ", "refused", "\033[J"});
  CHECK(load({}).error == EPERM);
  const std::string later = watch.read_until({"1 refused", "\033[J"});
  CHECK(watch.is_as_before());
  CHECK(watch.interrupt() == 0);
  CHECK(watch.is_as_before());
  CHECK(first.starts_with("\033[2J\033[Hmode "));
  CHECK(says(first, "\033[32menforce\033[0m\033[K"));
  CHECK(says(first, "0 would be denied, 0 refused"));
  CHECK(says(later, "0 would be denied, 1 refused"));
  CHECK(says(later, "\033[J"));
  CHECK_FALSE(says(first + later, "\033[?"));  // neither another screen nor a hidden cursor
  CHECK_FALSE(says(later, "\033[2J"));

  OnTerminal plain("env NO_COLOR=1 bpfwarden status --watch --interval 1s");
  const std::string uncoloured = plain.read_until({"mode ", "\033[J"});
  CHECK(plain.interrupt() == 0);
  CHECK(says(uncoloured, "mode         enforce\033[K"));
  CHECK_FALSE(says(uncoloured, "\033[32m"));
}

TEST_CASE("allow_to_watch_the_status_in_a_pipe", "[vm][log]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const std::string output =
      run("bpfwarden status --watch --interval 1s | awk '{ print } /^mode / && n++ { exit }'")
          .output;
  CHECK_FALSE(says(output, "\033"));
  CHECK(output.starts_with("mode         enforce\n"));
  CHECK(says(output, "\n\nmode         enforce\n"));
  CHECK(run("bpfwarden status --interval 1s").status == 2);
  const std::string lines = run("bpfwarden status --watch --json --interval 1s | head -n 1").output;
  CHECK(nlohmann::json::parse(lines)["mode"] == "enforce");
}

}  // namespace bpfwarden::vm
