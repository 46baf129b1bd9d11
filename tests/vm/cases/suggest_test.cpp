// From what ran under audit to a policy that enforces it; and that a preflight asks about what was
// recorded.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNothing =
    "[[rules]]\nname = \"filters\"\nallow = [\"socket\"]\n"
    "signed-by = [\"netops\"]\n";

// Not `r0 = 0; exit`: that is a feature probe of libbpf, and admitted as such, whoever signs it.
Load signed_filter(const Signer& signer) {
  return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 5).signed_by(signer);
}

int load_with_bpftool() {
  const Ran ran =
      run("bpftool prog load " + std::string(kObjects) + "/xdp_bare.bpf.o /sys/fs/bpf/suggest_xdp");
  run("rm -f /sys/fs/bpf/suggest_xdp");
  return ran.status;
}

std::string recorded(const test::TempDir& folder) {
  std::string file = folder.path() / "events.jsonl";
  REQUIRE(run("bpfwarden events --output " + file).status == 0);
  return file;
}

// Puts the bare XDP program onto lo by both tools, one after the other.
bool attaches_by_tools() {
  const std::string object = std::string(kObjects) + "/xdp_bare.bpf.o";
  const bool by_bpftool =
      load_with_bpftool() == 0 && run("bpftool prog load " + object +
                                      " /sys/fs/bpf/suggest_lo && bpftool net attach xdpgeneric "
                                      "pinned /sys/fs/bpf/suggest_lo dev lo")
                                          .status == 0;
  run("bpftool net detach xdpgeneric dev lo; rm -f /sys/fs/bpf/suggest_lo");
  const bool by_ip = run("ip link set dev lo xdpgeneric obj " + object + " sec xdp").status == 0;
  run("ip link set dev lo xdpgeneric off");
  return by_bpftool && by_ip;
}

}  // namespace

TEST_CASE("allow_after_a_reboot_what_ran_under_a_policy_that_suggest_keeps",
          "[vm][bare][rollout][suggest][kernel][kernel:program_digest][slow]") {
  needs_digests();
  Warden warden;
  const test::TempDir folder;
  warden.apply("audit",
               "# ours: nobody hooks security\n[[rules]]\nname = \"no lsm\"\ndeny = [\"lsm/*\"]\n"
               "[[rules]]\nname = \"probes\"\nload-only = [\"socket\", \"kprobe/*\", \"tp/*\"]\n"
               "signature = \"unsigned\"\n");
  REQUIRE(attaches_by_tools());
  REQUIRE(load({}).error == 0);
  const std::string events = recorded(folder);
  const std::string policy = folder.path() / "suggested.toml";
  const Ran suggested =
      run("bpfwarden suggest --mode enforce --no-inventory --events " + events + " -o " + policy);
  const std::string text = run("cat " + policy).output;
  INFO(suggested.output << text);
  REQUIRE(suggested.status == 0);
  CHECK(says(suggested, "mode: audit -> enforce"));
  CHECK(says(suggested, "kept: all 2 rules"));
  for (const char* kept : {"# ours: nobody hooks security", "no lsm", "probes", "xdp@lo"})
    CHECK(text.find(kept) != std::string::npos);
  // What a reboot leaves: neither hooks nor keyring, and the file.
  REQUIRE(run("bpfwarden off").status == 0);
  const Ran applied = run("bpfwarden apply --no-events --confirm-within 0 " + policy);
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  CHECK(attaches_by_tools());
  CHECK(load({}).error == 0);
  CHECK(load({.insns = Load::return_value(1)}).error == EPERM);  // an unsigned stranger
  const Ran shown = run("bpfwarden diff --active " + policy);
  INFO(shown.output);
  CHECK(shown.status == 0);
}

TEST_CASE(
    "allow_again_what_ran_under_audit_by_a_suggested_policy",
    "[vm][rollout][suggest][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
    "maps][kernel:program_digest]") {
  needs_digests();
  needs_tools_whose_signatures_hold();
  Warden warden;
  const test::TempDir folder;
  warden.apply("audit", kNothing);
  REQUIRE(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
  REQUIRE(load(signed_filter(warden.netops())).error == 0);
  REQUIRE(load_with_bpftool() == 0);
  const std::string events = recorded(folder);
  const std::string policy = folder.path() / "suggested.toml";
  const std::string tests = folder.path() / "suggested.test.toml";
  const Ran suggested = run("bpfwarden suggest --mode enforce --events " + events + " -o " +
                            policy + " --tests " + tests);
  INFO(suggested.output << run("cat " + policy).output);
  REQUIRE(suggested.status == 0);
  const Ran checked = run("bpfwarden check " + policy);
  CHECK(checked.status == 0);
  const Ran tested = run("bpfwarden test --min-coverage 100 " + tests);
  INFO(tested.output);
  CHECK(tested.status == 0);

  const Ran applied = run("bpfwarden apply --confirm-within 0 --events " + events + " " + policy);
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring()) == 0);
  CHECK(load(signed_filter(warden.netops())).error == 0);
  CHECK(load_with_bpftool() == 0);
  CHECK(load({.insns = Load::return_value(1)}).error == EPERM);  // an unsigned stranger
  CHECK(load(signed_filter(warden.stranger())).error == EPERM);
}

TEST_CASE("allow_no_digest_to_be_missing_from_the_event_of_a_program_that_ran",
          "[vm][rollout][suggest][kernel][kernel:program_digest]") {
  needs_digests();
  Warden warden;
  warden.apply("audit", kNothing);
  REQUIRE(load({}).error == 0);
  auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["digest"].is_string());
  CHECK(events[0]["program_id"] != 0);
  CHECK(events[0]["program"] == "scene");
  // The verifier rejects it: r0 is not set.
  const Load rejected = {.insns = {0x95, 0, 0, 0, 0, 0, 0, 0}};
  CHECK(load(rejected).error == EACCES);
  events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["digest"].is_null());
  CHECK(events[0]["decision"] == "deny");
  CHECK(events[0]["program"] == "scene");
  CHECK(events[0]["exe"].is_string());
  const auto status = nlohmann::json::parse(run("bpfwarden status --json").output);
  CHECK(status["counters"]["postponed"] == 0);
}

TEST_CASE("allow_after_a_reboot_a_program_with_addresses_of_kernel_symbols",
          "[vm][bare][rollout][suggest][kernel][kernel:program_digest][slow]") {
  needs_digests();
  Warden warden;
  const test::TempDir folder;
  warden.apply("audit",
               "[[rules]]\nname = \"probes\"\nload-only = [\"kprobe/*\", \"tp/*\"]\n"
               "signature = \"unsigned\"\n");
  const auto loads = [](const std::string& object) {
    const Ran ran = run("bpftool prog loadall " + std::string(kOwnObjects) + "/" + object +
                        ".bpf.o /sys/fs/bpf/addresses");
    run("rm -rf /sys/fs/bpf/addresses_before; mv /sys/fs/bpf/addresses "
        "/sys/fs/bpf/addresses_before");
    return ran.status == 0;
  };
  REQUIRE(loads("addresses"));  // and it is still there when suggest looks
  const std::string events = recorded(folder);
  const std::string policy = folder.path() / "suggested.toml";
  const Ran suggested =
      run("bpfwarden suggest --mode enforce --events " + events + " -o " + policy);
  const std::string text = run("cat " + policy).output;
  INFO(suggested.output << text);
  REQUIRE(suggested.status == 0);
  CHECK(text.find("kernel symbols into them: bpf_prog_fops.") != std::string::npos);
  const size_t by_exe = text.find("exe ");
  REQUIRE(by_exe != std::string::npos);
  CHECK(text.find("exe ", by_exe + 1) == std::string::npos);
  // By what comments say: the two others stay the same, and are listed exactly.
  for (const char* exact : {" with_type: ", " with_clock: "}) {
    const size_t listed = text.find(exact);
    REQUIRE(listed != std::string::npos);
    CHECK(text.find("digests ", listed) < text.find("exe ", listed));
  }
  REQUIRE(run("bpfwarden off").status == 0);
  const Ran applied = run("bpfwarden apply --no-events --confirm-within 0 " + policy);
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  CHECK(loads("addresses_later"));
  CHECK(load({.insns = Load::return_value(1)}).error == EPERM);  // by another executable
}

TEST_CASE("deny_to_enforce_what_a_recorded_load_would_not_survive",
          "[vm][bare][rollout][suggest][kernel][kernel:program_digest][slow]") {
  needs_digests();
  Warden warden;
  const test::TempDir folder;
  warden.apply("audit", kNothing);
  REQUIRE(load({}).error == 0);  // and it is gone
  const std::string events = " --events " + recorded(folder) + " ";
  const std::string policy = warden.write_policy("enforce", kNothing, 2);
  const Ran refused = run("bpfwarden apply" + events + policy);
  CHECK(refused.status == 1);
  CHECK(says(refused, "would refuse 1 of the kinds of loads that were recorded"));
  CHECK(says(refused, "'scene', xdp, no known signer, by "));
  CHECK(says(refused, "1 time, last 20"));
  CHECK(load({}).error == 0);
  // By itself, too, it looks at what is still in the kernel's buffer.
  CHECK(run("bpfwarden apply " + policy).status == 1);
  CHECK(run("bpfwarden apply --preflight " + policy).status == 1);
  const Ran staged = run("bpfwarden stage" + events + policy);
  CHECK(staged.status == 0);
  CHECK(says(staged, "would refuse 1 of the kinds of loads that were recorded"));
  CHECK(run("bpfwarden promote" + events).status == 1);
  const Ran accepted = run("bpfwarden apply --accept-denials --confirm-within 0" + events + policy);
  CHECK(accepted.status == 0);
  CHECK(load({}).error == EPERM);
  // What is refused already is nothing new.
  const Ran next = run("bpfwarden apply --confirm-within 0" + events +
                       warden.write_policy("enforce", kNothing, 3));
  INFO(next.output);
  CHECK(next.status == 0);
}

TEST_CASE("allow_what_runs_now_by_the_inventory_as_a_policy",
          "[vm][rollout][suggest][kernel][kernel:program_digest]") {
  needs_digests();
  Warden warden;
  const test::TempDir folder;
  warden.apply("audit", kNothing);
  const Attempt runs = load({});
  REQUIRE(runs.error == 0);
  const std::string policy = folder.path() / "now.toml";
  REQUIRE(
      run("bpfwarden inventory --as-policy | sed 's/\"audit\"/\"enforce\"/' > " + policy).status ==
      0);
  INFO(run("cat " + policy).output);
  const Ran applied = run("bpfwarden apply --no-events --confirm-within 0 " + policy);
  INFO(applied.output);
  REQUIRE(applied.status == 0);
  CHECK(load({}).error == 0);
  CHECK(load({.insns = Load::return_value(1)}).error == EPERM);
}

}  // namespace bpfwarden::vm
