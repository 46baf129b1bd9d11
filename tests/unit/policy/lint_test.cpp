// Each lint beside a twin that differs by one setting and draws none.
#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/image/compile.h"
#include "policy/lint/lint.h"
#include "policy/lint/lint_parts.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

std::vector<Diagnostic> check_text(const std::string& text) {
  ParseResult result = parse_text(text);
  INFO(text << render_all(result.diagnostics, result.sources));
  REQUIRE(result.policy.has_value());
  const auto image = compile(*result.policy, std::array<uint8_t, 32>{});
  REQUIRE(image.has_value());
  return with_lint(std::move(result.diagnostics), *result.policy, **image, kNow);
}

size_t count(std::string_view code, const std::string& text) {
  const auto found = check_text(text);
  return static_cast<size_t>(std::ranges::count(found, code, &Diagnostic::code));
}

// The policy whose lint is looked at: five lines, then `rest`.
std::string policy_of(const std::string& rest, const std::string& mode = "audit",
                      const std::string& otherwise = "deny") {
  return "schema = 1\nname = \"test\"\nversion = 1\nmode = \"" + mode + "\"\ndefault = \"" +
         otherwise + "\"\n" + rest;
}

// A rule on line 1 of the result.
std::string rule(const std::string& name, const std::string& settings) {
  return "[[rules]]\nname = \"" + name + "\"\n" + settings + "\n";
}

std::string key(const std::string& name, const std::string& settings) {
  return "[keys." + name + "]\n" + settings + "\n";
}

const std::string kUnsigned = "\nsignature = \"unsigned\"";

}  // namespace

TEST_CASE("the codes of lints are listed once each, in order, and stand in docs/policy.md") {
  const auto codes = lint_codes();
  CHECK(std::ranges::is_sorted(codes, {}, &LintCode::code));
  CHECK(std::ranges::adjacent_find(codes, {}, &LintCode::code) == codes.end());
  const std::string reference = read_all(BPFWARDEN_SOURCE_DIR "/docs/policy.md");
  for (const LintCode& code : codes) {
    CHECK_FALSE(code.meaning.empty());
    CHECK(reference.find("| `" + std::string(code.code) + "` | " + std::string(code.meaning) +
                         " |\n") != std::string::npos);
  }
}

TEST_CASE("the corpus draws every lint, each with a hint") {
  std::set<std::string_view> drawn;
  const auto folder = std::filesystem::path(BPFWARDEN_SOURCE_DIR) / "tests/corpus";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string text = read_all(entry.path());
    if (!parse_text(text)) continue;
    std::vector<Diagnostic> all = check_text(text);
    (void)take_accepted(all, must_parse(text));
    for (const Diagnostic& found : all) {
      INFO(entry.path() << ": " << found.message);
      CHECK(std::ranges::count(lint_codes(), found.code, &LintCode::code) == 1);
      CHECK_FALSE(found.hint.empty());
      drawn.insert(found.code);
    }
  }
  for (const LintCode& code : lint_codes()) {
    INFO(code.code);
    CHECK(drawn.contains(code.code) != code.of_host);
  }
}

TEST_CASE("with_lint() sorts what it adds among what was found, file by file") {
  ParseResult result = parse({{"a.toml", policy_of(rule("a", "deny = [\"xdp\", \"xdp\"]"))},
                              {"b.toml", rule("b", "deny = [\"tc\", \"tc\", \"xdp\"]")},
                              {"c.toml", key("unused", "certificates = [\"k.pem\"]")}},
                             read_fake, kNow);
  REQUIRE(result.policy.has_value());
  const auto image = compile(*result.policy, std::array<uint8_t, 32>{});
  REQUIRE(image.has_value());
  const auto found = with_lint(std::move(result.diagnostics), *result.policy, **image, kNow);
  std::vector<std::string> order;
  for (const Diagnostic& one : found) order.push_back(one.file + " " + std::string(one.code));
  CHECK(order == std::vector<std::string>{"a.toml no-probe-rule", "a.toml duplicate",
                                          "b.toml ambiguous-at-load", "b.toml duplicate",
                                          "c.toml unused-key"});
}

TEST_CASE("default-allow") {
  CHECK(count("default-allow", policy_of(rule("a", "deny = [\"xdp\"]"), "audit", "allow")) == 1);
  CHECK(count("default-allow", policy_of(rule("a", "deny = [\"xdp\"]"), "audit", "deny")) == 0);
}

TEST_CASE("no-rules") {
  CHECK(count("no-rules", policy_of("")) == 1);
  CHECK(count("no-rules", policy_of(rule("a", "deny = [\"xdp\"]"))) == 0);
}

TEST_CASE("seal-in-audit and seal-until-reboot") {
  const std::string signers = "policy-signed-by = [\"k\"]\n",
                    k = key("k", "certificates = [\"k.pem\"]");
  CHECK(count("seal-in-audit", policy_of("seal = true\n")) == 1);
  CHECK(count("seal-in-audit", policy_of("seal = true\n", "enforce")) == 0);
  CHECK(count("seal-in-audit", policy_of("seal = false\n")) == 0);
  CHECK(count("seal-until-reboot", policy_of("seal = true\n", "enforce")) == 1);
  CHECK(count("seal-until-reboot", policy_of("seal = true\n" + signers + k, "enforce")) == 0);
  CHECK(count("seal-until-reboot", policy_of("")) == 0);
}

TEST_CASE("unused-key") {
  const std::string k = key("k", "certificates = [\"k.pem\"]");
  CHECK(count("unused-key", policy_of(k + rule("a", "deny = [\"xdp\"]"))) == 1);
  CHECK(count("unused-key", policy_of("policy-signed-by = [\"k\"]\n" + k)) == 0);
  CHECK(count("unused-key", policy_of(k + rule("a", "deny = [\"xdp\"]\nsigned-by = [\"k\"]"))) ==
        0);
}

TEST_CASE("certificate-expires, weak-key, ca-as-signer and issuer-not-ca") {
  const auto with = [](const std::string& anchors) {
    return policy_of(key("k", anchors) + rule("a", "allow = [\"xdp\"]\nsigned-by = [\"k\"]"));
  };
  CHECK(count("certificate-expires", with("certificates = [\"expiring.pem\"]")) == 1);
  CHECK(count("certificate-expires", with("issuer = [\"expiring.pem\"]")) == 1);
  CHECK(count("certificate-expires", with("certificates = [\"good.pem\"]")) == 0);
  CHECK(count("weak-key", with("certificates = [\"weak.pem\"]")) == 1);
  CHECK(count("weak-key", with("certificates = [\"weak-curve.pem\"]")) == 1);
  CHECK(count("weak-key", with("certificates = [\"good.pem\"]")) == 0);
  CHECK(count("ca-as-signer", with("certificates = [\"ca.pem\"]")) == 1);
  CHECK(count("ca-as-signer", with("issuer = [\"ca.pem\"]")) == 0);
  CHECK(count("issuer-not-ca", with("issuer = [\"good.pem\"]")) == 1);
  CHECK(count("issuer-not-ca", with("issuer = [\"ca.pem\"]")) == 0);
}

TEST_CASE("whole-keyring is about rules that admit by it") {
  const auto with = [](const std::string& anchors, const std::string& action) {
    return policy_of(key("k", "keyring = \"builtin\"\n" + anchors) +
                     rule("a", action + " = [\"xdp\"]\nsigned-by = [\"k\"]"));
  };
  CHECK(count("whole-keyring", with("", "allow")) == 1);
  CHECK(count("whole-keyring", with("", "load-only")) == 1);
  CHECK(count("whole-keyring", with("certificates = [\"k.pem\"]", "allow")) == 0);
  CHECK(count("whole-keyring", with("issuer = [\"ca.pem\"]", "allow")) == 0);
  CHECK(count("whole-keyring", with("", "deny")) == 0);
  // It is there for programs alone.
  CHECK(count("whole-keyring", policy_of(key("k", "keyring = \"bpf\"\n") +
                                         rule("a", "allow = [\"xdp\"]\nsigned-by = [\"k\"]"))) ==
        0);
}

TEST_CASE("rule-expired and rule-not-yet") {
  const auto with = [](const std::string& date) {
    return policy_of(rule("a", "deny = [\"xdp\"]\n" + date));
  };
  CHECK(count("rule-expired", with("expires = 2027-01-15")) == 1);
  CHECK(count("rule-expired", with("expires = 2027-01-16")) == 0);
  CHECK(count("rule-not-yet", with("not-before = 2028-02-01")) == 1);
  CHECK(count("rule-not-yet", with("not-before = 2027-12-31")) == 0);
}

TEST_CASE("an expired rule neither is shadowed nor shadows another") {
  const std::string old = "\nexpires = 2027-01-01";
  CHECK(count("shadowed-rule",
              policy_of(rule("a", "deny = [\"xdp\"]" + old) + rule("b", "deny = [\"xdp\"]"))) == 0);
  CHECK(count("shadowed-rule",
              policy_of(rule("a", "deny = [\"xdp\"]") + rule("b", "deny = [\"xdp\"]" + old))) == 0);
  CHECK(count("shadowed-rule",
              policy_of(rule("a", "deny = [\"xdp\"]") + rule("b", "deny = [\"xdp\"]"))) == 1);
}

TEST_CASE("exempt-by-subject is about programs that nobody vouches for") {
  const std::string k = key("k", "certificates = [\"k.pem\"]");
  const std::string digest = "\ndigests = [\"sha256:" + std::string(64, 'a') + "\"]";
  const std::string allow = "allow = [\"xdp\"]";
  for (const std::string subject : {"exe = [\"/bin/a\"]", "uid = [0]", "cgroup = [\"/a\"]"}) {
    INFO(subject);
    const auto with = [&](const std::string& settings) {
      return policy_of(k + rule("a", settings + "\n" + subject) +
                       rule("uses k", "deny = [\"xdp\"]\nsigned-by = [\"k\"]"));
    };
    CHECK(count("exempt-by-subject", with(allow + kUnsigned)) == 1);
    CHECK(count("exempt-by-subject", with(allow + "\nsigned-by = [\"k\"]")) == 0);
    CHECK(count("exempt-by-subject", with(allow + kUnsigned + digest)) == 0);
    CHECK(count("exempt-by-subject", with("deny = [\"xdp\"]")) == 0);
  }
  CHECK(count("exempt-by-subject", policy_of(rule("a", allow + kUnsigned))) == 0);
}

TEST_CASE("unsigned-powerful") {
  for (const std::string point : {"lsm/file_open", "lsm_cgroup/*", "fmod_ret/x", "struct_ops/*",
                                  "syscall", "freplace/*", "*"}) {
    INFO(point);
    const std::string allow = "allow = [\"xdp\", \"" + point + "\"]";
    CHECK(count("unsigned-powerful", policy_of(rule("a", allow + kUnsigned))) == 1);
    CHECK(count("unsigned-powerful", policy_of(rule("a", allow + "\nsignature = \"prog-only\""))) ==
          0);
    CHECK(count("unsigned-powerful",
                policy_of(rule("a", allow + kUnsigned + "\ndigests = [\"sha256:" +
                                        std::string(64, 'a') + "\"]"))) == 0);
  }
  CHECK(count("unsigned-powerful", policy_of(rule("a", "allow = [\"xdp\"]" + kUnsigned))) == 0);
}

TEST_CASE("unsigned-powerful is about what is left for the rule") {
  const std::string all = rule("all", "allow = [\"*\"]" + kUnsigned);
  const auto found = check_text(policy_of(
      rule("no", "deny = [\"lsm/*\", \"lsm_cgroup/*\", \"fmod_ret/*\", \"syscall\"]") + all));
  const auto powerful = std::ranges::find(found, "unsigned-powerful", &Diagnostic::code);
  REQUIRE(powerful != found.end());
  CHECK(powerful->message.find("for `freplace`, `struct_ops`,") != std::string::npos);
}

TEST_CASE("audit-hole") {
  const std::string k = key("k", "certificates = [\"k.pem\"]");
  const std::string allow = "allow = [\"xdp\"]\nsigned-by = [\"k\"]";
  const std::string trial = allow + "\nmode = \"audit\"";
  CHECK(count("audit-hole", policy_of(k + rule("a", trial), "enforce")) == 1);
  CHECK(count("audit-hole", policy_of(k + rule("a", allow), "enforce")) == 0);
  CHECK(count("audit-hole", policy_of(k + rule("a", trial), "audit")) == 0);
  CHECK(count("audit-hole", policy_of(k + rule("a", trial), "enforce", "allow")) == 0);
  CHECK(count("audit-hole",
              policy_of(k + rule("a", trial) + rule("rest", "deny = [\"xdp\"]"), "enforce")) == 0);
  CHECK(count("audit-hole", policy_of(k + rule("first", allow + "\nmode = \"enforce\"") +
                                          rule("a",
                                               "deny = [\"xdp\"]\nsignature = \"prog-only\""
                                               "\nmode = \"audit\""),
                                      "enforce")) == 0);
}

TEST_CASE("no-probe-rule") {
  const std::string points = " = [\"socket\", \"kprobe/*\", \"tp/*\"]";
  const std::string xdp = rule("x", "deny = [\"xdp\"]");
  CHECK(count("no-probe-rule", policy_of(xdp, "enforce")) == 1);
  CHECK(count("no-probe-rule", policy_of(xdp, "audit")) == 1);
  CHECK(count("no-probe-rule", policy_of(xdp, "enforce", "allow")) == 0);
  const std::string probes = rule("p", "load-only" + points + kUnsigned);
  CHECK(count("no-probe-rule", policy_of(xdp + probes, "enforce")) == 0);
  CHECK(count("no-probe-rule", policy_of(rule("no", "deny = [\"*\"]") + probes, "enforce")) == 1);
  CHECK(count("no-probe-rule",
              policy_of(rule("p", "allow = [\"socket\", \"tp/*\"]" + kUnsigned), "enforce")) == 1);
  // The kernel part judges again once the digest is known.
  CHECK(count("no-probe-rule",
              policy_of(rule("p", "allow" + points + kUnsigned +
                                      "\ndigests = [\"sha256:" + std::string(64, 'a') + "\"]"),
                        "enforce")) == 1);
}

TEST_CASE("refuses-bpfwarden is about rules, not about the default") {
  const std::string no_lsm = rule("a", "deny = [\"lsm/*\"]");
  CHECK(count("refuses-bpfwarden", policy_of(no_lsm, "enforce")) == 1);
  CHECK(count("refuses-bpfwarden", policy_of(no_lsm, "audit")) == 0);
  CHECK(count("refuses-bpfwarden", policy_of(rule("a", "deny = [\"xdp\"]"), "enforce")) == 0);
  CHECK(count("refuses-bpfwarden", policy_of(rule("a", "deny = [\"lsm/cred_*\"]"), "enforce")) ==
        0);
}

TEST_CASE("ambiguous-at-load names what cannot be told apart") {
  const auto warned = [](const std::string& action, const std::string& points) {
    for (const Diagnostic& found : check_text(
             policy_of(rule("a", action + " = [" + points + "]\nsignature = \"prog-only\""))))
      if (found.code == "ambiguous-at-load") return found.message;
    return std::string();
  };
  const std::string multi = R"("kprobe.multi/*", "kretprobe.multi/*")";
  CHECK(warned("allow", R"("kprobe/*")").find("`uprobe`") != std::string::npos);
  CHECK(warned("allow", multi).find("`kprobe`") != std::string::npos);
  CHECK(warned("allow", R"("tc")").find("`tcx/ingress`") != std::string::npos);
  CHECK(warned("deny", R"("tc")").find("denies that too") != std::string::npos);
  CHECK(warned("allow", R"("*")").empty());
  CHECK(warned("allow", R"("xdp", "fentry/*", "lsm/file_*", "cgroup/*")").empty());
  CHECK(warned("deny", multi).empty());
}

TEST_CASE("ambiguous-at-load is about attach points that are named whole") {
  CHECK(count("ambiguous-at-load", policy_of(rule("a", "deny = [\"tc\"]"))) == 1);
  CHECK(count("ambiguous-at-load", policy_of(rule("a", "deny = [\"tc@eth0\"]"))) == 0);
  CHECK(count("ambiguous-at-load",
              policy_of(rule("a", "deny = [\"tc\", \"tcx/*\", \"netkit/*\"]"))) == 0);
  CHECK(count("ambiguous-at-load", policy_of(rule("a", "allow = [\"kprobe/*\"]" + kUnsigned))) ==
        1);
  CHECK(count("ambiguous-at-load",
              policy_of(rule("a", "load-only = [\"kprobe/*\"]" + kUnsigned))) == 0);
}

TEST_CASE("ambiguous-at-load is not about what an attachment tells apart") {
  const std::string allowed = rule("a", "allow = [\"kprobe/*\"]" + kUnsigned);
  const std::string denied = rule("b", "deny = [\"tc\"]");
  const std::string at_attach = rule("c", "deny = [\"xdp@eth0\"]");
  CHECK(count("ambiguous-at-load", policy_of(allowed + denied)) == 2);
  // A load that a rule denies never gets as far as its attachment.
  CHECK(count("ambiguous-at-load", policy_of(allowed + denied + at_attach)) == 1);
  CHECK(count("ambiguous-at-load", policy_of(allowed + at_attach)) == 0);
}

TEST_CASE("a shadowed rule that still has an effect says which") {
  const std::string k = key("k", "certificates = [\"k.pem\"]");
  const auto hint_of = [&](const std::string& rules) {
    const auto found = check_text(policy_of(k + rules));
    const auto shadowed = std::ranges::find(found, "shadowed-rule", &Diagnostic::code);
    REQUIRE(shadowed != found.end());
    return shadowed->hint;
  };
  const std::string allow = "allow = [\"xdp\"]\nsigned-by = [\"k\"]";
  CHECK(hint_of(rule("a", "deny = [\"xdp\"]") + rule("b", allow)).find("signed loaders") !=
        std::string::npos);
  CHECK(hint_of(rule("a", allow) + rule("b", allow + "\nmode = \"enforce\"")).find("its `mode`") !=
        std::string::npos);
  CHECK(hint_of(rule("a", "deny = [\"xdp\"]") + rule("b", "deny = [\"xdp\"]")) ==
        "delete it, or move it up");
}

namespace {

struct Taken {
  size_t accepted = 0;
  std::vector<Diagnostic> left;
};

Taken taken_from(const std::string& text) {
  Taken taken = {.left = check_text(text)};
  taken.accepted = take_accepted(taken.left, must_parse(text));
  return taken;
}

const std::string kAgent =
    "[[rules]]\nname = \"agent\"\nallow = [\"xdp\"]\nsignature = \"unsigned\"\n"
    "exe = [\"/usr/bin/agent\"]\n";
const std::string kOther =
    "[[rules]]\nname = \"other\"\nallow = [\"tc\"]\nsignature = \"unsigned\"\n"
    "exe = [\"/usr/bin/other\"]\n";

}  // namespace

TEST_CASE("a warning is accepted where it is drawn") {
  const std::string accept = "accept = [\"exempt-by-subject: for now\"]\n";
  const auto rules_told_of = [](const std::string& rest) {
    std::string told;
    for (const Diagnostic& one : taken_from(policy_of(rest, "enforce")).left)
      if (one.code == "exempt-by-subject")
        told += one.message.find("`agent`") != std::string::npos ? "a" : "o";
    return told;
  };
  CHECK(rules_told_of(kAgent + kOther) == "ao");
  CHECK(rules_told_of(kAgent + accept + kOther) == "o");  // and not the next one's
  CHECK(rules_told_of(kAgent + kOther + accept) == "a");
  CHECK(rules_told_of(accept + kAgent + kOther).empty());  // the policy's, wherever it is drawn
  CHECK(taken_from(policy_of(accept + kAgent + kOther, "enforce")).accepted == 2);
}

TEST_CASE("an acceptance of nothing is a warning itself") {
  const Taken taken =
      taken_from(policy_of("accept = [\"rule-expired: old\"]\n" + kAgent, "enforce"));
  CHECK(taken.accepted == 0);
  REQUIRE(std::ranges::count(taken.left, "accepts-nothing", &Diagnostic::code) == 1);
}
