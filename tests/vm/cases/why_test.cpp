// `why`: a refused agent's administrator reads why, does what it says, and the very same load is
// admitted.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kNetwork = R"(
[[rules]]
name = "network"
allow = ["xdp"]
signed-by = ["netops"]
)";

// The refusals, the latest first.
nlohmann::json why(const std::string& options = "") {
  return nlohmann::json::parse(run("bpfwarden why --json " + options).output)["refusals"];
}

std::string all_of(const nlohmann::json& sentences) {
  std::string text;
  for (const auto& one : sentences) text += one.get<std::string>() + "\n";
  return text;
}

// The errno of a load by a process in that unit.
int load_in_unit(const std::string& unit, const Load& request) {
  const std::string folder = "/sys/fs/cgroup/system.slice/" + unit;
  run("mkdir -p " + folder);
  const pid_t child = ::fork();
  if (child == 0) {
    FILE* procs = std::fopen((folder + "/cgroup.procs").c_str(), "w");
    if (procs == nullptr || std::fprintf(procs, "%d\n", ::getpid()) < 0 || std::fclose(procs) != 0)
      ::_exit(255);
    ::_exit(load(request).error);
  }
  int ended = -1;
  ::waitpid(child, &ended, 0);
  run("rmdir " + folder);
  return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
}

}  // namespace

TEST_CASE(
    "deny_an_agent_and_allow_it_once_signed_as_why_says",
    "[vm][why][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps][kernel:"
    "kernfs_parent]") {
  Warden warden;
  warden.apply("enforce", kNetwork);
  CHECK(load_in_unit("agent.service", {}) == EPERM);
  CHECK(load_in_unit("agent.service", {}) == EPERM);
  const auto refusals = why();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0]["count"] == 2);
  CHECK(refusals[0]["unit"] == "agent.service");
  CHECK(refusals[0]["outcome"] == "it got EPERM");
  CHECK(says(all_of(refusals[0]["why"]), "no rule of the policy matched"));
  CHECK(says(all_of(refusals[0]["why"]), "rule 'network'"));
  CHECK(says(all_of(refusals[0]["do"]), "bpfwarden sign scene.bpf.o --key KEY --cert CERT"));
  const std::string text = run("bpfwarden why").output;
  CHECK(says(text, "2 times since "));
  CHECK(says(text, "(agent.service, "));
  CHECK(says(text, "tried to load an unsigned xdp program 'scene'; it got EPERM."));

  Load the_same;
  CHECK(load_in_unit("agent.service", the_same.signed_by(warden.netops())) == 0);
  CHECK(why().size() == 1);
}

TEST_CASE(
    "deny_by_a_rule_and_allow_with_the_rule_that_why_gives",
    "[vm][why][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  constexpr const char* no_sockets = "[[rules]]\nname = \"no sockets\"\ndeny = [\"socket\"]\n";
  Warden warden;
  warden.apply("enforce", kNetwork + std::string(no_sockets));
  const Load request = Load::packet_filter().signed_by(warden.netops());
  CHECK(load(request).error == EPERM);
  const auto refusals = why();
  REQUIRE(refusals.size() == 1);
  CHECK(says(all_of(refusals[0]["why"]), "rule 'no sockets' on line "));
  CHECK(refusals[0]["place"].get<std::string>().starts_with("above rule 'no sockets' (line "));
  const std::string rule = refusals[0]["rule_text"];
  warden.apply("enforce", kNetwork + rule + no_sockets);
  CHECK(load(request).error == 0);
  CHECK(load(Load::packet_filter()).error == EPERM);  // the same, unsigned
}

TEST_CASE("deny_an_unsigned_program_and_allow_exactly_it_by_its_digest",
          "[vm][why][kernel][kernel:program_digest]") {
  Warden warden;
  warden.apply("enforce", kNetwork);
  CHECK(load(Load::packet_filter()).error == EPERM);
  const std::string question = why()[0]["rule_text"];
  CHECK(says(question, "# Admits nothing"));
  warden.apply("enforce", kNetwork + question);
  CHECK(load(Load::packet_filter()).error == EPERM);
  const auto answered = why()[0];
  CHECK(answered["event"]["hook"] == "bpf_prog");
  const std::string rule = answered["rule_text"];
  CHECK_FALSE(says(rule, std::string(64, '0')));
  warden.apply("enforce", kNetwork + rule);
  CHECK(load(Load::packet_filter()).error == 0);
  Load other = Load::packet_filter();
  other.insns = Load::return_value(1);
  CHECK(load(other).error == EPERM);
}

TEST_CASE("deny_in_audit_mode_is_told_as_let_through", "[vm][why]") {
  Warden warden;
  warden.apply("audit", kNetwork);
  CHECK(load({}).error == 0);
  const auto refusals = why();
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0]["refused"] == false);
  CHECK(refusals[0]["outcome"] == "it was let through in audit mode only");
}

TEST_CASE("deny_a_signature_by_the_kernel_and_name_the_missing_key",
          "[vm][why][kernel][signing][kernel:signature_attr]") {
  Warden warden;
  warden.apply("enforce", kNetwork);
  Load request;
  request.signed_by(warden.stranger(), warden.ring());
  CHECK(load(request).error == ENOKEY);
  const auto refusals = why();
  REQUIRE(refusals.size() == 1);
  const std::string id = hex(warden.stranger().certificate.subject_key_id);
  CHECK(refusals[0]["event"]["wanted_key"] == id);
  CHECK(says(all_of(refusals[0]["do"]), "missing key's id is " + id));
  CHECK(says(run("bpfwarden keys show " + warden.stranger().certificate_file.string()).output, id));

  Load changed;
  changed.signed_by(warden.netops(), warden.ring());
  changed.insns = Load::return_value(1);
  CHECK(load(changed).error == EKEYREJECTED);
  CHECK(says(all_of(why()[0]["do"]), "not of these bytes"));
  CHECK(why()[0]["event"]["wanted_key"].is_null());
}

TEST_CASE("deny_counts_once_what_is_both_kept_and_in_the_kernel", "[vm][bare][why][slow]") {
  constexpr const char* log = "/var/log/bpfwarden/events.jsonl";
  run("mkdir -p /var/log/bpfwarden; rm -f " + std::string(log) + "*");
  Warden warden;
  CHECK(run("bpfwarden why").status == 1);
  warden.apply("enforce", kNetwork);
  for (int i = 0; i < 3; i++) CHECK(load({}).error == EPERM);
  CHECK(run("bpfwarden events --output " + std::string(log)).status == 0);
  CHECK(why()[0]["count"] == 3);
  for (int i = 0; i < 2; i++) CHECK(load({}).error == EPERM);
  CHECK(why()[0]["count"] == 5);
  CHECK(why("--events " + std::string(log))[0]["count"] == 3);
  CHECK(why("--since 1h")[0]["count"] == 5);
  CHECK(why("--since 2099-01-01").empty());
  CHECK(run("bpfwarden why --since soon").status == 2);
  REQUIRE(run("bpfwarden off").status == 0);
  CHECK(why()[0]["count"] == 3);  // what the kernel had is gone with the policy
  run("rm -f " + std::string(log) + "*");
}

TEST_CASE("deny_feature_probes_and_let_them_through_by_the_rule_that_why_prints", "[vm][why]") {
  const std::string load_it =
      "bpftool prog load " + std::string(kObjects) + "/xdp_bare.bpf.o /sys/fs/bpf/probed";
  const auto story = [](bool is_probe) {
    for (const auto& one : why("--last 100"))
      if (one["probe"] == is_probe && one["event"]["comm"] == "bpftool") return one;
    return nlohmann::json();
  };
  Warden warden;
  warden.apply("enforce", "");
  (void)warden.events();
  CHECK(run(load_it).status != 0);
  const auto probe = story(true);
  REQUIRE(probe.is_object());
  CHECK(probe["what"].get<std::string>().starts_with("to load a feature probe, an unsigned "));
  CHECK(probe["do"].dump().contains("was never tried"));
  const auto rule = probe["rule_text"].get<std::string>();
  CHECK(rule.contains("load-only = ["));
  CHECK(run("bpfwarden why").output.contains("feature probe"));
  const auto hour = nlohmann::json::parse(run("bpfwarden status --json").output)["last_hour"];
  CHECK(hour["probes_refused"].get<int>() > 0);
  CHECK(hour["probes_refused"].get<int>() <= hour["refused"].get<int>());
  CHECK(run("bpfwarden metrics")
            .output.contains("bpfwarden_denials_last_hour{probe=\"true\",refused=\"true\"} " +
                             hour["probes_refused"].dump()));

  // With that rule the tool gets to what it wants, which is another question.
  warden.apply("enforce", rule);
  (void)warden.events();
  CHECK(run(load_it).status != 0);
  for (const auto& event : warden.events()) UNSCOPED_INFO(event.dump());
  CHECK(story(true)["event"]["policy_version"] < warden.version());
  CHECK(story(false)["event"]["attach"] == "xdp");
}

TEST_CASE("allow_nobody_to_take_another_refusal_for_ours", "[vm][why]") {
  Warden warden;
  warden.apply("audit", "");
  const Ran ran = run("bpfwarden why --pid 1");
  INFO(ran.output);
  CHECK(ran.status == 0);
  CHECK(ran.output.contains("nothing was refused, and nothing would have been of process 1"));
  CHECK(ran.output.contains("got it from somebody else"));
  CHECK(ran.output.contains("looked at, and not the reason:"));
  CHECK(ran.output.contains("LSM programs of others: none"));  // ours are not
  CHECK(ran.output.contains("capabilities: "));
}

}  // namespace bpfwarden::vm
