// `why` from recorded events: what repeats is told once, and the advice fits what happened.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/events/advice.h"
#include "loader/events/refusal_text.h"
#include "loader/events/refusals.h"
#include "loader/text/time_text.h"
#include "tests/unit/keyring/test_keys.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15T08:00:00Z
const std::string kDigest(64, 'd');

// As `bpfwarden events --json` prints one, in the members that matter here.
json refused(int sequence, const std::string& time = "2027-01-15T07:57:00.000000Z") {
  return {{"sequence", sequence},
          {"time_ns", 1'000 * sequence},
          {"time", time},
          {"hook", "bpf_prog_load"},
          {"decision", "deny"},
          {"refused", true},
          {"errno", EPERM},
          {"mode", "enforce"},
          {"rule", nullptr},
          {"rule_line", nullptr},
          {"cause", "default"},
          {"almost", json::array()},
          {"signature", "unsigned"},
          {"signer", nullptr},
          {"attach", "xdp"},
          {"program", "drop"},
          {"digest", nullptr},
          {"pid", 41},
          {"tgid", 40 + sequence},
          {"uid", 998},
          {"comm", "agent"},
          {"exe", "/usr/bin/agent"},
          {"cgroup", "/system.slice/agent.service/worker"},
          {"policy_version", 12}};
}

json with(json event, const json& changes) {
  event.update(changes);
  return event;
}

Advice advice_for(const json& event) { return advice_for(event_of(event)); }

RefusalGroup only(const json& event) {
  RefusalLog log;
  log.add(event_of(event));
  REQUIRE(log.size() == 1);
  return log.latest(1).front();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string all_steps(const Advice& advice) {
  std::string text;
  for (const std::string& step : advice.steps) text += step + "\n";
  return text;
}

}  // namespace

TEST_CASE("who only looked at bpfwarden's own objects, and was let, was refused nothing") {
  const json look = with(refused(1), {{"hook", "own-object"},
                                      {"cause", "own-object-touched"},
                                      {"route", "by-number"},
                                      {"object", "BTF"},
                                      {"refused", false},
                                      {"errno", 0}});
  RefusalLog log;
  log.add(event_of(look));
  CHECK(log.size() == 0);
  log.add(event_of(with(look, {{"route", "writable-by-pin"}})));
  CHECK(log.size() == 1);
  log.add(event_of(with(look, {{"refused", true}, {"errno", ENOENT}})));
  CHECK(log.size() == 2);
}

TEST_CASE("refusals that repeat each other are one group, the latest first") {
  RefusalLog log;
  log.add(event_of(refused(1, "2027-01-15T07:00:00.000000Z")));
  log.add(event_of(with(refused(2), {{"attach", "tc"}})));
  log.add(event_of(refused(3, "2027-01-15T07:59:00.000000Z")));
  log.add(event_of(with(refused(4), {{"decision", "allow"}, {"refused", false}})));
  log.add(event_of(with(refused(5), {{"hook", "staged"}})));
  REQUIRE(log.size() == 2);
  const auto groups = log.latest(5);
  CHECK(groups[0].count == 2);
  CHECK(groups[0].first == kNow - 3'600);
  CHECK(groups[0].last == kNow - 60);
  CHECK(groups[0].event.sequence == 3);
  CHECK(groups[1].event.attach == "tc");
  CHECK(log.latest(1).size() == 1);
  RefusalLog recent(kNow - 600);
  recent.add(event_of(refused(1, "2027-01-15T07:00:00.000000Z")));
  CHECK(recent.size() == 0);
}

TEST_CASE("a refusal is told in sentences: who, what, when, why") {
  RefusalLog log;
  for (int i = 1; i <= 14; i++) log.add(event_of(refused(i)));
  const std::string text = refusal_text(log.latest(1).front(), kNow);
  CHECK(text.starts_with("14 times since " + local_time(kNow - 180) + ", last " +
                         local_time(kNow - 180) + " (3 minutes ago)\n"));
  CHECK(has(text,
            "agent (agent.service, /usr/bin/agent, uid 998, pid 54) tried to load an unsigned xdp "
            "program 'drop'; it got EPERM."));
  CHECK(
      has(text, "why: no rule of the policy matched, so its default decided (policy version 12)"));
  const std::string let_through = refusal_text(
      only(with(refused(1), {{"refused", false}, {"errno", 0}, {"mode", "audit"}})), kNow);
  CHECK(has(let_through, "it was let through in audit mode only."));
}

TEST_CASE("advice for an unsigned program: sign it, or admit it by its digest") {
  const Advice known = advice_for(with(refused(1), {{"digest", kDigest}}));
  CHECK(has(known.steps.front(), "bpfwarden sign drop.bpf.o --key KEY --cert CERT -o drop.bundle"));
  CHECK(has(known.rule, "digests   = [\"sha256:" + kDigest + "\"]"));
  CHECK(has(known.rule, "signature = \"unsigned\""));
  CHECK(known.place == "anywhere among the rules");
  const Advice unknown = advice_for(refused(1));
  CHECK(has(unknown.rule, "sha256:" + std::string(64, '0')));
  CHECK(has(unknown.rule, "# Admits nothing"));
  CHECK(has(all_steps(unknown), "tried once more"));
}

TEST_CASE("advice for a signed program: the rule for its key, before the one that decided") {
  const json event = with(refused(1), {{"signature", "prog-only"},
                                       {"signer", "netops"},
                                       {"cause", "rule"},
                                       {"rule", "no xdp"},
                                       {"rule_line", 9}});
  const Advice advice = advice_for(event);
  CHECK(advice.rule ==
        "[[rules]]\nname      = \"netops: xdp\"\nallow     = [\"xdp\"]\nsigned-by = "
        "[\"netops\"]\n");
  CHECK(advice.place.starts_with("above rule 'no xdp' (line 9)"));
  CHECK(has(refusal_text(only(event), kNow), "rule 'no xdp' on line 9 decided"));
  const Advice loader = advice_for(with(event, {{"attach", "syscall"}}));
  CHECK(has(all_steps(loader), "light skeleton"));
  const Advice stranger = advice_for(with(event, {{"signer", nullptr}}));
  CHECK(stranger.rule.empty());
  CHECK(has(all_steps(stranger), "[keys.NAME]"));
}

TEST_CASE("advice for an attachment: that very place, in the rule that admitted the load") {
  const json event = with(refused(1), {{"hook", "attach"},
                                       {"route", "link-create"},
                                       {"attach", "xdp@eth1"},
                                       {"signature", "prog-only"},
                                       {"signer", "netops"},
                                       {"digest", kDigest}});
  const Advice advice = advice_for(event);
  CHECK(advice.steps ==
        std::vector<std::string>{"If 'netops' may attach it there, add `xdp@eth1` to the rule that "
                                 "admitted its load, or add the rule below."});
  CHECK(advice.rule ==
        "[[rules]]\nname      = \"netops: xdp@eth1\"\nallow     = [\"xdp@eth1\"]\nsigned-by = "
        "[\"netops\"]\n");
  CHECK(has(refusal_text(only(event), kNow),
            "tried to attach a prog-only signed (by netops) program 'drop' to xdp@eth1 by "
            "link-create; it got EPERM."));
  const json unsigned_run =
      with(refused(1),
           {{"hook", "attach"}, {"route", "test-run"}, {"attach", "xdp"}, {"digest", kDigest}});
  const Advice run = advice_for(unsigned_run);
  CHECK(has(run.steps.front(), "If it may be run, add `xdp` to the rule that admitted its load"));
  CHECK(has(all_steps(run), "an attach point with `@` does not admit it"));
  CHECK(has(run.rule, "digests   = [\"sha256:" + kDigest + "\"]"));
  CHECK(has(refusal_text(only(unsigned_run), kNow), "tried to run an unsigned xdp program 'drop'"));
  const Advice unknown = advice_for(with(event, {{"attach", "kprobe/…"}}));
  CHECK(has(unknown.steps.front(), "add `kprobe/*` to"));
  CHECK(unknown.steps.size() == 1);
  const Advice shared = advice_for(with(event, {{"cause", "shared-files"}}));
  CHECK(shared.rule.empty());
  CHECK(has(all_steps(shared), "Attach from a process with a single thread"));
}

TEST_CASE("advice for a device that was renamed or moved: how to take its program away") {
  const json renamed = with(refused(1), {{"hook", "attach"},
                                         {"route", "device-renamed"},
                                         {"attach", "xdp@eth1"},
                                         {"refused", false},
                                         {"errno", 0}});
  CHECK(has(refusal_text(only(renamed), kNow),
            " renamed the device of an unsigned program 'drop', now xdp@eth1; the program is still "
            "attached."));
  const Advice advice = advice_for(renamed);
  CHECK(has(advice.steps.front(), "`bpfwarden inventory`"));
  CHECK(has(advice.steps.front(),
            "`bpftool link detach id ID` if it is a link, else "
            "`ip link set dev eth1 xdp off`."));
  CHECK(has(all_steps(advice), "add `xdp@eth1` to the rule that admitted its load"));
  const json moved = with(renamed, {{"route", "device-moved"}, {"attach", "tc@netns:42/eth0"}});
  CHECK(has(refusal_text(only(moved), kNow), " moved the device of "));
  CHECK(has(advice_for(moved).steps.front(),
            "`tc filter del dev eth0 ingress` (or egress), in that network namespace."));
  const json joined = with(renamed, {{"route", "device-joined"}});
  CHECK(has(refusal_text(only(joined), kNow),
            " joined a device to a bond, a shared block or an "
            "action with an unsigned program 'drop', now xdp@eth1"));
  CHECK(has(advice_for(joined).steps.front(), "`ip link set dev eth1 nomaster`."));
  CHECK(has(advice_for(with(joined, {{"attach", "tc@eth1"}})).steps.front(),
            "`tc qdisc del dev eth1 clsact` (or ingress)."));
  const auto first_step = [&](const char* attach) {
    return advice_for(with(renamed, {{"attach", attach}})).steps.front();
  };
  CHECK(has(first_step("tcx/ingress@eth1"), "`bpftool net detach tcx_ingress dev eth1`"));
  CHECK(has(first_step("tcx/egress@eth1"), "`bpftool net detach tcx_egress dev eth1`"));
  CHECK(has(first_step("netkit/peer@eth1"), "`ip link del dev eth1`"));
  CHECK(first_step("xdp") == "It is still attached: `bpfwarden inventory` shows where.");
}

TEST_CASE("an attachment by another way, or elsewhere, is another story") {
  const json event = with(refused(1), {{"hook", "attach"}, {"route", "netlink"}});
  RefusalLog log;
  log.add(event_of(event));
  log.add(event_of(with(event, {{"route", "link-create"}})));
  log.add(event_of(with(event, {{"attach", "xdp@eth1"}})));
  log.add(event_of(refused(4)));
  log.add(event_of(event));
  CHECK(log.size() == 4);
}

TEST_CASE("what no rule can allow gets none, and the kernel's own refusals their reason") {
  const Advice bypass = advice_for(with(refused(1), {{"cause", "lsm-bypass"}}));
  CHECK(bypass.rule.empty());
  CHECK(has(all_steps(bypass), "no policy can allow this"));
  const json observed = with(
      refused(1),
      {{"hook", "observed"}, {"cause", "kernel-rejected"}, {"attach", nullptr}, {"errno", ENOKEY}});
  CHECK(has(all_steps(advice_for(observed)), "has no key that made this signature"));
  CHECK(has(all_steps(advice_for(with(observed, {{"wanted_key", "4fa3"}}))),
            "missing key's id is 4fa3"));
  CHECK(
      has(all_steps(advice_for(with(observed, {{"errno", EKEYREJECTED}}))), "not of these bytes"));
  CHECK(has(refusal_text(only(observed), kNow),
            "tried to load a signed program; the kernel itself refused it with ENOKEY."));
}

TEST_CASE("a token that the policy admits none of is told of without a program") {
  const json event = with(
      refused(1),
      {{"hook", "token-create"}, {"cause", "token-denied"}, {"attach", nullptr}, {"program", ""}});
  const Advice advice = advice_for(event);
  CHECK(advice.rule.empty());
  CHECK(has(all_steps(advice), "take bpf-tokens = \"deny\" out of the policy"));
  CHECK(has(refusal_text(only(event), kNow), "tried to make a BPF token; it got EPERM."));
}

TEST_CASE("what [harden] closes is told of with the setting that closes it") {
  const auto hardened = [](const char* object) {
    return with(refused(1), {{"hook", "harden"},
                             {"cause", "hardened"},
                             {"attach", nullptr},
                             {"program", ""},
                             {"object", object}});
  };
  CHECK(has(refusal_text(only(hardened("modules")), kNow),
            "tried to load a kernel module; it got EPERM."));
  CHECK(has(all_steps(advice_for(hardened("modules"))), "take modules = \"deny\" out of [harden]"));
  CHECK(has(refusal_text(only(hardened("lockdown msr")), kNow),
            "tried what kernel lockdown calls msr; it got EPERM."));
  CHECK(has(all_steps(advice_for(hardened("lockdown msr"))),
            "lockdown = [\"msr\"], or \"integrity\" in `lockdown`"));
  CHECK_FALSE(has(all_steps(advice_for(hardened("lockdown perf"))), "integrity"));
  CHECK(has(all_steps(advice_for(hardened("lockdown later"))), "See what [harden]"));
}

TEST_CASE("each cause and each errno has something to do") {
  for (const char* cause : {"rule",           "default",
                            "unknown-attach", "missing-fact",
                            "unsigned-parts", "lsm-bypass",
                            "digest-changed", "target-changed",
                            "kernel-load",    "writable-exclusive-map",
                            "no-provenance",  "kernel-rejected",
                            "denied-digest",  "sealed-key",
                            "shared-files",   "too-many-targets",
                            "attach-race",    "token-denied",
                            "refused-before", "foreign-map",
                            "table-full",     "unjudged-route",
                            "hardened",       "of a later version"})
    CHECK_FALSE(advice_for(with(refused(1), {{"cause", cause}})).steps.front().empty());
  CHECK_FALSE(advice_for(json::object()).steps.empty());
  CHECK_FALSE(refusal_text({.event = Event(), .count = 1}, kNow).empty());
  const json sparse = {{"hook", "bpf_prog_load"}, {"decision", "deny"}, {"cause", "moonlight"}};
  CHECK(has(refusal_text(only(sparse), kNow), "why: moonlight (policy version 0)"));
  for (const json& wrong :
       json::array({{{"almost", 7}}, {{"uid", "x"}}, {{"refused", 1}}, {{"exe", 3}}}))
    CHECK_FALSE(event_from_json(with(refused(1), wrong)));
}

TEST_CASE("a refused feature probe says so, that no more was tried, and the one rule for probes") {
  const json probe = with(refused(1), {{"attach", "socket"}, {"program", "libbpf_nametest"}});
  CHECK(has(refusal_text(only(probe), kNow),
            "tried to load a feature probe, an unsigned socket program 'libbpf_nametest'; it got "
            "EPERM."));
  const Advice advice = advice_for(probe);
  CHECK(has(all_steps(advice), "by which the library of agent finds out"));
  CHECK(has(all_steps(advice), "was never tried"));
  CHECK(advice.rule ==
        "[[rules]]\nname      = \"feature probes\"\nload-only = [\"socket\", \"tp/*\", "
        "\"kprobe/*\", \"cgroup/sock_create\"]\nsignature = \"unsigned\"\n");
  const json nameless = with(refused(2), {{"attach", "xdp"}, {"program", ""}});
  CHECK(has(advice_for(nameless).rule, "\"xdp\"]"));
  const Advice trial = advice_for(with(probe, {{"refused", false}, {"mode", "audit"}}));
  CHECK(has(all_steps(trial), "has an event of its own"));
  // The probes of one tool are one kind; neither a signed program nor an attachment is one.
  RefusalLog log;
  for (const json& event : {probe, nameless, refused(3),
                            with(probe, {{"signature", "prog-only"}, {"signer", "netops"}}),
                            with(nameless, {{"hook", "attach"}, {"route", "netlink"}})})
    log.add(event_of(event));
  CHECK(log.size() == 4);
  CHECK(log.probes() == 1);
}

TEST_CASE("of one process only") {
  RefusalLog log(0, 43);
  for (int i = 1; i <= 5; i++) log.add(event_of(refused(i)));
  REQUIRE(log.size() == 1);
  CHECK(log.latest(1).front().count == 1);
}

TEST_CASE("sentences fit the terminal, and the rule stays in one piece") {
  const RefusalGroup group = only(with(refused(1), {{"digest", kDigest}}));
  const std::string text = refusal_text(group, kNow, 60);
  std::istringstream lines(text);
  size_t wider = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.size() > 60) {
      wider++;
      CHECK(has(line, "sha256:"));
    }
  CHECK(wider == 1);
  CHECK(
      has(text, "\n  why: no rule of the policy matched, so its default decided\n       (policy"));
}

TEST_CASE("recorded files are read with those that were rotated, broken lines left out") {
  const test::TempDir folder;
  const auto path = folder.path() / "events.jsonl";
  std::ofstream(path.string() + ".1") << refused(1).dump() << "\n";
  std::ofstream(path) << refused(2).dump() << "\n{\"half\": \n";
  const auto read = read_refusals({.file = path});
  REQUIRE(read.has_value());
  CHECK(read->log.latest(1).front().count == 2);
  CHECK(unreadable_text(read->walk) == "not read: 1 line of " + path.string() + " is no event; " +
                                           path.string() + ", line 2: this is no JSON object");
  const auto none = read_refusals({.file = folder.path() / "none"});
  REQUIRE_FALSE(none.has_value());
  CHECK(has(none.error().hint, "bpfwarden events"));
}

TEST_CASE("why: a feature probe is named as one, with the rule that lets probes through") {
  const json probe = with(refused(1), {{"attach", "socket"}, {"program", ""}, {"comm", "bpftool"}});
  const Advice advice = advice_for(probe);
  CHECK(has(all_steps(advice), "by which the library of bpftool finds out"));
  CHECK(
      has(advice.rule, "load-only = [\"socket\", \"tp/*\", \"kprobe/*\", \"cgroup/sock_create\"]"));
  CHECK(has(all_steps(advice_for(with(probe, {{"attach", "tp/…"}}))), "only a probe"));
  // What has a name of its own, or a signature.
  for (const json& other :
       {json{{"program", "drop"}}, json{{"signature", "prog-only"}, {"signer", "netops"}}})
    CHECK_FALSE(has(all_steps(advice_for(with(probe, other))), "only a probe"));
}

}  // namespace bpfwarden::loader
