// Trying a policy: staged beside the active one, active until somebody confirms, taken back; and
// that no decision is lost on the way to who reads of it.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <thread>

#include "loader/btf/kernel_has.h"
#include "loader/policies/policy_store.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPacketFilters = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signed-by = ["netops"]
)";

constexpr const char* kXdpFromAnyone = R"(
[[rules]]
name = "xdp from anyone"
allow = ["xdp"]
signature = "unsigned"
)";

// Past the deadline, by a good margin.
void wait_until_returned() {
  for (int i = 0; i < 600 && status()["returned"] != true; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  REQUIRE(status()["returned"] == true);
}

// What a command prints on a terminal, and its exit status.
Ran run_on_terminal(const std::string& command) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  Ran ran;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(terminal, part, sizeof(part))) > 0;)
    ran.output.append(part, static_cast<size_t>(got));
  int ended = 0;
  ::waitpid(child, &ended, 0);
  ::close(terminal);
  ran.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 255;
  return ran;
}

}  // namespace

TEST_CASE("allow_a_first_apply_to_show_what_it_is_doing_to_people_and_to_nobody_else",
          "[vm][rollout][bare][slow]") {
  Warden warden;
  const std::string file = warden.write_policy("audit", kPacketFilters, 1);
  const Ran told = run_on_terminal("bpfwarden apply " + file);
  INFO(told.output);
  CHECK(told.status == 0);
  const size_t loads = told.output.find("loading the hooks: the kernel verifies them, which may");
  const size_t attaches = told.output.find("attaching the hooks...");
  CHECK(loads < attaches);
  CHECK(attaches < told.output.find("active: "));
  CHECK(run("bpfwarden off").status == 0);
  const Ran quiet = run("bpfwarden apply " + file + " 2>&1");
  CHECK(quiet.status == 0);
  CHECK_FALSE(quiet.output.contains("..."));
}

TEST_CASE("allow_apply_to_say_in_one_line_what_it_widens", "[vm][rollout]") {
  Warden warden;
  warden.apply("audit", kPacketFilters);
  uint64_t added = 0;
  const auto apply = [&](const std::string& rules, const std::string& options = "") {
    const auto version = warden.version() + ++added;
    return run("bpfwarden apply --no-events " + options +
               warden.write_policy("audit", rules, version) + " 2>&1");
  };
  const Ran wider = apply(kPacketFilters + std::string(kXdpFromAnyone));
  INFO(wider.output);
  CHECK(wider.status == 0);
  CHECK(wider.output.contains("widens: `xdp`"));
  CHECK(wider.output.contains("(`bpfwarden diff --active " + warden.policy_file() + "`)\n"));
  CHECK(apply(kPacketFilters).output.contains("widens nothing\n"));

  const auto answer =
      nlohmann::json::parse(apply(kPacketFilters + std::string(kXdpFromAnyone), "--json ").output);
  CHECK(answer["widening"].get<std::string>().starts_with("widens: `xdp`"));
  CHECK(answer["policy_version"] == warden.version() + added);
}

TEST_CASE("allow_nothing_by_a_staged_policy_and_report_each_difference",
          "[vm][rollout][bare][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  const Ran staged = run("bpfwarden stage " + warden.write_policy("enforce", kXdpFromAnyone, 7));
  CHECK(staged.status == 0);
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::packet_filter()).error == EPERM);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);

  const nlohmann::json now = status();
  CHECK(now["policy_version"] == 1);
  CHECK(now["staged"]["policy_version"] == 7);
  CHECK(now["staged"]["agreed"] == 1);
  CHECK(now["staged"]["differed"] == 2);
  const auto events = events_of_hook(warden, "staged");
  REQUIRE(events.size() == 2);
  CHECK(events[0]["attach"] == "xdp");
  CHECK(events[0]["decision"] == "allow");
  CHECK(events[0]["active_decision"] == "deny");
  CHECK(events[0]["rule"] == "xdp from anyone");
  CHECK(events[0]["policy_version"] == 7);
  CHECK(events[1]["attach"] == "socket");
  CHECK(events[1]["decision"] == "deny");
  CHECK(events[1]["active_decision"] == "allow");

  CHECK(run("bpfwarden stage --off").status == 0);
  CHECK(load({}).error == EPERM);
  CHECK(events_of_hook(warden, "staged").empty());
  CHECK(status()["staged"].is_null());
}

TEST_CASE(
    "deny_and_allow_again_by_promote_and_rollback",
    "[vm][rollout][bare][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  CHECK(run("bpfwarden promote").status == 1);
  CHECK(run("bpfwarden rollback").status == 1);
  REQUIRE(run("bpfwarden stage " + warden.write_policy("enforce", kXdpFromAnyone, 2)).status == 0);
  REQUIRE(run("bpfwarden promote").status == 0);
  CHECK(load({}).error == 0);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == EPERM);
  CHECK(status()["policy_version"] == 2);
  CHECK(status()["staged"].is_null());

  const Ran back = run("bpfwarden rollback");
  CHECK(back.status == 0);
  CHECK(says(back, "version 1"));
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::packet_filter().signed_by(warden.netops(), warden.ring())).error == 0);
  REQUIRE(run("bpfwarden rollback").status == 0);
  CHECK(status()["policy_version"] == 2);
  CHECK(load({}).error == 0);

  // Back into an enforcing policy is like any other way into one.
  const std::string audit = warden.write_policy("audit", kPacketFilters, 3);
  CHECK(run("bpfwarden apply --check " + audit).status == 1);
  REQUIRE(run("bpfwarden apply " + audit).status == 0);
  CHECK(run("bpfwarden apply --check " + audit).status == 0);
  CHECK(run("bpfwarden apply --check /none.toml").status == 2);
  CHECK(run("bpfwarden policy show").output == run("cat " + audit).output);
  const Ran into = run("bpfwarden rollback");
  CHECK(into.status == 0);
  CHECK(says(into, "confirm"));
  CHECK(status()["policy_version"] == 2);
  CHECK(status()["confirm_within"] > 200);
  REQUIRE(run("bpfwarden confirm").status == 0);
  CHECK(status()["confirm_within"] == 0);
}

// What a boot brought back although this kernel cannot hold it, for it was confirmed on another
// one.
TEST_CASE(
    "deny_a_rollback_to_what_the_kernel_cannot_hold",
    "[vm][rollout][kernel][kernel:signature_attr][kernel:folded_maps][kernel:program_digest]") {
  if (BW_KERNEL_HAS(program_digest)) SKIP("this kernel holds all of a policy");
  Warden warden;
  const std::string rule = "[[rules]]\nname = \"one\"\nallow = [\"xdp\"]\n";
  const std::string asks_too_much =
      rule + "signature = \"unsigned\"\ndigests = [\"sha256:" + std::string(64, '0') + "\"]\n";
  const std::string accepts = "accept-kernel = [\"no-digests\"]\n";
  warden.apply("enforce", kXdpFromAnyone);
  const auto confirmed_elsewhere = loader::check_policy_file(
      warden.write_policy("enforce", asks_too_much, warden.raise_version()));
  REQUIRE(confirmed_elsewhere.compiled);
  REQUIRE(loader::save_policy(confirmed_elsewhere));
  REQUIRE(loader::save_for_boot(*confirmed_elsewhere.compiled->image));
  const Ran booted = run("bpfwarden apply --saved");
  INFO(booted.output);
  REQUIRE(booted.status == 0);
  CHECK(status()["policy_version"] == warden.version());

  warden.apply("enforce", kXdpFromAnyone);
  const Ran back = run("bpfwarden rollback");
  INFO(back.output);
  CHECK(back.status == 1);
  CHECK(says(back, "this kernel cannot hold what the policy says in"));
  CHECK(says(back, "nothing was changed"));
  CHECK(status()["policy_version"] == warden.version());
  CHECK(load({}).error == 0);

  // With the weakness accepted, or refusing nothing, it is brought back.
  warden.apply("enforce", accepts + asks_too_much);
  warden.apply("enforce", kXdpFromAnyone);
  CHECK(run("bpfwarden rollback --confirm-within 0").status == 0);
  CHECK(status()["policy_version"] == warden.version() - 1);
  CHECK(load({}).error == EPERM);
  warden.apply("audit", asks_too_much);
  warden.apply("enforce", kXdpFromAnyone);
  CHECK(run("bpfwarden rollback").status == 0);
  CHECK(status()["policy_version"] == warden.version() - 1);
  CHECK(load({}).error == 0);
}

TEST_CASE("deny_until_the_deadline_then_return_with_no_process_of_ours", "[vm][rollout][bare]") {
  Warden warden;
  warden.apply("audit", kPacketFilters);
  const std::string next = warden.write_policy("enforce", kXdpFromAnyone, 2);
  const Ran applied = run("bpfwarden apply --confirm-within 10s " + next);
  CHECK(applied.status == 0);
  CHECK(says(applied, "confirm"));
  CHECK(run("pidof bpfwarden").output.empty());
  CHECK(load(Load::packet_filter()).error == EPERM);
  CHECK(load({}).error == 0);
  const Ran early = run("bpfwarden apply " + warden.write_policy("audit", kPacketFilters, 3));
  CHECK(early.status == 1);
  CHECK(says(early, "bpfwarden confirm"));

  wait_until_returned();
  CHECK(status()["policy_version"] == 1);
  CHECK(load(Load::packet_filter()).error == 0);
  const auto events = warden.events();
  REQUIRE_FALSE(events.empty());
  CHECK(events.back()["policy_version"] == 1);
  CHECK(events.back()["mode"] == "audit");
  const Ran late = run("bpfwarden confirm");
  CHECK(late.status == 1);
  CHECK(says(late, "too late"));
  CHECK(run("bpfwarden rollback").status == 1);
  // Nothing stands in the way of the next one but what it would refuse of that which ran since.
  const std::string again =
      "bpfwarden apply --confirm-within 0 " + warden.write_policy("enforce", kXdpFromAnyone, 2);
  const Ran listed = run(again);
  CHECK(listed.status == 1);
  CHECK(says(listed, "would refuse 1 of"));
  REQUIRE(run(again + " --accept-denials").status == 0);
  CHECK(load(Load::packet_filter()).error == EPERM);
}

TEST_CASE("allow_the_earlier_policys_signer_through_the_keyring_after_a_return",
          "[vm][rollout][bare][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][slow]") {
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  const std::string other = R"(
[keys.other]
certificates = [")" + warden.stranger().certificate_file.string() +
                            R"("]
[[rules]]
name = "the other team's"
allow = ["socket"]
signed-by = ["other"]
)";
  REQUIRE(run("bpfwarden apply --confirm-within 5s " + warden.write_policy("enforce", other, 2))
              .status == 0);
  CHECK(load(Load::packet_filter().signed_by(warden.stranger(), warden.ring())).error == 0);
  CHECK(load(Load::packet_filter().signed_by(warden.netops(), warden.ring())).error == EPERM);
  wait_until_returned();
  CHECK(load(Load::packet_filter().signed_by(warden.netops(), warden.ring())).error == 0);
  CHECK(load(Load::packet_filter().signed_by(warden.stranger(), warden.ring())).error == EPERM);
  // Its keyring is the later policy's, and as well protected as before.
  CHECK(run("keyctl clear %:bpfwarden").status != 0);
  CHECK(load(Load::packet_filter().signed_by(warden.netops(), warden.ring())).error == 0);
}

TEST_CASE("deny_for_good_once_confirmed", "[vm][rollout][bare][slow]") {
  Warden warden;
  warden.apply("audit", kPacketFilters);
  CHECK(run("bpfwarden confirm").status == 1);
  REQUIRE(run("bpfwarden apply " + warden.write_policy("enforce", kPacketFilters, 2)).status == 0);
  const int left = status()["confirm_within"];
  CHECK(left > 200);
  CHECK(left <= 300);
  CHECK(run("bpfwarden confirm").status == 0);
  CHECK(status()["confirm_within"] == 0);
  CHECK(load({}).error == EPERM);
  REQUIRE(run("bpfwarden apply --confirm-within 1s " +
              warden.write_policy("enforce", kXdpFromAnyone, 3))
              .status == 0);
  wait_until_returned();
  CHECK(load({}).error == EPERM);
}

TEST_CASE("allow_at_once_by_a_rollback_of_what_awaits_confirmation", "[vm][rollout][bare][slow]") {
  Warden warden;
  warden.apply("audit", kPacketFilters);
  REQUIRE(run("bpfwarden apply " + warden.write_policy("enforce", kPacketFilters, 2)).status == 0);
  CHECK(load({}).error == EPERM);
  CHECK(run("bpfwarden rollback").status == 0);
  CHECK(load({}).error == 0);
  CHECK(status()["policy_version"] == 1);
}

TEST_CASE("allow_again_when_a_first_enforcing_policy_is_not_confirmed",
          "[vm][rollout][bare][slow]") {
  Warden warden;
  REQUIRE(run("bpfwarden apply --confirm-within 5s " +
              warden.write_policy("enforce", kPacketFilters, 1))
              .status == 0);
  CHECK(load({}).error == EPERM);
  wait_until_returned();
  (void)warden.events();
  CHECK(load({}).error == 0);
  const auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["decision"] == "deny");
  CHECK(events[0]["mode"] == "audit");
  CHECK(status()["mode"] == "audit");
  const Ran listed = run("bpfwarden apply " + warden.policy_file());
  CHECK(listed.status == 1);
  CHECK(says(listed, "would refuse 1 of"));
  REQUIRE(run("bpfwarden apply --accept-denials " + warden.policy_file()).status == 0);
  CHECK(load({}).error == EPERM);
  REQUIRE(run("bpfwarden confirm").status == 0);
  CHECK(load({}).error == EPERM);
}

TEST_CASE("deny_an_enforcing_policy_that_would_refuse_what_runs",
          "[vm][rollout][bare][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][slow]") {
  Warden warden;
  warden.apply("audit", kPacketFilters);
  const Attempt stranger = load({});
  const Attempt known = load(Load::packet_filter().signed_by(warden.netops()));
  REQUIRE(stranger.error == 0);
  REQUIRE(known.error == 0);
  const std::string policy = warden.write_policy("enforce", kPacketFilters, 2);
  const Ran refused = run("bpfwarden apply " + policy);
  CHECK(refused.status == 1);
  CHECK(says(refused, "would refuse 1 of"));
  CHECK(says(refused, "'scene', xdp, no known signer"));
  CHECK(says(refused, "--accept-denials"));
  CHECK(status()["policy_version"] == 1);
  CHECK(load({}).error == 0);
  const Ran staged = run("bpfwarden stage " + policy);
  CHECK(staged.status == 0);
  CHECK(says(staged, "would refuse 1 of"));
  CHECK(run("bpfwarden promote").status == 1);
  CHECK(run("bpfwarden promote --accept-denials --confirm-within 0").status == 0);
  CHECK(load({}).error == EPERM);
}

TEST_CASE("allow_after_a_reboot_what_was_confirmed_before_it", "[vm][rollout][bare]") {
  Warden warden;
  warden.apply("enforce", kXdpFromAnyone);
  REQUIRE(run("bpfwarden apply --confirm-within 5m " +
              warden.write_policy("enforce", kPacketFilters, 2))
              .status == 0);
  CHECK(load({}).error == EPERM);
  lose_kernel_state();
  run("rm " + warden.policy_file());
  const Ran saved = run("bpfwarden apply --saved");
  CHECK(saved.status == 0);
  CHECK(status()["policy_version"] == 1);
  CHECK(status()["confirm_within"] == 0);
  CHECK(load({}).error == 0);
  CHECK(load(Load::packet_filter()).error == EPERM);
  REQUIRE(run("bpfwarden off").status == 0);
  CHECK(run("bpfwarden apply --saved").status == 1);
}

TEST_CASE("deny_after_a_reboot_what_a_rule_past_its_trial_denied_before_it",
          "[vm][rollout][bare][slow]") {
  Warden warden;
  warden.apply("audit", R"(
[[rules]]
name = "no xdp"
deny = ["xdp"]
mode = "enforce"
)");
  REQUIRE(load({}).error == EPERM);
  lose_kernel_state();
  REQUIRE(load({}).error == 0);
  REQUIRE(run("bpfwarden apply --saved").status == 0);
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::packet_filter()).error == 0);
}

TEST_CASE("deny_by_a_saved_policy_whose_copy_was_changed", "[vm][rollout][bare][slow]") {
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  lose_kernel_state();
  REQUIRE(run("sed -i s/socket/xdp/ /var/lib/bpfwarden/policies/*.policy.json").status == 0);
  const Ran saved = run("bpfwarden apply --saved");
  CHECK(saved.status == 1);
  CHECK(says(saved, "no longer gives the policy"));
}

TEST_CASE("allow_children_by_the_staged_policys_own_view_of_their_signer",
          "[vm][rollout][bare][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][slow]") {
  Warden warden;
  warden.apply("audit", "[[rules]]\nname = \"no tracing\"\ndeny = [\"fentry/*\"]\n");
  // Slots differ: in the staged policy netops comes after another key.
  const std::string rules = R"(
[[rules]]
name = "netops may"
allow = ["xdp", "fentry/*"]
signed-by = ["netops"]
signature = "prog-used-maps"
)";
  REQUIRE(run("bpfwarden stage " + warden.write_policy("audit", rules, 2)).status == 0);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.netops().ring) == 0);
  auto events = events_of_hook(warden, "staged");
  REQUIRE(events.size() == 2);  // the loader and its child
  CHECK(events[1]["origin"] == "loader");
  CHECK(events[1]["decision"] == "allow");
  CHECK(events[1]["signer"] == "netops");
  CHECK(load_bundle(sign_object("xdp_pass", warden.stranger()), warden.stranger().ring) == 0);
  CHECK(events_of_hook(warden, "staged").empty());  // both say deny, both in audit mode
  CHECK(status()["staged"]["agreed"] == 2);
}

TEST_CASE("deny_many_times_and_account_for_each_event", "[vm][rollout][bare][slow]") {
  constexpr uint64_t processes = 4;
  const auto each = effort<uint64_t>(5'000, 50'000);
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  const nlohmann::json before = status()["counters"];
  std::vector<pid_t> children;
  for (uint64_t i = 0; i < processes; i++) {
    const pid_t child = ::fork();
    if (child == 0) {
      uint64_t refused = 0;
      for (uint64_t n = 0; n < each; n++) refused += load({}).error == EPERM;
      ::_exit(refused == each ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int ended = -1;
    REQUIRE(::waitpid(child, &ended, 0) == child);
    CHECK(ended == 0);
  }
  const nlohmann::json after = status()["counters"];
  const auto events = warden.events();
  const auto of = [&](const char* name) {
    return after[name].get<uint64_t>() - before[name].get<uint64_t>();
  };
  CHECK(of("decided") == processes * each);
  CHECK(of("refused") == processes * each);
  uint64_t told = 0;
  for (const auto& event : events) told += event["count"].get<uint64_t>();
  CHECK(of("dropped") == 0);
  CHECK(of("summed") > 0);
  CHECK(told == of("decided"));
}

TEST_CASE("deny_300_times_into_files_that_hold_each_event_once", "[vm][rollout][bare][slow]") {
  constexpr int times = 300;
  Warden warden;
  warden.apply("enforce", kPacketFilters);
  const test::TempDir folder;
  const std::string file = folder.path() / "events.jsonl";
  run("bpfwarden events --follow --output " + file +
      " --max-size 100KB --keep 9 >/dev/null & echo $! > " + file + ".pid");
  for (int i = 0; i < times; i++) CHECK(load({}).error == EPERM);
  const std::string lines = "cat " + file + "* | grep -c '\"attach\":\"xdp\"'";
  for (int i = 0; i < 300 && run(lines).output != std::to_string(times) + "\n"; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(run(lines).output == std::to_string(times) + "\n");
  CHECK(run("test -s " + file + ".1").status == 0);
  CHECK(run("cat " + file + "* | grep -o '\"sequence\":[0-9]*' | sort | uniq -d").output.empty());
  run("kill $(cat " + file + ".pid)");
}

}  // namespace bpfwarden::vm
