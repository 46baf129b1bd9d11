// What two policies say differently of threads, of tokens, and of what they harden.
#include <catch2/catch_test_macros.hpp>

#include "diff_sides.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

using std::string;

namespace {

// The rule `a` admits xdp on one device, `b` tc on it, each with settings of its own.
string two_rules(const string& of_a, const string& of_b) {
  const string of_both = "signature = \"unsigned\"\n";
  return "[[rules]]\nname = \"a\"\nallow = [\"xdp@eth0\"]\n" + of_both + of_a +
         "[[rules]]\nname = \"b\"\nallow = [\"tc@eth0\"]\n" + of_both + of_b;
}

string policy_with(const string& mode, const string& settings, const string& rules = "") {
  return "schema=1\nname=\"p\"\nversion=1\ndefault=\"deny\"\nmode=\"" + mode + "\"\n" + settings +
         rules;
}

const string kDetect = "multithreaded-attach = \"detect\"\n";
const string kDeny = "multithreaded-attach = \"deny\"\n";

// Nothing changes but for threads.
std::vector<DiffGroup> changed_for_threads(const string& before, const string& after) {
  CAPTURE(before, after);
  const PolicyDiff diff = diff_of(Side(before), Side(after));
  CHECK(diff.groups.empty());
  CHECK(diff.changed == 0);
  CHECK(diff.settings.empty());
  return diff.threads;
}

}  // namespace

TEST_CASE("a rule that lets threads attach is widened, and narrowed the other way") {
  const string deny = policy_with("enforce", "", two_rules("", ""));
  const string detect = policy_with("enforce", "", two_rules(kDetect, ""));
  const auto wider = changed_for_threads(deny, detect);
  REQUIRE(wider.size() == 1);
  CHECK(wider[0].change == Change::widened);
  CHECK(wider[0].places == std::vector<string>{"xdp@eth0"});
  CHECK(wider[0].before == "allowed by rule `a` (test.toml:6), but to no threads, enforced");
  CHECK(wider[0].after == "allowed by rule `a` (test.toml:6), by threads, too, which are watched");
  CHECK(diff_of(Side(deny), Side(detect)).widens());
  const auto narrower = changed_for_threads(detect, deny);
  REQUIRE(narrower.size() == 1);
  CHECK(narrower[0].change == Change::narrowed);
  CHECK_FALSE(diff_of(Side(detect), Side(deny)).widens());
}

TEST_CASE("multithreaded-attach of the policy changes each rule that has none of its own") {
  const auto changed = changed_for_threads(policy_with("enforce", "", two_rules("", kDeny)),
                                           policy_with("enforce", kDetect, two_rules("", kDeny)));
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].places == std::vector<string>{"xdp@eth0"});
  CHECK(changed_for_threads(policy_with("enforce", kDetect, two_rules("", "")),
                            policy_with("enforce", kDeny, two_rules(kDetect, kDetect)))
            .empty());
}

TEST_CASE("what is spelled otherwise and decides alike is no difference to threads") {
  const auto nobody = [](const string& setting) {
    return policy_with("enforce", setting, rule_of("allow = [\"xdp\"]\nsignature = \"unsigned\""));
  };
  CHECK(changed_for_threads(nobody(""), nobody(kDetect)).empty());  // nothing falls at attach
}

TEST_CASE("the first rule that falls at attach refuses threads what they attached before") {
  const string before =
      policy_with("enforce", "", rule_of("allow = [\"xdp\"]\nsignature = \"unsigned\""));
  const PolicyDiff diff =
      diff_of(Side(before), Side(before + "[[rules]]\nname = \"b\"\nload-only = [\"tc\"]\n"
                                          "signature = \"unsigned\"\n"));
  REQUIRE(diff.threads.size() == 1);
  CHECK(diff.threads[0].change == Change::narrowed);
  CHECK(diff.threads[0].places == std::vector<string>{"xdp"});
  CHECK(diff.threads[0].before ==
        "allowed by rule `r` (test.toml:6), by threads, too: nothing falls at attach");
}

TEST_CASE("in audit mode threads are refused nothing, and the difference says so") {
  const auto changed = changed_for_threads(policy_with("audit", "", two_rules("", "")),
                                           policy_with("audit", kDetect, two_rules("", kDeny)));
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].before == "allowed by rule `a` (test.toml:6), but to no threads, audit only");
}

TEST_CASE("bpf-tokens is a difference of the policy") {
  const string deny = "bpf-tokens = \"deny\"\n";
  const auto changed = [](const string& before, const string& after) {
    const PolicyDiff diff = diff_of(Side(before), Side(after));
    CHECK(diff.groups.empty());
    CHECK(diff.threads.empty());
    CHECK(diff.widens() == (!diff.settings.empty() && diff.settings[0].change == Change::widened));
    return diff.settings;
  };
  const auto wider = changed(policy_with("enforce", deny), policy_with("enforce", ""));
  REQUIRE(wider.size() == 1);
  CHECK(wider[0].setting == "bpf-tokens");
  CHECK(wider[0].change == Change::widened);
  CHECK(wider[0].before == "deny, enforced");
  CHECK(wider[0].after == "allow");
  const auto narrower = changed(policy_with("audit", ""), policy_with("audit", deny));
  REQUIRE(narrower.size() == 1);
  CHECK(narrower[0].change == Change::narrowed);
  CHECK(narrower[0].after == "deny, audit only");
  CHECK(changed(policy_with("enforce", ""), policy_with("enforce", "bpf-tokens = \"allow\"\n"))
            .empty());
  CHECK(changed(policy_with("enforce", deny), policy_with("enforce", deny)).empty());
}

TEST_CASE("harden is a difference of the policy, whichever setting says it") {
  const auto hardened = [](const string& settings) { return "[harden]\n" + settings; };
  const auto changed = [](const string& before, const string& after) {
    const PolicyDiff diff = diff_of(Side(before), Side(after));
    string text;
    for (const SettingChange& one : diff.settings)
      text += (one.change == Change::widened ? "+" : "-") + one.setting + ": " + one.before +
              " > " + one.after + "\n";
    return text;
  };
  const string none = policy_with("enforce", "");
  const string denied = policy_with("enforce", hardened("modules = \"deny\"\n"));
  const string only_signed = policy_with("enforce", hardened("modules = \"signed\"\n"));
  CHECK(changed(denied, only_signed) == "+harden modules: deny, enforced > allow\n");
  CHECK(changed(only_signed, none) ==
        "+harden lockdown module-signature: deny, enforced > allow\n");
  CHECK(
      changed(only_signed, policy_with("enforce", hardened("lockdown = [\"module-signature\"]\n")))
          .empty());
  CHECK(changed(none, policy_with("audit", hardened("dev-mem = \"deny\"\n"))) ==
        "-harden lockdown dev-mem: allow > deny, audit only\n");
}
