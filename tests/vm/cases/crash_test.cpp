// The manager is killed at each system call that changes something, and each is made to fail: a
// whole policy is active afterwards, no load was decided by none, and the next run makes up for it.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>

#include "tests/vm/cases/hammer.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/interrupted.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

using Command = std::vector<std::string>;

// Both refuse XDP from people without a key, and admit sockets; one admits sk_msg.
std::string before() {
  return std::string(kSignedAndSockets) +
         "[[rules]]\nname = \"messages\"\nallow = [\"sk_msg\"]\nsignature = \"unsigned\"\n";
}

std::string after() { return kSignedAndSockets; }

Load message() { return Load::of_type(BPF_PROG_TYPE_SK_MSG, 1); }
Load socket() { return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER); }

// A command that takes a host from one policy to the other.
struct PolicyChange {
  const char* name;
  std::function<void(Warden&)> prepare;  // `before()` is active then
  std::function<Command(Warden&)> command;
  bool decides_otherwise = true;  // once it is done
  bool can_be_repeated = true;    // once it is done, it does nothing; else `confirm` finishes it
};

std::string pins() { return run("ls /sys/fs/bpf/bpfwarden").output; }

// Of files that were being written.
std::string left_over() {
  return run("find /var/lib/bpfwarden -name '*.[A-Za-z0-9]*' | grep -E '\\.[A-Za-z0-9]{6}$'")
      .output;
}

// One policy, and all of it: what decides is what `policy show` prints.
void check_whole(Warden& warden) {
  const auto now = status();
  CHECK(now["mode"] == "enforce");
  CHECK(now["hooks"].size() == 50);
  CHECK(load({}).error == EPERM);
  CHECK(load(socket()).error == 0);
  CHECK(load(Load().signed_by(warden.netops(), warden.ring())).error == 0);
  const bool admits = load(message()).error == 0;
  CHECK(says(run("bpfwarden policy show"), "sk_msg") == admits);
}

void put_back(Warden& warden, const PolicyChange& change) {
  warden.apply("enforce", before());
  change.prepare(warden);
}

// Where the keyring of what decides is not the one that loaders find, or the next boot would bring
// back another policy.
void check_finished(Warden& warden) {
  const Ran confirm = run("bpfwarden confirm");
  INFO(confirm.output);
  CHECK((confirm.status == 0 || says(confirm.output, "no policy awaits confirmation")));
  CHECK(says(run("bpfwarden confirm"), "no policy awaits confirmation"));
  CHECK(is_saved());
  CHECK(status()["keyring"] == warden.ring());
  check_whole(warden);
}

// Once it has been interrupted: what is there now, and what the next run makes of it.
void check_survived(Warden& warden, const PolicyChange& change, const Command& command,
                    const Interrupted& interrupted) {
  INFO(interrupted.output);
  check_whole(warden);
  const bool is_done = (load(message()).error == EPERM) == change.decides_otherwise;
  if (interrupted.status == 0) CHECK(is_done);
  if (interrupted.status > 0) CHECK(says(interrupted.output, "error"));
  if (says(interrupted.output, "the policy is active, but"))
    CHECK(says(interrupted.output, "`bpfwarden confirm`"));
  if (is_done && !change.can_be_repeated) return check_finished(warden);
  const Interrupted again = run_whole(command);
  INFO(again.output);
  CHECK(again.status == 0);
  CHECK((load(message()).error == EPERM) == change.decides_otherwise);
  check_whole(warden);
}

void interrupt_at(Warden& warden, const PolicyChange& change,
                  const std::vector<Interruption>& points) {
  for (const Interruption& point : points) {
    put_back(warden, change);
    const Command command = change.command(warden);
    const Interrupted interrupted = run_interrupted(command, point);
    INFO(change.name << ", " << describe(point, interrupted));
    if (point.error == 0) CHECK(interrupted.status == -1);
    check_survived(warden, change, command, interrupted);
  }
}

void interrupt_everywhere(const PolicyChange& change) {
  Warden warden;
  put_back(warden, change);
  const Interrupted whole = run_whole(change.command(warden));
  INFO(whole.output);
  REQUIRE(whole.status == 0);
  REQUIRE(whole.changes.size() > 1);
  CHECK((load(message()).error == EPERM) == change.decides_otherwise);
  const std::string pins_of_it = pins();
  const Hammer hammer(socket(), 50'000);
  const auto points = some_of(kills(whole), effort<size_t>(2, 10'000));
  const auto errors = some_of(failures(whole), effort<size_t>(1, 10'000));
  interrupt_at(warden, change, points);
  interrupt_at(warden, change, errors);
  CHECK(hammer.let_in() == 0);
  CHECK(hammer.kept_out() == 0);
  CHECK(hammer.rounds() > 0);
  CHECK(pins() == pins_of_it);
  CHECK(left_over().empty());
  std::printf("crash, %s: killed at %zu of %zu changes, %zu of %zu errors; loads beside it: %u\n",
              change.name, points.size(), whole.changes.size(), errors.size(),
              failures(whole).size(), hammer.rounds());
}

Command staging(Warden& warden) {
  return {"bpfwarden", "stage", warden.write_policy("enforce", after(), warden.raise_version())};
}

}  // namespace

TEST_CASE("deny_while_apply_is_killed_or_fails_at_each_change", "[vm][crash]") {
  interrupt_everywhere({.name = "apply",
                        .prepare = [](Warden&) {},
                        .command =
                            [](Warden& warden) {
                              return Command{
                                  "bpfwarden", "apply", "--accept-denials", "--no-events",
                                  warden.write_policy("enforce", after(), warden.raise_version())};
                            }});
}

TEST_CASE("deny_while_stage_is_killed_or_fails_at_each_change", "[vm][crash]") {
  interrupt_everywhere(
      {.name = "stage", .prepare = [](Warden&) {}, .command = staging, .decides_otherwise = false});
}

TEST_CASE("deny_while_promote_is_killed_or_fails_at_each_change", "[vm][crash]") {
  interrupt_everywhere(
      {.name = "promote",
       .prepare = [](Warden& warden) { REQUIRE(run_whole(staging(warden)).status == 0); },
       .command =
           [](Warden&) {
             return Command{"bpfwarden",   "promote",          "--accept-denials",
                            "--no-events", "--confirm-within", "0"};
           },
       .can_be_repeated = false});
}

TEST_CASE("deny_while_rollback_is_killed_or_fails_at_each_change", "[vm][crash]") {
  interrupt_everywhere(
      {.name = "rollback",
       .prepare =
           [](Warden& warden) {
             warden.apply("enforce", after());
             warden.apply("enforce", before());
           },
       .command = [](Warden&) { return Command{"bpfwarden", "rollback", "--confirm-within", "0"}; },
       .can_be_repeated = false});
}

}  // namespace bpfwarden::vm
