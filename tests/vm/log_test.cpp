// What of the decisions is told: events of what was allowed, withheld as the policy says.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <map>
#include <thread>

#include "tests/vm/scene.h"

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

Load of_type(uint32_t type, int32_t result = 0) {
  Load request;
  request.type = type;
  request.insns = Load::return_value(result);
  return request;
}

Load socket() { return of_type(BPF_PROG_TYPE_SOCKET_FILTER); }

// The kernel refuses it before any hook.
Load badly_signed() {
  Load request = socket();
  request.signature = {0x30, 0x00};
  request.keyring = -3;  // KEY_SPEC_SESSION_KEYRING
  return request;
}

nlohmann::json status() { return nlohmann::json::parse(run("bpfwarden status --json").output); }

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

}  // namespace

TEST_CASE("allow_without_events_where_the_policy_wants_none", "[vm][log]") {
  Warden warden;
  warden.apply("audit", std::string("log-allowed = false\n") + kRules);
  CHECK(load(socket()).error == 0);
  CHECK(load(of_type(BPF_PROG_TYPE_SK_MSG)).error == 0);
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
  // The second is taken before the event's own time: an event may carry the next one's.
  int seconds = 0, most = 0;
  for (const auto& [second, count] : by_second) {
    seconds++;
    most = std::max(most, count);
  }
  CHECK(most <= limit + processes);
  CHECK(admitted <= limit * seconds);
  CHECK(admitted > limit * (seconds - 3));  // the first and the last may be short
}

TEST_CASE("deny_and_allow_40000_times_and_account_for_each_decision", "[vm][log]") {
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
            right += load(of_type(BPF_PROG_TYPE_SK_MSG)).error == 0;
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
  CHECK(of("dropped") > 0);
  CHECK(of("withheld") > 0);
  CHECK(events.size() + of("dropped") + of("withheld") + of("quiet") ==
        of("decided") + of("observed") + differed);
}

}  // namespace bpfwarden::vm
