#include "tests/vm/helpers/contest.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/linger.h"

namespace bpfwarden::vm {
namespace {

// How many rounds a race has, unless its time is over before. At least fewest_rounds() are run,
// however slow the machine is: time is a race's length, never its verdict.
size_t rounds_wanted() {
  const char* const wanted = std::getenv("BPFWARDEN_RACE_ROUNDS");
  return wanted == nullptr ? 2'000 : std::stoul(wanted);
}
size_t fewest_rounds() { return effort<size_t>(300, 1'000); }
constexpr size_t kControlRounds = 500;

// Both threads may share one processor, which then runs many rounds before the exchange has a turn.
// Ends at so many rounds or with its time, but not before the fewest that it needs.
Score compete(const TwoPrograms& two, const AttachAndLook& attach, size_t fewest, size_t rounds,
              size_t won_at_least) {
  const Attempt wanted = load(two.wanted), other = load(two.other);
  REQUIRE(wanted.error == 0);
  REQUIRE(other.error == 0);
  const uint32_t wanted_id = program_id(wanted.fd);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(effort(20, 60));
  Score score;
  const Exchange exchange(wanted.fd, other.fd);
  while (score.rounds < fewest || score.other < won_at_least ||
         (score.rounds < rounds && std::chrono::steady_clock::now() < end))
    score.count(attach(exchange.slot()), wanted_id);
  return score;
}

void say(const char* route, const char* when, const Score& score) {
  std::printf(
      "race, %s, %s: %zu rounds, %zu attached the allowed program, %zu the other, %zu "
      "EPERM, %zu another error\n",
      route, when, score.rounds, score.wanted, score.other, score.refused, score.failed_otherwise);
}

// Nobody exchanges anything: each gets what the policy says.
void check_alone(const TwoPrograms& two, const AttachAndLook& attach) {
  const Attempt wanted = load(two.wanted), other = load(two.other);
  const RacedProgram allowed = attach(wanted.fd.get());
  CHECK(allowed.error == 0);
  CHECK(allowed.program == program_id(wanted.fd));
  CHECK(attach(other.fd.get()).error == EPERM);
}

// ---- Under `detect` -----------------------------------------------------------------------------

// In a child: it has a table of its own, which its two threads share. Its denials must fit into the
// event buffer until it ends. Returns whether it was killed.
bool competes_and_dies(const Contest& contest, const StartExchange& start, uint32_t wanted,
                       Score& score) {
  constexpr size_t kRoundsOfOne = 500;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_on(0);
    const auto exchange = start();
    for (size_t round = 0; round < kRoundsOfOne; round++)
      score.count(contest.attach(exchange->slot()), wanted);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0));
  return WIFSIGNALED(status);
}

size_t count_races(Warden& warden, const char* route) {
  size_t races = 0;
  for (const nlohmann::json& event : warden.events()) {
    if (event["cause"] != "attach-race") continue;
    CHECK(event["route"] == route);
    CHECK(event["refused"] == true);
    CHECK(event["errno"] == 0);
    races++;
  }
  return races;
}

}  // namespace

void Score::count(const RacedProgram& outcome, uint32_t wanted_id) {
  rounds++;
  if (outcome.error != 0)
    (outcome.error == EPERM ? refused : failed_otherwise)++;
  else
    (outcome.program == wanted_id ? wanted : other)++;
}

void race(const Contest& contest) {
  const auto& [route, two, rules, attach, makes_links] = contest;
  Warden warden;
  const Score control = compete(two, attach, kControlRounds, kControlRounds, 1);
  say(route, "without a policy", control);
  CHECK(control.other > 0);
  CHECK(control.other + control.wanted == control.rounds);

  warden.apply("enforce", rules);
  check_alone(two, attach);
  const Score score = compete(two, attach, fewest_rounds(), rounds_wanted(), 0);
  say(route, "enforced", score);
  CHECK(score.rounds >= fewest_rounds());
  CHECK(score.other == 0);
  CHECK(score.refused == score.rounds);
  check_alone(two, attach);
}

SharedScore compete_in_children(Warden& warden, const Contest& contest, uint32_t wanted,
                                const StartExchange& start) {
  (void)warden.events();
  SharedScore score = make_shared_memory<Score>();
  size_t killed = 0, reported = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(effort(10, 28));
  const size_t rounds = rounds_wanted();
  while (killed == 0 || (score->rounds < rounds && std::chrono::steady_clock::now() < end)) {
    if (competes_and_dies(contest, start, wanted, *score)) {
      killed++;
      score->rounds++;
    }
    reported += count_races(warden, contest.route);
  }
  say(contest.route, "detected", *score);
  std::printf("race, %s: %zu exchanges won, %zu reported\n", contest.route, killed, reported);
  CHECK(killed > 0);
  CHECK(reported == killed);
  CHECK(score->other == 0);
  return score;
}

void race_detected(const Contest& contest) {
  const Linger linger;
  Warden warden;
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + contest.rules);
  check_alone(contest.two, contest.attach);
  const Fd wanted = loaded(contest.two.wanted), other = loaded(contest.two.other);
  const SharedScore score = compete_in_children(warden, contest, program_id(wanted), [&] {
    return std::make_unique<Exchange>(wanted, other);
  });
  CHECK(score->failed_otherwise == 0);
  CHECK(score->wanted > 0);
  if (contest.makes_links) CHECK(links_are_gone(program_id(other)));
}

}  // namespace bpfwarden::vm
