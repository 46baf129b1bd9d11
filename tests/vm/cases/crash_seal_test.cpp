// A host that is being sealed, and one that is: the manager is killed at each change, and each is
// made to fail. A whole policy is active afterwards, or none was yet; the seal is there or is not;
// and the next run makes up for it.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/file.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/pins.h"
#include "loader/policies/active_policy.h"
#include "tests/vm/cases/hammer.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/interrupted.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

using Words = std::vector<std::string>;

const std::string kSealing =
    std::string("seal = true\npolicy-signed-by = [\"netops\"]") + kSignedAndSockets;

Words apply_next(Warden& warden, const char* within) {
  return {"bpfwarden",
          "apply",
          "--accept-denials",
          "--no-events",
          "--confirm-within",
          within,
          warden.write_policy("enforce", kSealing, warden.raise_version())};
}

Load by_nobody() { return {}; }
Load a_socket() { return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER); }

bool is_open() { return load(by_nobody()).error == 0; }
bool is_sealed() { return status()["sealed"] == "now"; }
uint64_t version() { return status()["policy_version"].get<uint64_t>(); }

// Links end a moment after the process that had them.
bool becomes_open() {
  for (int i = 0; i < 100 && !is_open(); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return is_open();
}

void check_decides(Warden& warden) {
  const auto now = status();
  CHECK(now["mode"] == "enforce");
  CHECK(now["hooks"].size() == 50);
  CHECK(load(by_nobody()).error == EPERM);
  CHECK(load(a_socket()).error == 0);
  CHECK(load(Load().signed_by(warden.netops(), warden.ring())).error == 0);
}

void check_guarded() {
  const auto active = loader::require_active_policy();
  REQUIRE(active);
  const auto guarded = loader::is_guarded(active->pins);
  REQUIRE(guarded);
  CHECK(*guarded);
}

void switch_off() {
  const Ran off = run("bpfwarden off");
  INFO(off.output);
  CHECK(off.status == 0);
  CHECK(is_open());
  CHECK(says(run("bpfwarden status"), "off:"));
  CHECK(run("bpftool cgroup show /sys/fs/cgroup").output.empty());
}

// There are others that the command does without: a name that is left, a folder that is not synced.
bool is_needed(const Change& change) {
  return change.name == "bpf MAP_FREEZE" || change.name == "openat" || change.name == "write";
}

// One after the other, and no repair between them: what a run that was ended has done stays done
// for the next one. Until the last change has been made the host is not sealed.
void interrupt_until_sealed(const char* name, Warden& warden, const Words& command) {
  size_t killed = 0, failed = 0, changes = 0;
  for (size_t at = 0; changes == 0; at += effort<size_t>(3, 1)) {
    const Interrupted ended = run_interrupted(command, {.at = at});
    INFO(name << ", " << describe({.at = at}, ended) << "\n" << ended.output);
    check_decides(warden);
    if (ended.status != -1) {
      CHECK(ended.status == 0);
      changes = ended.changes.size();
      break;
    }
    killed++;
    REQUIRE(!is_sealed());
    if (at % effort<size_t>(9, 1) != 0 || !is_needed(ended.changes[at])) continue;
    const int error = ended.changes[at].errors.front();
    const Interrupted refused = run_interrupted(command, {.at = at, .error = error});
    INFO(name << ", " << describe({.at = at, .error = error}, refused) << "\n" << refused.output);
    failed++;
    check_decides(warden);
    CHECK(refused.status > 0);
    CHECK(says(refused.output, "error"));
    REQUIRE(!is_sealed());
  }
  CHECK(is_sealed());
  CHECK(is_saved());
  CHECK(run("bpfwarden off").status == 1);
  check_decides(warden);
  std::printf("crash, %s: killed at %zu of %zu changes, %zu errors; sealed at the end\n", name,
              killed, changes, failed);
}

// A policy that seals decides, with a guard behind its hooks, and nobody has confirmed it.
void await_seal(Warden& warden) {
  const Interrupted ran = run_whole(apply_next(warden, "1h"));
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  REQUIRE(!is_sealed());
  check_guarded();
  check_decides(warden);
}

// From the first one on that leaves something in the kernel that outlives the process.
std::vector<Interruption> lasting(const Interrupted& whole, size_t wanted) {
  std::vector<Interruption> all = kills(whole);
  const auto first = std::ranges::find(whole.changes, "bpf PROG_ATTACH", &Change::name);
  all.erase(all.begin(), all.begin() + (first - whole.changes.begin()));
  return some_of(all, wanted);
}

// The certificate lies beside the policy, as on each host.
Words apply_signed(Warden& warden, const test::TempDir& folders) {
  const std::string made = folders.path() / std::to_string(warden.raise_version());
  const std::string file = warden.write_policy("enforce", kSealing, warden.version());
  const std::string certificate = warden.netops().certificate_file;
  const std::string text = folders.path() / "policy.toml";
  const Ran ran =
      run("sed 's|" + certificate + "|netops.pem|' " + file + " >" + text + " && cp " +
          certificate + " " + folders.path().string() + "/netops.pem && " + "bpfwarden compile " +
          text + " -o " + made + " " + warden.netops().options());
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  return {"bpfwarden", "apply", "--accept-denials", "--no-events", made};
}

// Each by a version of its own: a sealed host takes it, and goes on to the next.
void interrupt_signed(Warden& warden, const test::TempDir& folders,
                      const std::vector<Interruption>& points) {
  for (const Interruption& point : points) {
    const Words command = apply_signed(warden, folders);
    const Interrupted ended = run_interrupted(command, point);
    INFO("a signed policy, " << describe(point, ended) << "\n" << ended.output);
    if (point.error == 0) CHECK(ended.status == -1);
    if (ended.status > 0) CHECK(says(ended.output, "error"));
    const uint64_t now = version();
    CHECK((now == warden.version() || now == warden.version() - 1));
    if (ended.status == 0) CHECK(now == warden.version());
    check_decides(warden);
    const Interrupted again = run_whole(command);
    INFO(again.output);
    CHECK(again.status == 0);
    CHECK(version() == warden.version());
    CHECK(is_sealed());
    check_decides(warden);
    CHECK(is_saved());
  }
}

}  // namespace

// The next run is the next one that is ended, later on its way.
TEST_CASE("deny_after_a_first_apply_that_seals_was_killed_at_each_change",
          "[vm][crash][bare][slow]") {
  Warden warden;
  const Words command = apply_next(warden, "1h");
  const Interrupted whole = run_whole(command);
  REQUIRE(whole.status == 0);
  check_guarded();
  switch_off();
  const auto points = lasting(whole, effort<size_t>(4, 24));
  size_t open = 0;
  for (const Interruption& point : points) {
    const Interrupted ended = run_interrupted(command, point);
    INFO(describe(point, ended) << "\n" << ended.output);
    CHECK(ended.status == -1);
    if (says(run("bpfwarden status"), "off:")) {
      CHECK(becomes_open());
      open++;
    } else {
      check_guarded();
      check_decides(warden);
    }
  }
  // A guard without hooks is nobody's: neither of hooks that come without one.
  const Interrupted last = run_interrupted(command, points[points.size() / 2]);
  CHECK(last.status == -1);
  REQUIRE(becomes_open());
  switch_off();
  const Interrupted again = run_whole(command);
  INFO(again.output);
  CHECK(again.status == 0);
  check_guarded();
  check_decides(warden);
  switch_off();
  std::printf(
      "crash, a first apply that seals: killed at %zu of %zu changes, %zu of them before "
      "the policy decided\n",
      points.size(), whole.changes.size(), open);
}

TEST_CASE("deny_after_a_first_apply_that_seals_failed_at_each_change", "[vm][crash][slow][bare]") {
  Warden warden;
  const Words command = apply_next(warden, "1h");
  const Interrupted whole = run_whole(command);
  REQUIRE(whole.status == 0);
  switch_off();
  std::vector<Interruption> all;
  const size_t first = lasting(whole, SIZE_MAX).front().at;
  for (const Interruption& one : failures(whole))
    if (one.at >= first) all.push_back(one);
  const auto points = some_of(all, effort<size_t>(2, 16));
  for (const Interruption& point : points) {
    const Interrupted ended = run_interrupted(command, point);
    INFO(describe(point, ended) << "\n" << ended.output);
    CHECK(ended.status >= 0);
    if (ended.status != 0) {
      CHECK(says(ended.output, "error"));
      if (says(run("bpfwarden status"), "off:")) {
        CHECK(becomes_open());
        CHECK(run("bpftool cgroup show /sys/fs/cgroup").output.empty());
        continue;
      }
    }
    check_guarded();
    check_decides(warden);
    switch_off();
  }
  std::printf("crash, a first apply that seals: %zu of %zu errors\n", points.size(), all.size());
}

// A guard that a killed run has left belongs to hooks that are gone.
TEST_CASE("deny_to_seal_by_a_guard_that_is_anothers_or_not_whole", "[vm][crash][slow][bare]") {
  Warden warden;
  const Interrupted counted = run_interrupted(apply_next(warden, "1h"), {.at = 1'000'000});
  REQUIRE(counted.status == 0);
  const Interrupted off = run_whole({"bpfwarden", "off"});
  REQUIRE(off.status == 0);

  const auto links = std::ranges::find(counted.changes, "bpf RAW_TRACEPOINT_OPEN", &Change::name);
  const auto first = std::ranges::find(counted.changes, "bpf LINK_CREATE", &Change::name);
  const auto at = static_cast<size_t>(std::min(links, first) - counted.changes.begin());
  REQUIRE(run_interrupted(apply_next(warden, "1h"), {.at = at}).status == -1);
  REQUIRE(becomes_open());
  CHECK(says(run("bpftool cgroup show /sys/fs/cgroup"), "guard_"));
  const Ran plain = run("bpfwarden apply --confirm-within 0 --accept-denials " +
                        warden.write_policy("enforce", "", warden.raise_version()));
  INFO(plain.output);
  REQUIRE(plain.status == 0);
  CHECK(run("bpftool cgroup show /sys/fs/cgroup").output.empty());
  switch_off();

  // Half of it is gone: hooks with a whole one take over.
  await_seal(warden);
  REQUIRE(run_interrupted({"bpfwarden", "off"}, {.at = 4}).status == -1);
  const auto active = loader::require_active_policy();
  REQUIRE(active);
  const auto half = loader::is_guarded(active->pins);
  REQUIRE(half);
  REQUIRE(!*half);
  const Ran confirm = run("bpfwarden confirm");
  INFO(confirm.output);
  CHECK(confirm.status == 0);
  CHECK(is_sealed());
  check_guarded();
  check_decides(warden);
}

TEST_CASE("deny_while_confirm_seals_and_is_killed_or_fails_at_each_change",
          "[vm][crash][bare][slow]") {
  Warden warden;
  await_seal(warden);
  // Closed for all but the last step, it can still be taken away, and brought back.
  if (tries_all()) {
    const Interrupted ended = run_interrupted({"bpfwarden", "confirm"}, {.at = 30});
    REQUIRE(ended.status == -1);
    switch_off();
    await_seal(warden);
  }
  interrupt_until_sealed("confirm", warden, {"bpfwarden", "confirm"});
  CHECK(run("bpfwarden confirm").status == 1);
}

TEST_CASE("deny_while_seal_is_killed_or_fails_at_each_change", "[vm][crash][slow][bare]") {
  Warden warden;
  await_seal(warden);
  REQUIRE(run_interrupted({"bpfwarden", "confirm"}, {.at = 12}).status == -1);
  REQUIRE(!is_sealed());
  interrupt_until_sealed("seal", warden, {"bpfwarden", "seal"});
  CHECK(run("bpfwarden seal").status == 0);
}

// An `apply` that goes on with what one before it has begun, and then what only a signed one can
// do.
TEST_CASE("deny_while_a_signed_policy_comes_to_a_sealed_host_and_is_killed_or_fails",
          "[vm][crash][bare][slow]") {
  Warden warden;
  await_seal(warden);
  REQUIRE(run_interrupted({"bpfwarden", "confirm"}, {.at = 12}).status == -1);
  interrupt_until_sealed(
      "apply that seals", warden,
      {"bpfwarden", "apply", "--accept-denials", "--no-events", warden.policy_file()});
  const test::TempDir folders;
  // The first makes the files that those after it write again.
  const Interrupted first = run_whole(apply_signed(warden, folders));
  INFO(first.output);
  REQUIRE(first.status == 0);
  const Interrupted whole = run_whole(apply_signed(warden, folders));
  INFO(whole.output);
  REQUIRE(whole.status == 0);
  const auto points = some_of(kills(whole), effort<size_t>(3, 100));
  const auto errors = some_of(failures(whole), effort<size_t>(2, 100));
  interrupt_signed(warden, folders, points);
  interrupt_signed(warden, folders, errors);
  std::printf("crash, apply of a signed policy: killed at %zu of %zu changes, %zu of %zu errors\n",
              points.size(), whole.changes.size(), errors.size(), failures(whole).size());
}

}  // namespace bpfwarden::vm
