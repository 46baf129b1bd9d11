// bw_decide() over compiled policies, against the plain reference evaluator and by hand.
#include <linux/bpf.h>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "random_policy.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

// ---- Cases by hand ------------------------------------------------------------------------------

Load xdp(Signature signature, std::string_view key) {
  Load load;
  load.prog_type = BPF_PROG_TYPE_XDP;
  load.attach_type = BPF_XDP;
  load.signature = signature;
  if (!key.empty()) load.public_key = fake_key(key);
  return load;
}

Load named(uint32_t prog_type, uint32_t attach_type, std::string name) {
  Load load;
  load.prog_type = prog_type;
  load.attach_type = attach_type;
  load.name = std::move(name);
  return load;
}

Load fentry(std::string name) {
  return named(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, std::move(name));
}

// Decides, and insists that the reference agrees.
Verdict decide(const std::string& rules, const Load& load) {
  const Policy policy = must_parse(with_header(rules));
  const Verdict verdict = Compiled(policy).decide(load);
  CHECK(describe(verdict) == describe(judge(policy, load)));
  return verdict;
}

std::string rule(std::string_view name, std::string_view rest) {
  return "[[rules]]\nname=\"" + std::string(name) + "\"\n" + std::string(rest) + "\n";
}

}  // namespace

TEST_CASE("the first match wins") {
  const std::string allow = rule("yes", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]");
  const std::string deny = rule("no", "deny=[\"*\"]");
  CHECK(decide(allow + deny, xdp(Signature::prog_only, "netops")).rule == 0);
  CHECK(decide(allow + deny, xdp(Signature::prog_only, "netops")).allow);
  CHECK_FALSE(decide(deny + allow, xdp(Signature::prog_only, "netops")).allow);
  CHECK(decide(allow + deny, xdp(Signature::unsigned_, "")).rule == 1);
}

TEST_CASE("a signer that the policy does not know satisfies no signed-by") {
  const std::string rules = rule("ours", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]");
  CHECK_FALSE(decide(rules, xdp(Signature::prog_used_maps, "stranger")).allow);
  CHECK_FALSE(decide(rules, xdp(Signature::prog_used_maps, "")).allow);
  const std::string any = rule("any", "allow=[\"xdp\"]\nsignature=\"prog-only\"");
  CHECK(decide(any, xdp(Signature::prog_only, "stranger")).allow);
  CHECK_FALSE(decide(any, xdp(Signature::unsigned_, "")).allow);
}

TEST_CASE("signature means at least, for allow and for deny") {
  const std::string allow =
      rule("a", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]\nsignature=\"prog-used-maps\"");
  CHECK(decide(allow, xdp(Signature::prog_used_maps, "netops")).allow);
  CHECK_FALSE(decide(allow, xdp(Signature::prog_only, "netops")).allow);
  const std::string deny = rule("d", "deny=[\"xdp\"]\nsignature=\"prog-only\"") +
                           rule("a", "allow=[\"xdp\"]\nsignature=\"unsigned\"");
  CHECK(decide(deny, xdp(Signature::prog_used_maps, "netops")).rule == 0);
  CHECK(decide(deny, xdp(Signature::unsigned_, "")).rule == 1);
}

TEST_CASE("two names for one public key satisfy both") {
  const std::string copy = "[keys.copy]\ncertificates=[\"copy-of-netops.pem\"]\n";
  const std::string rules =
      copy + rule("a", "deny=[\"tc\", \"tcx/*\", \"netkit/*\"]\nsigned-by=[\"netops\"]") +
      rule("b", "allow=[\"xdp\"]\nsigned-by=[\"copy\"]");
  CHECK(decide(rules, xdp(Signature::prog_only, "netops")).rule == 1);
}

TEST_CASE("a system keyring is a signer of its own") {
  const std::string rules = "[keys.distro]\nkeyring=\"secondary\"\n" +
                            rule("a", "allow=[\"xdp\"]\nsigned-by=[\"distro\"]");
  Load load = xdp(Signature::prog_only, "");
  load.keyring = SystemKeyring::secondary;
  CHECK(decide(rules, load).allow);
  load.keyring = SystemKeyring::builtin;
  CHECK_FALSE(decide(rules, load).allow);
  const std::string bpf = "[keys.distro]\nkeyring=\"bpf\"\ncertificates=[\"other.pem\"]\n" +
                          rule("a", "allow=[\"xdp\"]\nsigned-by=[\"distro\"]");
  load = xdp(Signature::prog_only, "other");
  CHECK_FALSE(decide(bpf, load).allow);  // in a keyring of bpfwarden's
  load.keyring = SystemKeyring::bpf;
  CHECK(decide(bpf, load).allow);
  CHECK_FALSE(decide(rules, load).allow);
  load = xdp(Signature::prog_only, "");
  load.keyring = SystemKeyring::bpf;
  CHECK_FALSE(decide(bpf, load).allow);  // by another key that is there
}

TEST_CASE("a signed loader is admitted for what its key may load") {
  Load loader = named(BPF_PROG_TYPE_SYSCALL, 0, "");
  loader.signature = Signature::prog_used_maps;
  loader.public_key = fake_key("netops");
  const std::string allow =
      rule("a", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]\nsignature=\"prog-used-maps\"");
  const std::string no_loader = rule("d", "deny=[\"syscall\"]");
  CHECK(decide(allow, loader).allow);
  CHECK(decide(allow + no_loader, loader).allow);
  CHECK_FALSE(decide(no_loader + allow, loader).allow);
  Load weaker = loader;
  weaker.signature = Signature::prog_only;
  CHECK_FALSE(decide(allow, weaker).allow);
  Load stranger = loader;
  stranger.public_key = fake_key("stranger");
  CHECK_FALSE(decide(allow, stranger).allow);
  CHECK_FALSE(decide(rule("a", "allow=[\"xdp\"]\nsignature=\"unsigned\""), loader).allow);
}

TEST_CASE(
    "where no rule matches, the first one past its trial on that attach point sets the mode") {
  const std::string header =
      "schema=1\nname=\"t\"\nversion=1\nmode=\"audit\"\ndefault=\"deny\"\n[keys.netops]\n"
      "certificates=[\"netops.pem\"]\n";
  const Policy policy =
      must_parse(header + rule("trial", "allow=[\"tp/*\"]\nsigned-by=[\"netops\"]") +
                 rule("past", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]\nmode=\"enforce\"") +
                 rule("later", "allow=[\"xdp\"]\nsigned-by=[\"netops\"]\nmode=\"audit\""));
  const Compiled compiled(policy);
  const Verdict unsigned_xdp = compiled.decide(xdp(Signature::unsigned_, ""));
  CHECK_FALSE(unsigned_xdp.allow);
  CHECK(unsigned_xdp.mode == Mode::enforce);
  CHECK(unsigned_xdp.cause == BW_CAUSE_DEFAULT);
  CHECK(compiled.decide(named(BPF_PROG_TYPE_TRACEPOINT, 0, "")).mode == Mode::audit);
  CHECK(compiled.decide(named(BPF_PROG_TYPE_SOCK_OPS, 0, "")).mode == Mode::audit);
}

TEST_CASE("names: exact, prefixes within prefixes, and the longest name there is") {
  const std::string longest(127, 'n');
  const std::string rules =
      rule("exact", "deny=[\"fentry/tcp_connect\"]") +
      rule("long", "deny=[\"fentry/" + longest + "\"]") + rule("inner", "deny=[\"fentry/tcp_*\"]") +
      rule("outer", "deny=[\"fentry/t*\"]") + rule("all", "deny=[\"fentry/*\"]");
  CHECK(decide(rules, fentry("tcp_connect")).rule == 0);
  CHECK(decide(rules, fentry(longest)).rule == 1);
  CHECK(decide(rules, fentry(longest.substr(1))).rule == 4);
  CHECK(decide(rules, fentry("tcp_")).rule == 2);
  CHECK(decide(rules, fentry("tcp_connect6")).rule == 2);
  CHECK(decide(rules, fentry("tcp")).rule == 3);
  CHECK(decide(rules, fentry("t")).rule == 3);
  CHECK(decide(rules, fentry("udp")).rule == 4);
  CHECK(decide(rules, named(BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, "tcp_connect")).cause ==
        BW_CAUSE_DEFAULT);
}

TEST_CASE("a rule for everything comes before one for an exact name, if it stands before it") {
  const std::string rules = rule("all", "allow=[\"*\"]\nsignature=\"unsigned\"") +
                            rule("exact", "deny=[\"fentry/tcp_connect\"]");
  CHECK(decide(rules, fentry("tcp_connect")).rule == 0);
}

TEST_CASE("a deny rule on part of what a load may become refuses all of it") {
  const Load kprobe = named(BPF_PROG_TYPE_KPROBE, 0, "");
  const Load multi = named(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, "");
  const std::string allow = rule("a", "allow=[\"k*\"]\nsignature=\"unsigned\"");
  CHECK(decide(allow, multi).allow);
  CHECK_FALSE(decide(rule("d", "deny=[\"uprobe/*\"]") + allow, kprobe).allow);
  CHECK_FALSE(decide(rule("d", "deny=[\"uprobe/*\"]") + allow, multi).allow);
  CHECK(decide(rule("d", "deny=[\"kprobe.multi/*\"]") + allow, kprobe).allow);
  CHECK_FALSE(decide(rule("only", "allow=[\"kprobe/*\"]\nsignature=\"unsigned\""), multi).allow);
}

TEST_CASE("a violated invariant is denied whatever the policy says") {
  const std::string all = rule("all", "allow=[\"*\"]\nsignature=\"unsigned\"");
  Load load = fentry("tcp_connect");
  load.guard = BW_CAUSE_UNSIGNED_PARTS;
  CHECK_FALSE(decide(all, load).allow);
  CHECK(decide(all, named(77, 0, "")).cause == BW_CAUSE_UNKNOWN_ATTACH);
  CHECK(decide(all, named(BPF_PROG_TYPE_KPROBE, 100, "")).cause == BW_CAUSE_UNKNOWN_ATTACH);
}

// Or an attach type that nobody knows would be the way past rules that are past their trial.
TEST_CASE("what no rule decides is enforced as soon as the policy or a rule in force enforces") {
  const auto mode_of = [](const std::string& rules, bw_cause guard, int64_t time) {
    std::string text = with_header(rules);
    text.replace(text.find("enforce"), 7, "audit");
    const Policy policy = must_parse(text);
    Load load = guard == BW_CAUSE_UNKNOWN_ATTACH ? named(77, 0, "") : fentry("tcp_connect");
    if (guard != BW_CAUSE_UNKNOWN_ATTACH) load.guard = guard;
    load.time = time;
    const Verdict verdict = Compiled(policy).decide(load);
    CHECK(describe(verdict) == describe(judge(policy, load)));
    CHECK(verdict.cause == guard);
    return verdict.mode;
  };
  constexpr int64_t kBefore = 1'800'000'000;  // of 2027-06-30
  const std::string dated = rule("r", "deny=[\"tc\"]\nmode=\"enforce\"\nexpires=2027-06-30");
  for (const bw_cause guard : {BW_CAUSE_UNKNOWN_ATTACH, BW_CAUSE_UNSIGNED_PARTS,
                               BW_CAUSE_MISSING_FACT, BW_CAUSE_LSM_BYPASS}) {
    CHECK(mode_of(rule("r", "deny=[\"tc\"]"), guard, kBefore) == Mode::audit);
    CHECK(mode_of(rule("r", "deny=[\"tc\"]\nmode=\"audit\""), guard, kBefore) == Mode::audit);
    CHECK(mode_of(dated, guard, kBefore) == Mode::enforce);
    CHECK(mode_of(dated, guard, kBefore + 365 * 86'400) == Mode::audit);
  }
}

TEST_CASE("an issuer that is no CA has issued nothing") {
  const auto allowed = [](const std::string& certificate) {
    Load load = xdp(Signature::prog_only, certificate);
    load.issued = true;
    return decide("[keys.i]\nissuer=[\"" + certificate + ".pem\"]\n" +
                      rule("r", "allow=[\"xdp\"]\nsigned-by=[\"i\"]"),
                  load)
        .allow;
  };
  CHECK(allowed("ca"));
  CHECK_FALSE(allowed("leaf"));
}

TEST_CASE("1,024 rules") {
  std::string rules;
  for (int i = 0; i < 1023; i++)
    rules += rule("r" + std::to_string(i), "deny=[\"fentry/f" + std::to_string(i) + "\"]");
  const Policy policy =
      must_parse(with_header(rules + rule("last", "allow=[\"fentry/*\"]\nsignature=\"unsigned\"")));
  const Compiled compiled(policy);
  for (const int i : {0, 1, 31, 63, 64, 512, 1022})
    CHECK(compiled.decide(fentry("f" + std::to_string(i))).rule == i);
  CHECK(compiled.decide(fentry("other")).rule == 1023);
  CHECK(compiled.decide(fentry("other")).allow);
}

TEST_CASE("4,000 names") {
  std::string rules;
  for (int r = 0; r < 40; r++) {
    std::string names;
    for (int i = 0; i < 100; i++)
      names += "\"fentry/function_" + std::to_string(r) + "_" + std::to_string(i) + "\",";
    rules += rule("r" + std::to_string(r), "deny=[" + names + "]");
  }
  const Policy policy = must_parse(with_header(rules));
  const Compiled compiled(policy);
  for (int r = 0; r < 40; r++)
    for (int i = 0; i < 100; i++) {
      const std::string suffix = std::to_string(r) + "_" + std::to_string(i);
      REQUIRE(compiled.decide(fentry("function_" + suffix)).rule == r);
      REQUIRE(compiled.decide(fentry("functiom_" + suffix)).cause == BW_CAUSE_DEFAULT);
    }
}
