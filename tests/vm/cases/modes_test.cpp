// Audit and enforce, changing the policy, and what stays when no process of ours runs.
#include <bpf/bpf.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/fd.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signed-by = ["netops"]
)";

// Of the pinned hooks. By bpftool it would take half a minute: it reads all symbols for each.
std::vector<uint32_t> link_ids() {
  std::vector<uint32_t> ids;
  for (const auto& pin : std::filesystem::directory_iterator("/sys/fs/bpf/bpfwarden")) {
    if (!pin.path().filename().string().starts_with("link_")) continue;
    const Fd link(bpf_obj_get(pin.path().c_str()));
    bpf_link_info info = {};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_obj_get_info_by_fd(link.get(), &info, &size) == 0);
    ids.push_back(info.id);
  }
  std::ranges::sort(ids);
  return ids;
}

// Uid 65534.
Ran as_nobody(const std::string& command) {
  return run("busybox su -s /bin/sh nobody -c '" + command + "'");
}

}  // namespace

TEST_CASE("allow_everything_in_audit_mode_and_say_what_enforce_would_refuse", "[vm][modes]") {
  Warden warden;
  warden.apply("audit", kRules);
  CHECK(load({}).error == 0);
  auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["decision"] == "deny");
  CHECK(events[0]["refused"] == false);
  CHECK(events[0]["mode"] == "audit");
  CHECK(status()["counters"]["would_deny"] == 1);

  warden.apply("enforce", kRules);
  CHECK(load({}).error == EPERM);
  events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["refused"] == true);
}

TEST_CASE(
    "deny_by_a_rule_past_its_trial_under_an_audit_policy",
    "[vm][modes][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("audit", R"(
[[rules]]
name = "tracing"
allow = ["tp/*"]
signed-by = ["netops"]
mode = "enforce"
)");
  CHECK(load(Load::of_type(BPF_PROG_TYPE_TRACEPOINT)).error == EPERM);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_TRACEPOINT).signed_by(warden.netops())).error == 0);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_XDP, 2)).error == 0);
}

TEST_CASE("allow_by_a_rule_on_trial_under_an_enforcing_policy", "[vm][modes]") {
  Warden warden;
  warden.apply("enforce", R"(
[[rules]]
name = "no tracing, on trial"
deny = ["tp/*"]
mode = "audit"
[[rules]]
name = "no xdp"
deny = ["xdp"]
)");
  CHECK(load(Load::of_type(BPF_PROG_TYPE_TRACEPOINT)).error == 0);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_XDP, 2)).error == EPERM);
}

TEST_CASE(
    "allow_a_new_policy_without_detaching",
    "[vm][modes][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const std::vector<uint32_t> before = link_ids();
  REQUIRE(before.size() > 1);
  const uint64_t generation = status()["generation"];
  warden.apply("audit", kRules);
  CHECK(link_ids() == before);
  CHECK(status()["generation"] == generation + 1);
  CHECK(status()["mode"] == "audit");
  for (int i = 0; i < 6; i++) warden.apply("enforce", kRules);  // each slot more than once
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER).signed_by(warden.netops())).error == 0);
}

TEST_CASE("deny_an_older_policy", "[vm][modes]") {
  Warden warden;
  warden.apply("enforce", kRules);
  warden.apply("enforce", kRules);
  const auto before = status();
  const Ran older = warden.try_apply("audit", kRules, 1);
  CHECK(older.status == 1);
  CHECK(older.output.find("versions only increase") != std::string::npos);
  const Ran same_version = warden.try_apply("audit", kRules, warden.version());
  CHECK(same_version.status == 1);
  CHECK(status() == before);
  CHECK(warden.try_apply("audit", kRules, warden.version() + 1).status == 0);
}

TEST_CASE("deny_a_policy_with_errors_and_change_nothing", "[vm][modes]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const auto before = status();
  CHECK(warden.try_apply("enforce", "[[rules]]\nnane = \"x\"\n", warden.version() + 1).status == 2);
  CHECK(status() == before);
  CHECK(load({}).error == EPERM);
}

TEST_CASE("deny_goes_on_with_no_process_of_ours", "[vm][modes]") {
  Warden warden;
  warden.apply("enforce", kRules);
  CHECK(run("pidof bpfwarden").status != 0);
  CHECK(load({}).error == EPERM);
  CHECK(status()["hooks"].size() == 50);
  CHECK(run("bpfwarden off").status == 0);
  CHECK(load({}).error == 0);
  CHECK(run("bpfwarden status").status == 1);
  CHECK(run("ls /sys/fs/bpf/bpfwarden").status != 0);
}

TEST_CASE("deny_goes_on_where_nobody_sees_the_pins", "[vm][modes][slow]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const auto elsewhere = [](const std::string& command) {
    return run("busybox unshare -m sh -c 'mount -t bpf bpf /sys/fs/bpf && " + command + "'");
  };
  for (const char* verb : {"status", "events", "metrics", "inventory", "confirm"}) {
    const Ran ran = elsewhere(std::string("bpfwarden ") + verb);
    INFO(verb << ": " << ran.output);
    CHECK(ran.status == 1);
    CHECK(says(ran, "not in this /sys/fs/bpf"));
    CHECK_FALSE(says(ran, "bpfwarden off"));
    CHECK_FALSE(says(ran, "off:"));
  }
  const Ran again = elsewhere("bpfwarden apply --confirm-within 0 " +
                              warden.write_policy("audit", kRules, warden.version() + 1));
  CHECK(again.status == 1);
  CHECK(says(again, "not in this /sys/fs/bpf"));
  CHECK(load({}).error == EPERM);

  // Without a BPF file system, with one that is read-only, and out of descriptors: 3 are there.
  const auto without = [](const std::string& command) {
    return run("busybox unshare -m sh -c 'umount -l /sys/fs/bpf && " + command + "'");
  };
  const auto read_only = [](const std::string& command) {
    return run("busybox unshare -m sh -c 'mount -o remount,ro,bind /sys/fs/bpf && " + command +
               "'");
  };
  const auto out_of_descriptors = [](const std::string& command) {
    std::string all;
    for (const char* limit : {"4", "8", "16", "20", "22"}) {
      const Ran ran = run("(ulimit -n " + std::string(limit) + "; " + command + ")");
      INFO(limit << ": " << ran.output);
      all += ran.output;
    }
    return all;
  };
  for (const char* verb : {"status", "metrics", "inventory"}) {
    const std::string command = std::string("bpfwarden ") + verb;
    const Ran gone = without(command);
    INFO(verb << ": " << gone.output);
    CHECK(gone.status == 1);
    CHECK(says(gone, "not in this /sys/fs/bpf"));
    CHECK(read_only(command).status == 0);
    const std::string starved = out_of_descriptors(command);
    INFO(starved);
    CHECK(starved.find("bpfwarden off") == std::string::npos);
    CHECK(starved.find("off:") == std::string::npos);
    CHECK(starved.find("are gone") == std::string::npos);
    CHECK(starved.find("bpfwarden_active 0") == std::string::npos);
  }

  // Nor does who may not look learn that there is nothing, or how to end it.
  for (const char* verb : {"status", "events", "inventory"}) {
    const Ran ran = as_nobody(std::string("bpfwarden ") + verb);
    INFO(verb << ": " << ran.output);
    CHECK(ran.status == 1);
    CHECK(says(ran, "as root"));
    CHECK_FALSE(says(ran, "bpfwarden off"));
  }
}

TEST_CASE("allow_programs_from_before", "[vm][bare][modes][slow]") {
  Warden warden;
  REQUIRE(run("bpftool prog load " + std::string(kObjects) + "/xdp_bare.bpf.o /sys/fs/bpf/resident")
              .status == 0);
  warden.apply("enforce", kRules);
  CHECK(run("bpftool prog show pinned /sys/fs/bpf/resident").status == 0);
  CHECK(load({}).error == EPERM);

  const auto residents = status()["residents"];
  CHECK(residents["count"] == 1);
  CHECK(residents["would_deny"] == 1);
  CHECK(
      says(run("bpfwarden status"), "1 from before the first policy, 1 of which it would refuse"));
  const Ran listed = run("bpfwarden inventory");
  CHECK(says(listed, " 1 resident"));
  CHECK(says(listed, "to take it away: `rm /sys/fs/bpf/resident`"));
  CHECK(says(listed, " of bpfwarden itself, which hold the policy: `inventory --all`"));
  CHECK_FALSE(says(listed, "warden_prog_load"));
  CHECK(says(run("bpfwarden inventory --all"), "warden_prog_load"));
  CHECK(says(run("bpfwarden inventory --standing own"), "warden_prog_load"));
  CHECK_FALSE(says(run("bpfwarden inventory --attach 'tc*'"), "resident"));
  CHECK(says(run("bpfwarden inventory --attach xdp"), "resident"));
  CHECK(run("bpfwarden inventory --standing nonsense").status == 2);
  const Ran at_boot = run("bpfwarden inventory --fail-on-resident");
  CHECK(at_boot.status == 1);
  CHECK(says(at_boot, "1 program is from before the first policy"));
  CHECK(run("rm /sys/fs/bpf/resident").status == 0);
  CHECK(run("bpfwarden inventory --fail-on-resident").status == 0);
  CHECK(status()["residents"]["count"] == 0);
}

TEST_CASE("allow_events_to_be_counted_without_a_gap", "[vm][modes][slow]") {
  Warden warden;
  warden.apply("audit", "", "allow");
  const uint64_t decided = status()["counters"]["decided"];
  constexpr uint64_t rounds = 12'000;  // more than the ring buffer holds
  for (uint64_t i = 0; i < rounds; i++) (void)load({});
  const auto events = warden.events();
  const auto counters = status()["counters"];
  CHECK(counters["decided"] == decided + rounds);
  CHECK(counters["dropped"].get<uint64_t>() > 0);
  CHECK(counters["summed"] == 0);
  CHECK(events.size() + counters["dropped"].get<uint64_t>() == rounds);
  for (size_t i = 1; i < events.size(); i++)
    if (events[i]["sequence"] != events[i - 1]["sequence"].get<uint64_t>() + 1)
      FAIL("a gap inside what was received");
}

}  // namespace bpfwarden::vm
