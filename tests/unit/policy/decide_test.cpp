// bw_decide() over compiled policies, against the plain reference evaluator and by hand.
#include <linux/bpf.h>

#include <cstdlib>
#include <random>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

// ---- Random policies and loads ------------------------------------------------------------------

const std::vector<std::string> kNames = {"t",
                                         "tcp",
                                         "tcp_",
                                         "tcp_c",
                                         "tcp_connect",
                                         "tcp_close",
                                         "tcp_connect6",
                                         "file_open",
                                         "bpf",
                                         "bpf_prog",
                                         "a",
                                         "sched_switch",
                                         std::string(127, 'x'),
                                         std::string(126, 'x'),
                                         std::string(64, 'x'),
                                         std::string(8, 'q'),
                                         std::string(7, 'q')};

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  size_t below(size_t end) { return engine_() % end; }
  bool once_in(size_t n) { return below(n) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Mostly one of a few, so that rules and loads often meet.
const AttachFamily& random_family(Dice& dice) {
  static const std::vector<std::string> hot = {"xdp",         "fentry",      "lsm",    "kprobe",
                                               "uprobe",      "tc",          "tp_btf", "syscall",
                                               "tcx/ingress", "kprobe.multi"};
  if (dice.once_in(3)) return attach_families()[dice.below(attach_families().size())];
  return attach_families()[*find_family(dice.pick(hot))];
}

std::string random_pattern(Dice& dice) {
  static const std::vector<std::string> wide = {"*",    "cgroup/*", "tcx/*", "xdp*",   "f*",
                                                "k*",   "fentry*",  "lsm*",  "sk_*",   "kprobe*",
                                                "tcx*", "t*",       "u*",    "uprobe*"};
  if (dice.once_in(8)) return dice.pick(wide);
  const AttachFamily& family = random_family(dice);
  std::string text(family.name);
  if (family.target == Target::none) return text;
  if (family.target == Target::attach || dice.once_in(4)) return text + "/*";
  const std::string& name = dice.pick(kNames);
  text += "/" + name.substr(0, dice.once_in(3) ? 1 + dice.below(name.size()) : name.size());
  return dice.once_in(2) ? text + "*" : text;
}

std::string random_rule(Dice& dice, size_t number) {
  std::string text = "[[rules]]\nname = \"rule " + std::to_string(number) + "\"\n";
  text += dice.once_in(3) ? "deny = [" : "allow = [";
  for (size_t i = 1 + dice.below(4); i > 0; i--) text += "\"" + random_pattern(dice) + "\", ";
  text += "]\n";
  const bool keyed = !dice.once_in(3);
  static const std::vector<std::string> keys = {"distro", "second", "ops", "dev", "copy"};
  if (keyed) text += "signed-by = [\"" + dice.pick(keys) + "\", \"" + dice.pick(keys) + "\"]\n";
  static const std::vector<std::string> signatures = {"prog-only", "prog-used-maps", "unsigned"};
  if (!keyed || dice.once_in(3))
    text += "signature = \"" + signatures[dice.below(keyed ? 2 : 3)] + "\"\n";
  if (dice.once_in(4))
    text += std::string("mode = \"") + (dice.once_in(2) ? "audit" : "enforce") + "\"\n";
  return text;
}

std::string random_policy(Dice& dice) {
  std::string text = "schema = 1\nname = \"random\"\nversion = 1\n";
  text += dice.once_in(2) ? "mode = \"audit\"\n" : "mode = \"enforce\"\n";
  text += dice.once_in(4) ? "default = \"allow\"\n" : "default = \"deny\"\n";
  text +=
      "[keys]\ndistro.keyring = \"builtin\"\nsecond.keyring = \"secondary\"\n"
      "ops.certificates = [\"ops.pem\", \"bundle.pem\"]\ndev.certificates = [\"dev.pem\"]\n"
      "copy.certificates = [\"copy-of-ops.pem\", \"own.pem\"]\n";
  const size_t rules = dice.once_in(20) ? 200 : dice.below(12);
  for (size_t i = 0; i < rules; i++) text += random_rule(dice, i);
  return text;
}

void random_signer(Dice& dice, Load& load) {
  static const std::vector<std::string> keys = {"ops", "dev", "own", "bundle two", "stranger"};
  load.signature = static_cast<Signature>(dice.below(3));
  if (dice.once_in(4))
    load.keyring = static_cast<SystemKeyring>(BW_SIGNER_BUILTIN + dice.below(3));
  else if (!dice.once_in(4))
    load.public_key = fake_key(dice.pick(keys));
}

Load random_load(Dice& dice) {
  Load load;
  const AttachFamily& family = random_family(dice);
  load.prog_type = family.prog_type;
  load.attach_type = family.attach_type;
  if (dice.once_in(10)) load.attach_type = static_cast<uint32_t>(dice.below(140));
  if (dice.once_in(40)) load.prog_type = static_cast<uint32_t>(dice.below(80));
  random_signer(dice, load);
  if (dice.once_in(50)) load.guard = static_cast<bw_cause>(2 + dice.below(BW_CAUSES - 2));
  const uint8_t load_class = load_class_of(load.prog_type, load.attach_type);
  if (!(load_classes()[load_class].flags & BW_CLASS_NAMED)) return load;
  load.name = dice.pick(kNames);
  if (dice.once_in(4)) load.name = load.name.substr(0, 1 + dice.below(load.name.size()));
  if (dice.once_in(6)) load.name.back() = 'z';
  return load;
}

std::string text_of(const Verdict& verdict) {
  return std::string(verdict.allow ? "allow" : "deny") + " mode " +
         std::to_string(static_cast<int>(verdict.mode)) + " cause " +
         std::to_string(verdict.cause) + " rule " +
         (verdict.rule ? std::to_string(*verdict.rule) : "none");
}

uint64_t seed() {
  const char* given = std::getenv("BPFWARDEN_TEST_SEED");
  return given ? std::strtoull(given, nullptr, 0) : 20260101;
}

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
  CHECK(text_of(verdict) == text_of(judge(policy, load)));
  return verdict;
}

std::string rule(std::string_view name, std::string_view rest) {
  return "[[rules]]\nname=\"" + std::string(name) + "\"\n" + std::string(rest) + "\n";
}

}  // namespace

TEST_CASE("bw_decide says what the reference says, 20,000 times") {
  Dice dice(seed());
  WARN("BPFWARDEN_TEST_SEED=" << seed());
  size_t allowed = 0, by_rule = 0;
  for (int i = 0; i < 400; i++) {
    const std::string text = random_policy(dice);
    const Policy policy = must_parse(text);
    const Compiled compiled(policy);
    for (int j = 0; j < 50; j++) {
      const Load load = random_load(dice);
      const Verdict expected = judge(policy, load), got = compiled.decide(load);
      allowed += got.allow;
      by_rule += got.cause == BW_CAUSE_RULE;
      if (got == expected) continue;
      FAIL(text << "\nprog_type " << load.prog_type << " attach_type " << load.attach_type
                << " name '" << load.name << "' signature " << static_cast<int>(load.signature)
                << "\nexpected " << text_of(expected) << "\ngot      " << text_of(got));
    }
  }
  // The dice are loaded such that all kinds of answers occur.
  CHECK(allowed > 2'000);
  CHECK(allowed < 18'000);
  CHECK(by_rule > 4'000);
  CHECK(by_rule < 19'000);
}

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
