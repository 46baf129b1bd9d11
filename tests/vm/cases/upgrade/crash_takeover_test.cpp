// A kernel part takes over from another one, and the manager is killed at each kind of change, or
// that fails: the one before decides, or both, and the next run makes up for it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "tests/vm/cases/hammer.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/interrupted.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// The first of each row of changes that are alike, from what is done in the kernel on.
std::vector<Interruption> turns(const Interrupted& whole, bool fails) {
  std::vector<Interruption> all;
  std::string last;
  for (size_t at = 0; at < whole.changes.size(); at++) {
    const Change& change = whole.changes[at];
    if (std::exchange(last, change.name) == change.name) continue;
    if (!fails) all.push_back({.at = at});
    if (fails && change.name.starts_with("bpf")) all.push_back({.at = at, .error = ENOMEM});
  }
  return all;
}

std::vector<Interruption> around_exchange(const Interrupted& whole) {
  const auto at = std::ranges::find(whole.changes, "renameat2", &Change::name);
  REQUIRE(at != whole.changes.end());
  const auto exchange = static_cast<size_t>(at - whole.changes.begin());
  return {{.at = exchange}, {.at = exchange + 1}};
}

void check_all_decides(Warden& warden) {
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER)).error == 0);
  CHECK(load(Load().signed_by(warden.netops(), warden.ring())).error == 0);
}

// Another version decides then.
Interrupted begin(Warden& warden) {
  warden.apply("enforce", kSignedAndSockets);
  Interrupted whole = run_whole({"bpfwarden_next", "upgrade"});
  INFO(whole.output);
  REQUIRE(whole.status == 0);
  return whole;
}

std::string all_pins() { return run("ls /sys/fs/bpf /sys/fs/bpf/bpfwarden").output; }

void interrupt_takeovers(Warden& warden, const std::vector<Interruption>& points, size_t changes) {
  const std::string pins = all_pins();
  const Hammer hammer(Load().signed_by(warden.netops(), warden.ring()), 20'000);
  std::string binary = "bpfwarden";
  size_t killed = 0, failed = 0;
  for (const Interruption& point : points) {
    const Interrupted ended = run_interrupted({binary, "upgrade"}, point);
    INFO(binary << ", " << describe(point, ended) << "\n" << ended.output);
    (ended.status == -1 ? killed : failed)++;
    CHECK((ended.status == -1) == (point.error == 0));
    if (ended.status > 0) CHECK(says(ended.output, "error"));
    check_all_decides(warden);
    const Interrupted again = run_whole({binary, "upgrade"});
    INFO(again.output);
    CHECK(again.status == 0);
    CHECK(run(binary + " status").status == 0);
    CHECK(all_pins() == pins);
    check_all_decides(warden);
    binary = binary == "bpfwarden" ? "bpfwarden_next" : "bpfwarden";
  }
  CHECK(hammer.let_in() == 0);
  CHECK(hammer.kept_out() == 0);
  CHECK(hammer.rounds() > 0);
  std::printf("crash, a takeover: killed at %zu of %zu changes, %zu errors; loads beside it: %u\n",
              killed, changes, failed, hammer.rounds());
}

}  // namespace

// Each takes twice as long as the kernel verifies the hooks.
TEST_CASE("deny_while_a_takeover_is_killed_before_and_after_it_decides",
          "[vm][takeover][crash][slow]") {
  Warden warden;
  const Interrupted whole = begin(warden);
  interrupt_takeovers(warden, around_exchange(whole), whole.changes.size());
}

TEST_CASE("deny_while_a_takeover_is_killed_or_fails_at_each_turn", "[vm][takeover][crash][slow]") {
  Warden warden;
  const Interrupted whole = begin(warden);
  auto points = some_of(turns(whole, false), effort<size_t>(4, 12));
  std::ranges::copy(some_of(turns(whole, true), effort<size_t>(2, 6)), std::back_inserter(points));
  interrupt_takeovers(warden, points, whole.changes.size());
}

}  // namespace bpfwarden::vm
