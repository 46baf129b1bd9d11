// What two policies decide differently: everything of it, and nothing else.
#include <algorithm>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "diff_sides.h"
#include "fake_reader.h"
#include "policy/answers/explain.h"
#include "random_policy.h"
#include "reference.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

using std::string;

bool has(const std::vector<string>& texts, const string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// An allow rule of `before` and of `after` conditions: widened at one place, for these.
void check_widened(const string& before, const string& after, const string& who) {
  const string allow = "allow = [\"xdp\"]\nsignature = \"unsigned\"\n";
  const PolicyDiff wider = diff_of(rule_of(allow + before), rule_of(allow + after));
  CAPTURE(before, after);
  REQUIRE(wider.groups.size() == 1);
  CHECK(wider.groups[0].change == Change::widened);
  CHECK(wider.groups[0].places == std::vector<string>{"xdp"});
  CAPTURE(wider.groups[0].who);
  CHECK(has(wider.groups[0].who, who));
  CHECK(wider.widens());
  const PolicyDiff narrower = diff_of(rule_of(allow + after), rule_of(allow + before));
  REQUIRE(narrower.groups.size() == 1);
  CHECK(narrower.groups[0].change == Change::narrowed);
  CHECK_FALSE(narrower.widens());
}

Situation situation_of(const Load& load, const Side& side) {
  Situation one;
  const auto families = attach_families();
  for (size_t i = 0; i < families.size(); i++)
    if (families[i].prog_type == load.prog_type && families[i].attach_type == load.attach_type)
      one.attach = {i, load.name, ""};
  if (load.attach) one.attach = *load.attach;
  one.signature = load.signature;
  one.signer = side.compiled.facts_of(load).signer;
  one.guard = load.guard;
  one.origin = load.origin;
  one.uid = load.uid;
  one.exe = load.exe;
  one.cgroup = load.cgroup;
  one.digest = load.digest;
  one.sleepable = load.sleepable;
  one.delegated = load.delegated;
  one.license = load.license;
  one.time = load.time;
  return one;
}

bool same_effect(const bw_decision& left, const bw_decision& right) {
  return left.allow == right.allow && bw_refused(&left) == bw_refused(&right);
}

// One line less, one rule less, or another mode: as people edit.
PolicyText edited(Dice& dice, PolicyText text) {
  if (dice.once_in(3)) {
    text.rules.erase(text.rules.begin() + static_cast<long>(dice.below(text.rules.size())));
    return text;
  }
  auto& lines = text.rules[dice.below(text.rules.size())];
  if (lines.size() > 3)
    lines.erase(lines.begin() + 2 + static_cast<long>(dice.below(lines.size() - 2)));
  return text;
}

}  // namespace

TEST_CASE("the same decisions are no difference") {
  const string rules = rule_of("allow = [\"xdp\", \"tc\"]\nsigned-by = [\"netops\"]");
  const string other = "[[rules]]\nname = \"b\"\ndeny = [\"fentry/a*\"]\n";
  CHECK(diff_of(rules + other, rules + other).groups.empty());
  CHECK(diff_of(rules + other, rules + other).other_rule == 0);
  CHECK(diff_of(rules + other, other + rules).groups.empty());
  CHECK(
      diff_of(rules, rules + other + "[[rules]]\nname = \"c\"\ndeny = [\"xdp\"]\n").groups.empty());
  const PolicyDiff renamed = diff_of(
      rules, "[[rules]]\nname = \"s\"\nallow = [\"tc\", \"xdp\"]\nsigned-by=[\"netops\"]\n");
  CHECK(renamed.groups.empty());
  CHECK(renamed.other_rule > 0);
}

TEST_CASE("keys are compared by what they are, not by name or place") {
  const string head = "schema=1\nname=\"p\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n";
  const string rest = rule_of("allow=[\"xdp\"]\nsigned-by=[\"a\"]");
  const Side before(
      head + "keys.a.certificates=[\"one.pem\"]\nkeys.b.certificates=[\"two.pem\"]\n" + rest);
  const Side swapped(
      head + "keys.z.certificates=[\"two.pem\"]\nkeys.a.certificates=[\"one.pem\"]\n" + rest);
  CHECK(diff_of(before, swapped).groups.empty());
  const Side other(head + "keys.a.certificates=[\"two.pem\"]\n" + rest);
  const PolicyDiff diff = diff_of(before, other);
  REQUIRE(diff.groups.size() == 2);
  CHECK(has(diff.groups[0].who, "signed by b"));
  CHECK(has(diff.groups[1].who, "signed by a"));
}

TEST_CASE("every condition that is widened alone is found") {
  check_widened("uid = [7]", "uid = [7, 8]", "uid 8");
  check_widened("exe = [\"/bin/a\"]", "exe = [\"/bin/*\"]", "exe /bin/*");
  check_widened("cgroup = [\"/a\"]", "cgroup = [\"/a\", \"/b*\"]", "cgroup /b*");
  check_widened("origin = \"user\"", "", "origin loader");
  check_widened("sleepable = false", "", "sleepable yes");
  check_widened("delegated = true", "", "delegated no");
  check_widened("license = \"gpl-compatible\"", "", "GPL-compatible no");
  check_widened("expires = 2027-06-01", "expires = 2027-07-01", "date from 2027-06-01");
  const string digest = "sha256:" + string(64, '1'), other = "sha256:" + string(64, '2');
  check_widened("digests = [\"" + digest + "\"]",
                "digests = [\"" + digest + "\", \"" + other + "\"]", "digest " + other);
}

TEST_CASE("attach points, signatures and signers that are widened are found") {
  const string signed_by = "signed-by = [\"netops\"]";
  const auto only = [](const PolicyDiff& diff) {
    REQUIRE(diff.groups.size() == 1);
    return diff.groups[0];
  };
  CHECK(only(diff_of(rule_of("allow = [\"xdp\"]\n" + signed_by),
                     rule_of("allow = [\"xdp\", \"fentry/tcp_*\"]\n" + signed_by)))
            .places == std::vector<string>{"fentry/tcp_*"});
  CHECK(only(diff_of(rule_of("allow = [\"xdp@eth0\"]\n" + signed_by),
                     rule_of("allow = [\"xdp@eth*\"]\n" + signed_by)))
            .places == std::vector<string>{"xdp@eth*"});
  const auto covered =
      only(diff_of(rule_of("allow = [\"xdp\"]\n" + signed_by + "\nsignature = \"prog-used-maps\""),
                   rule_of("allow = [\"xdp\"]\n" + signed_by)));
  CHECK(covered.who == std::vector<string>{"prog-only by netops"});
  CHECK(covered.before == "denied by the default, enforced");
  CHECK(covered.after == "allowed by rule `r` (test.toml:8)");
}

TEST_CASE("a mode that no longer enforces is a deny that becomes an allow") {
  const string head = "schema=1\nname=\"p\"\nversion=1\ndefault=\"deny\"\n";
  const Side enforce(head + "mode=\"enforce\"\n" + rule_of("deny=[\"xdp\"]"));
  const Side audit(head + "mode=\"audit\"\n" + rule_of("deny=[\"xdp\"]"));
  CHECK(diff_of(enforce, audit).widens());
  CHECK_FALSE(diff_of(audit, enforce).widens());
  CHECK_FALSE(diff_of(audit, enforce).groups.empty());
}

TEST_CASE("who may sign the next policy is part of the header") {
  const std::string start = "schema = 1\nname = \"t\"\nversion = 1\nmode = \"enforce\"\n",
                    rest = "default = \"deny\"\n[keys.k]\ncertificates = [\"bundle.pem\"]\n";
  const Side before(start + rest),
      after(start + "seal = true\npolicy-signed-by = [\"k\"]\npolicy-signatures-needed = 2\n" +
            rest);
  const PolicyDiff diff = diff_of(before, after);
  CHECK(diff.changed == 0);
  REQUIRE(diff.header.size() == 3);
  CHECK(diff.header[0].setting == "seal");
  CHECK(diff.header[0].after == "true");
  CHECK(diff.header[1].setting == "policy-signed-by");
  CHECK(diff.header[1].before == "nobody");
  CHECK(diff.header[1].after == "k");
  CHECK(diff.header[2].setting == "policy-signatures-needed");
  CHECK(diff.header[2].after == "2");
}

TEST_CASE("who may no longer sign: a revoked certificate of an issuer") {
  const string head = "schema=1\nname=\"p\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n";
  const string rest = rule_of("allow=[\"xdp\"]\nsigned-by=[\"ca\"]");
  const Side before(head + "keys.ca.issuer=[\"ca.pem\"]\nkeys.ca.revoked=[\"leaf.pem\"]\n" + rest);
  const Side after(head + "keys.ca.issuer=[\"ca.pem\"]\n" + rest);
  const PolicyDiff diff = diff_of(before, after);
  REQUIRE(diff.groups.size() == 1);
  CHECK(diff.groups[0].change == Change::widened);
  CHECK(diff.groups[0].who == std::vector<string>{"signed by one that `ca` revokes, issued by ca"});
}

namespace {

// What a group says that the two policies do.
using Said = std::tuple<Change, string, string>;

string said_of(const Side& side, const bw_decision& decision) {
  string text =
      (decision.allow ? "allowed by " : "denied by ") + decider_text(side.policy, decision);
  if (!decision.allow) text += decision.mode == BW_MODE_ENFORCE ? ", enforced" : ", audit only";
  return text;
}

Said said_of(const Side& before, const bw_decision& old, const Side& after,
             const bw_decision& now) {
  const bool wider = old.allow < now.allow || (bw_refused(&old) && !bw_refused(&now));
  return {wider ? Change::widened : Change::narrowed, said_of(before, old), said_of(after, now)};
}

std::set<Said> said_of(const PolicyDiff& diff) {
  std::set<Said> all;
  for (const DiffGroup& group : diff.groups) all.insert({group.change, group.before, group.after});
  return all;
}

// By its options alone, as `explain` would read them.
void check_witnesses(const Side& before, const Side& after, const DiffGroup& group) {
  const auto old = decide_on(before.compiled.image(), group.example[0]).last();
  const auto now = decide_on(after.compiled.image(), group.example[1]).last();
  REQUIRE_FALSE(same_effect(old, now));
  REQUIRE(said_of(before, old, after, now) == Said{group.change, group.before, group.after});
  for (const auto& witness : group.witness) REQUIRE(witness.has_value());
}

// The evaluator that shares no code with what is compared says the same of a load, and of where it
// is attached.
bw_decision decide_alike(const Load& load, const Side& side) {
  const LoadOutcome outcome = decide_on(side.compiled.image(), situation_of(load, side));
  Load at_load = load;
  at_load.attach.reset();
  if (!load.attach) return outcome.last();
  CHECK(judge(side.policy, outcome.attach ? load : at_load) == verdict_of(outcome.last()));
  return outcome.last();
}

// All loads that the dice come up with are told of as they are, with the rules that decide.
size_t check_against_loads(Dice& dice, const Side& before, const Side& after,
                           const PolicyDiff& diff, size_t loads) {
  const std::set<Said> said = said_of(diff);
  size_t met = 0;
  for (size_t i = 0; i < loads; i++) {
    const Load load = random_load(dice);
    const bool is_known = load_class_of(load.prog_type, load.attach_type) != BW_CLASS_UNKNOWN;
    if (!is_known || !load.attach || load.guard != BW_CAUSE_RULE) continue;
    const bw_decision old = decide_alike(load, before), now = decide_alike(load, after);
    if (same_effect(old, now)) continue;
    met++;
    INFO(describe(load) << "\nbefore " << describe(verdict_of(old)) << "\nafter  "
                        << describe(verdict_of(now)));
    REQUIRE(said.contains(said_of(before, old, after, now)));
  }
  return met;
}

}  // namespace

TEST_CASE("no difference is left out, and none is made up") {
  Dice dice(test_seed());
  size_t same = 0, different = 0, met = 0;
  for (int i = 0; i < 24; i++) {
    const PolicyText text = random_policy(dice);
    if (text.rules.size() < 2) continue;
    const PolicyText changed = dice.once_in(4) ? random_policy(dice) : edited(dice, text);
    if (!parse_text(changed.text()).policy) continue;
    const Side before(text.text()), after(changed.text());
    INFO("BPFWARDEN_TEST_SEED=" << test_seed() << "\n" << text.text() << "\n" << changed.text());
    const PolicyDiff diff = diff_policies({before.side(), after.side()}, 0);
    REQUIRE(diff.not_asked == 0);
    (diff.groups.empty() ? same : different)++;
    for (const DiffGroup& group : diff.groups) check_witnesses(before, after, group);
    met += check_against_loads(dice, before, after, diff, 300);
  }
  CHECK(same > 1);
  CHECK(different > 6);
  CHECK(met > 20);
}

TEST_CASE("the largest policies are compared in bounded time") {
  string rules;
  for (size_t i = 0; i < BW_MAX_RULES; i++)
    rules += "[[rules]]\nname = \"" + std::to_string(i) + "\"\nallow = [\"fentry/f" +
             std::to_string(i) + "\"]\nsigned-by = [\"netops\"]\n";
  const PolicyDiff diff = diff_of(rules, rules);
  CHECK(diff.groups.empty());
  CHECK(diff.classes > double{BW_MAX_RULES});
}

TEST_CASE("a certificate less of a key is shown by that certificate") {
  const string head = "schema=1\nname=\"p\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n";
  const string rest = rule_of("allow=[\"xdp\"]\nsigned-by=[\"a\"]");
  const PolicyDiff diff =
      diff_of(Side(head + "keys.a.certificates=[\"one.pem\", \"two.pem\"]\n" + rest),
              Side(head + "keys.a.certificates=[\"one.pem\"]\n" + rest));
  REQUIRE(diff.groups.size() == 1);
  CHECK(diff.groups[0].change == Change::narrowed);
  CHECK(has(diff.groups[0].witness[0].value(), "--certificate"));
  CHECK_FALSE(has(diff.groups[0].witness[1].value(), "--key"));
}

TEST_CASE("a target that cannot be found out is asked about") {
  const string allow =
      "[[rules]]\nname = \"s\"\nallow = [\"kprobe/*\"]\nsignature = \"unsigned\"\n";
  const PolicyDiff diff = diff_of(rule_of("deny = [\"kprobe/tcp_connect\"]") + allow, allow);
  CHECK(std::ranges::any_of(diff.groups, [](const DiffGroup& group) {
    return group.places == std::vector<string>{"kprobe/(unknown)", "kprobe/tcp_connect"};
  }));
}

TEST_CASE("what there is no time for is counted, and is no all-clear") {
  const string allow = "allow = [\"xdp\"]\nsignature = \"unsigned\"\n";
  const Side before(with_header(rule_of(allow + "uid = [1]"))),
      after(with_header(rule_of(allow + "uid = [1, 2]")));
  const PolicyDiff all = diff_policies({before.side(), after.side()}, kNow);
  CHECK(all.not_asked == 0);
  CHECK(all.changed > 0);
  const PolicyDiff none = diff_policies({before.side(), after.side()}, kNow, {.steps = 0});
  CHECK(none.groups.empty());
  CHECK(none.not_asked > 0);
  CHECK(none.not_asked < none.classes);
  CHECK(none.classes == all.classes);
}
