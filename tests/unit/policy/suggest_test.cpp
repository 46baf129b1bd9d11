// Suggested policies: everything seen is admitted, nothing else is, and nothing in them is idle.
#include "policy/answers/suggest.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/answers/extend.h"
#include "policy/answers/suggest_text.h"
#include "policy/image/signers.h"
#include "policy/image/situation.h"
#include "policy/language/format.h"
#include "policy/lint/lint.h"
#include "random_policy.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

using std::string;

const std::map<string, string>& key_tables() {
  static const std::map<string, string> tables = {
      {"ops", "[keys.ops]\ncertificates = [\"ops.pem\"]\n"},
      {"dev", "[keys.dev]\ncertificates = [\"dev.pem\"]\n"},
      {"distro", "[keys.distro]\nkeyring = \"builtin\"\n"},
      {"narrow", "[keys.narrow]\ncertificates = [\"narrow.pem\"]\nkeyring = \"builtin\"\n"},
  };
  return tables;
}

SuggestOptions options_with_keys() {
  string text = "schema = 1\nname = \"x\"\nversion = 1\nmode = \"audit\"\ndefault = \"deny\"\n";
  for (const auto& [name, table] : key_tables()) text += table;
  SuggestOptions options;
  options.keys = must_parse(text).keys;
  return options;
}

string text_of(const Suggestion& suggestion) {
  SuggestHeader header{.name = "suggested",
                       .version = 1,
                       .mode = Mode::enforce,
                       .sources = "tests",
                       .keys = {},
                       .deny_digests = {}};
  for (const string& key : suggestion.keys) header.keys += key_tables().at(key);
  return suggested_text(suggestion, header);
}

SeenLoad seen(const string& attach, const string& signer, const string& digest,
              Signature signature = Signature::unsigned_) {
  SeenLoad load;
  load.load = {.attach = attach,
               .program = "prog",
               .signer = signer,
               .signature = signature,
               .digest = digest};
  load.is_signed = signature != Signature::unsigned_;
  load.by = "/usr/sbin/loader";
  load.count = 1;
  return load;
}

string digest_number(size_t number) {
  return string(62, 'a') + (number < 10 ? "0" : "") + std::to_string(number);
}

// Loads, of which many differ in one fact only.
std::vector<SeenLoad> random_loads(Dice& dice) {
  static const std::vector<string> points = {
      "xdp",    "tc",         "tcx/egress",     "kprobe/…",       "fentry/tcp_connect",
      "socket", "fentry/tcp", "kprobe.multi/…", "lsm/file_open",  "cgroup/connect4",
      "tp/…",   "syscall",    "iter/task",      "uprobe.multi/…", "cgroup_skb/egress"};
  static const std::vector<string> signers = {"ops", "dev", "distro", "narrow"};
  static const std::vector<string> loaders = {"/usr/sbin/a", "/usr/bin/b", ""};
  std::vector<SeenLoad> loads;
  for (size_t left = 1 + dice.below(20); left > 0; left--) {
    const bool is_signed = dice.once_in(2);
    const auto level = dice.once_in(2) ? Signature::prog_only : Signature::prog_used_maps;
    // Signed and unsigned programs are mostly others.
    const size_t number = dice.below(6) + (is_signed && !dice.once_in(8) ? 20 : 0);
    loads.push_back(is_signed
                        ? seen(dice.pick(points), dice.pick(signers), digest_number(number), level)
                        : seen(dice.pick(points), "", digest_number(number)));
    loads.back().by = dice.pick(loaders);
    if (dice.once_in(5)) loads.back().load.program = "";
    loads.back().count = 1 + dice.below(3);
  }
  return loads;
}

bool has_key(const Policy& policy, const string& name) {
  return std::ranges::find(policy.keys, name, &Key::name) != policy.keys.end();
}

// Who signed, as the kernel part finds it under that policy.
uint32_t slot_in(const Policy& policy, const bw_image& image, const string& signer) {
  if (has_key(policy, signer)) return *signer_slot(image, policy, signer);
  return signer == "narrow" || signer == "distro" ? BW_SIGNER_BUILTIN : BW_SIGNER_UNKNOWN;
}

bw_decision decide(const Policy& policy, const bw_image& image, const SeenLoad& load) {
  Situation situation;
  const auto point = parse_attach_point(load.load.attach);
  REQUIRE(point);
  situation.attach = *point;
  situation.signature = load.load.signature;
  if (!load.load.signer.empty()) situation.signer = slot_in(policy, image, load.load.signer);
  ProgramDigest digest{};
  for (size_t i = 0; i < digest.size(); i++)
    digest[i] = static_cast<uint8_t>(std::stoi(load.load.digest.substr(2 * i, 2), nullptr, 16));
  situation.digest = digest;
  situation.time = kNow;
  return decide_on(image, situation).load;
}

bool admits(const Policy& policy, const Compiled& compiled, const SeenLoad& load) {
  return decide(policy, compiled.image(), load).allow != 0;
}

bool same_point(const SeenLoad& one, const SeenLoad& other) {
  return *patterns_for(one.load.attach) == *patterns_for(other.load.attach);
}

bool vouched_by(const SeenLoad& wanted, const SeenLoad& seen_before) {
  const string &signer = wanted.load.signer, &before = seen_before.load.signer;
  return seen_before.is_signed && seen_before.load.signature <= wanted.load.signature &&
         (signer == before || (signer == "narrow" && before == "distro"));
}

// Whether something that was seen stands for it: by the words of the header, not by rules.
bool follows_from(const SeenLoad& wanted, const std::vector<SeenLoad>& loads) {
  return std::ranges::any_of(loads, [&](const SeenLoad& before) {
    if (!before.is_signed)
      return same_point(wanted, before) && wanted.load.digest == before.load.digest;
    if (!wanted.is_signed || !vouched_by(wanted, before)) return false;
    return wanted.load.attach == "syscall" || same_point(wanted, before);
  });
}

// Without a part of the policy, something is refused that was seen; or, if an exact program stands
// for it too, is no longer admitted for its signer.
bool is_missed(const Policy& policy, const std::vector<SeenLoad>& loads) {
  const Compiled compiled(policy);
  return std::ranges::any_of(loads, [&](const SeenLoad& load) {
    const bw_decision decision = decide(policy, compiled.image(), load);
    if (decision.allow == 0) return true;
    return load.is_signed && policy.rules[decision.rule].signed_by.empty();
  });
}

// The parts that the header of suggest.h speaks of: attach points of one load class together.
std::vector<Policy> without_one_part(const Policy& policy) {
  std::vector<Policy> smaller;
  for (size_t i = 0; i < policy.rules.size(); i++) {
    const Rule& rule = policy.rules[i];
    smaller.push_back(policy);
    smaller.back().rules.erase(smaller.back().rules.begin() + static_cast<ptrdiff_t>(i));
    for (size_t digest = 0; rule.digests.size() > 1 && digest < rule.digests.size(); digest++) {
      smaller.push_back(policy);
      auto& digests = smaller.back().rules[i].digests;
      digests.erase(digests.begin() + static_cast<ptrdiff_t>(digest));
    }
    const auto group_of = [](const AttachEntry& entry) {
      const auto point = parse_attach_point(
          entry.pattern.text.ends_with("/*")
              ? string(attach_families()[entry.pattern.families._Find_first()].name) +
                    (attach_families()[entry.pattern.families._Find_first()].target == Target::none
                         ? ""
                         : "/…")
              : entry.pattern.text);
      return *patterns_for(attach_point_text(*point));
    };
    std::set<std::vector<string>> groups;
    for (const AttachEntry& entry : rule.attach) groups.insert(group_of(entry));
    for (const auto& group : groups) {
      if (groups.size() == 1) break;
      smaller.push_back(policy);
      std::erase_if(smaller.back().rules[i].attach,
                    [&](const AttachEntry& entry) { return group_of(entry) == group; });
    }
  }
  return smaller;
}

SeenLoad mutated(Dice& dice, SeenLoad load) {
  static const std::vector<string> points = {"xdp",  "sockops", "fentry/tcp_close", "kprobe/…",
                                             "tp/…", "tc",      "lsm/bpf",          "syscall"};
  static const std::vector<string> signers = {"ops", "dev", "distro", "narrow", "stranger"};
  switch (dice.below(4)) {
    case 0:
      load.load.digest = digest_number(dice.below(40));
      break;
    case 1:
      load.load.attach = dice.pick(points);
      break;
    case 2:
      load.load.signer = dice.pick(signers);
      load.load.signature = Signature::prog_used_maps;
      load.is_signed = true;
      break;
    default:
      load.load.signer = "";
      load.load.signature = Signature::unsigned_;
      load.is_signed = false;
  }
  return load;
}

}  // namespace

TEST_CASE("a suggested policy admits what was seen, nothing else, and has no idle part") {
  Dice dice(test_seed());
  size_t parts = 0, refused = 0, by_lint = 0;
  for (size_t round = 0; round < 60; round++) {
    const std::vector<SeenLoad> loads = random_loads(dice);
    const Suggestion suggestion = suggest(loads, options_with_keys());
    const string text = text_of(suggestion);
    INFO("BPFWARDEN_TEST_SEED=" << test_seed() << " round " << round << "\n" << text);
    const Policy policy = must_parse(text);
    const Compiled compiled(policy);
    CHECK(suggestion.left.empty());
    CHECK(std::ranges::all_of(policy.rules, [](const Rule& rule) {
      return rule.action == Action::allow && std::ranges::none_of(rule.attach, [](const auto& one) {
               return falls_at_attach(one.pattern);
             });
    }));  // `apply` takes it in enforce mode
    for (const SeenLoad& load : loads) {
      INFO(load.load.attach << " by '" << load.load.signer << "' " << load.load.digest);
      CHECK(admits(policy, compiled, load));
    }
    for (const Policy& smaller : without_one_part(policy)) {
      parts++;
      CHECK(is_missed(smaller, loads));
    }
    for (size_t i = 0; i < 100; i++) {
      const SeenLoad other = mutated(dice, dice.pick(loads));
      INFO("mutated: " << other.load.attach << " by '" << other.load.signer << "' "
                       << other.load.digest);
      CHECK(admits(policy, compiled, other) == follows_from(other, loads));
      refused += !follows_from(other, loads);
    }
    for (const Diagnostic& found : with_lint({}, policy, compiled.image(), kNow)) {
      by_lint++;
      // What a load leaves open, and what only general rules for unsigned programs would heal.
      CHECK((found.code == "ambiguous-at-load" || found.code == "no-probe-rule" ||
             found.code == "whole-keyring"));
    }
  }
  CHECK(parts > 300);
  CHECK(refused > 1000);
  CHECK(by_lint > 0);
}

TEST_CASE("the same loads in any order give the same text") {
  Dice dice(test_seed());
  for (size_t round = 0; round < 20; round++) {
    std::vector<SeenLoad> loads = random_loads(dice);
    const string first = text_of(suggest(loads, options_with_keys()));
    std::ranges::reverse(loads);
    std::swap(loads.front(), loads[dice.below(loads.size())]);
    CHECK(text_of(suggest(loads, options_with_keys())) == first);
    DiagnosticList diagnostics({"suggestion"});
    CHECK(format_policy({"suggestion", first}, 0, diagnostics) == first);
  }
}

TEST_CASE("a suggestion says what each rule is there for") {
  SeenLoad tool = seen("kprobe/…", "", digest_number(1));
  tool.count = 14;
  tool.last = kNow;
  tool.objection = "the default";
  SeenLoad probe = seen("socket", "", digest_number(2));
  probe.load.program = "libbpf_nametest";
  const string text = text_of(suggest(
      {tool, probe, seen("xdp", "ops", "", Signature::prog_used_maps)}, options_with_keys()));
  INFO(text);
  CHECK(
      text.contains("aaaaaaaaaaaa prog: seen 14 times, last 2027-01-15, by /usr/sbin/loader; "
                    "denied then by the default"));
  CHECK(text.contains(
      "name      = \"/usr/sbin/loader: kprobe/*, kretprobe/*, uprobe/* and 4 more\""));
  CHECK(text.contains("name      = \"feature probes of libbpf and bpftool: socket\""));
  CHECK(text.contains("signed-by = [\"ops\"]\nsignature = \"prog-used-maps\""));
  CHECK_FALSE(text.contains("keys.dev"));
}

TEST_CASE("what is not admitted is listed with the reason") {
  SeenLoad stranger = seen("xdp", "", "", Signature::prog_only);
  SeenLoad guarded = seen("fmod_ret/security_bpf", "", digest_number(1));
  guarded.fate = Fate::barred;
  guarded.objection = "an fmod_ret program on security_* would skip every security module";
  SeenLoad refused = seen("tc", "", digest_number(3));
  refused.fate = Fate::refused;
  refused.objection = "rule 'no tc'";
  SeenLoad listed = seen("tc", "", digest_number(4));
  SeenLoad nameless = seen("tp/…", "", "");
  nameless.fate = Fate::failed;
  SuggestOptions options = options_with_keys();
  ProgramDigest denied{};
  denied.fill(0xaa);
  denied.back() = 0x04;
  options.deny_digests = {denied};
  const std::vector<SeenLoad> loads = {stranger, guarded, refused, listed, nameless};
  const string text = text_of(suggest(loads, options));
  INFO(text);
  CHECK(must_parse(text).rules.empty());
  CHECK(text.contains("#   xdp prog by /usr/sbin/loader: signed by a key that the policy"));
  CHECK(text.contains("add [keys.NAME]"));
  CHECK(text.contains("would skip every security module"));
  CHECK(text.contains("refused by rule 'no tc'"));
  CHECK(text.contains("`deny-digests` names it"));
  CHECK(text.contains("the verifier rejected it"));
  options.include_refused = true;
  CHECK(suggest(loads, options).rules.size() == 1);
}

TEST_CASE("names from programs cannot break out of a comment or a string") {
  SeenLoad odd = seen("xdp", "", digest_number(1));
  odd.load.program = "a\n[[rules]]\nname = \"b\"";
  odd.by = "/tmp/x\"\n";
  SeenLoad left = odd;
  left.load.digest = "";
  left.load.attach = "tc";
  const Policy policy = must_parse(text_of(suggest({odd, left}, options_with_keys())));
  CHECK(policy.rules.size() == 1);
}

namespace {

SeenLoad in_boot(int64_t boot, const string& digest, const string& program) {
  SeenLoad load = seen("fentry/tcp_connect", "", digest);
  load.load.program = program;
  load.boots = {boot};
  return load;
}

}  // namespace

TEST_CASE("programs that differ from boot to boot are admitted by their executable") {
  const std::vector<SeenLoad> loads = {in_boot(1000, digest_number(1), "moves"),
                                       in_boot(1001, digest_number(1), "moves"),
                                       in_boot(5000, digest_number(2), "moves"),
                                       in_boot(1000, digest_number(3), "stays"),
                                       in_boot(5000, digest_number(3), "stays"),
                                       in_boot(1000, digest_number(4), "two of a name"),
                                       in_boot(1000, digest_number(5), "two of a name"),
                                       in_boot(5000, digest_number(6), "two of a name")};
  const string text = text_of(suggest(loads, options_with_keys()));
  INFO(text);
  const Policy policy = must_parse(text);
  REQUIRE(policy.rules.size() == 2);
  const auto by_exe =
      std::ranges::find_if(policy.rules, [](const Rule& r) { return !r.exes.empty(); });
  REQUIRE(by_exe != policy.rules.end());
  CHECK(by_exe->exes.front().text == "/usr/sbin/loader");
  CHECK(by_exe->digests.empty());
  const auto& exact = by_exe == policy.rules.begin() ? policy.rules.back() : policy.rules.front();
  CHECK(exact.digests.size() == 4);
  CHECK(text.contains("differ from boot to boot"));
}

TEST_CASE("programs with addresses of kernel symbols are admitted by their executable") {
  SuggestOptions options = options_with_keys();
  options.addresses_in = {{digest_number(1), {"bpf_prog_fops"}}, {digest_number(3), {"btf_fops"}}};
  SeenLoad runs = in_boot(1000, digest_number(1), "moves"), unknown = runs;
  runs.runs_now = true;
  runs.by = "loader";  // the name of a process
  runs.boots.clear();
  unknown = runs;
  unknown.load.digest = digest_number(3);
  const Suggestion suggestion = suggest({in_boot(1000, digest_number(1), "moves"), runs, unknown,
                                         in_boot(1000, digest_number(2), "moves"),
                                         in_boot(1000, digest_number(4), "stays")},
                                        options);
  const string text = text_of(suggestion);
  INFO(text);
  const Policy policy = must_parse(text);
  REQUIRE(policy.rules.size() == 3);
  std::set<size_t> digests;
  for (const Rule& rule : policy.rules) {
    digests.insert(rule.digests.size());
    CHECK(rule.digests.empty() == !rule.exes.empty());
  }
  CHECK(digests == std::set<size_t>{0, 1});
  CHECK(text.contains("kernel symbols into them: bpf_prog_fops."));
  CHECK(text.contains("Until the next boot only"));
  CHECK_FALSE(text.contains(digest_number(2)));  // an earlier build of the same
}

TEST_CASE("what was attached is admitted where it went; units give rules their names") {
  SuggestOptions options = options_with_keys();
  SeenLoad load = seen("xdp", "", digest_number(1)), there = load, elsewhere = load;
  load.unit = "edge.service";
  there.load.attach = "xdp@eth0";
  elsewhere.load.attach = "xdp@eth1";
  options.attachments = {there, elsewhere};
  const Suggestion suggestion = suggest({load}, options);
  REQUIRE(suggestion.rules.size() == 1);
  CHECK(suggestion.rules[0].text.allow == std::vector<string>{"xdp@eth0", "xdp@eth1"});
  CHECK(suggestion.rules[0].text.name == "edge.service: xdp@eth0, xdp@eth1");
  CHECK(suggestion.rules[0].loads.size() == 2);
}

TEST_CASE("rules are added before a load-only rule that is indented, as `why` prints it") {
  const string before =
      "schema = 1\nname = \"x\"\nversion = 3\nmode = \"audit\"\ndefault = \"deny\"\n\n"
      "    [[rules]]\n    name = \"probes\"\n    load-only = [\"kprobe/*\"]\n"
      "    signature = \"unsigned\"\n";
  Extension extension;
  extension.name = "x";
  extension.version = 4;
  extension.rules = suggest({seen("kprobe/…", "", digest_number(1))}, options_with_keys()).rules;
  const auto text = extended_text(must_parse(before), {{"policy.toml", before}}, extension);
  REQUIRE(text.has_value());
  INFO(*text);
  const Policy policy = must_parse(*text);
  REQUIRE(policy.rules.size() == 2);
  CHECK(policy.rules[1].name == "probes");
}

TEST_CASE("an extended policy keeps rules, comments and order, and says what is new on top") {
  const string before =
      "# Suggested by bpfwarden: an old one\n# of two lines\n\n# ours\nschema = 1\nname = \"x\"\n"
      "version = 3 # counted\nmode = \"audit\"\ndefault = \"allow\"\n\n"
      "[keys.ops]\n# from the vault\ncertificates = [\"ops.pem\"]\n\n"
      "# never\n[[rules]]\nname = \"no lsm\"\ndeny = [\"lsm/*\"]\n\n"
      "# probes\n[[rules]]\nname = \"probes\"\nload-only = [\"socket\"]\nsignature = "
      "\"unsigned\"\n\n"
      "# Not admitted, although seen:\n#   something\n";
  const Policy base = must_parse(before);
  Extension extension;
  extension.header = "Suggested by bpfwarden: anew";
  extension.name = "x";
  extension.version = 4;
  extension.mode = Mode::enforce;
  extension.deny_by_default = extension.detect_threads = true;
  extension.rules =
      suggest({seen("tc", "ops", "", Signature::prog_only)}, options_with_keys()).rules;
  extension.paths = [](const string&, const string& entry) {
    return std::vector<string>{"/etc/" + entry};
  };
  const auto text = extended_text(base, {{"policy.toml", before}}, extension);
  REQUIRE(text.has_value());
  INFO(*text);
  CHECK(text->starts_with("# Suggested by bpfwarden: anew\n"));
  CHECK_FALSE(text->contains("an old one"));
  CHECK_FALSE(text->contains("#   something"));
  for (const char* kept :
       {"# ours", "# counted", "# from the vault", "# never", "# probes", "/etc/ops.pem"})
    CHECK(text->contains(kept));
  string readable = *text;
  readable.replace(readable.find("/etc/ops.pem"), 12, "ops.pem");
  const Policy after = must_parse(readable);
  CHECK(after.version == 4);
  CHECK(after.mode == Mode::enforce);
  CHECK(after.default_action == Action::deny);
  CHECK(after.multithreaded_attach == SharedAttach::detect);
  REQUIRE(after.rules.size() == 3);
  CHECK(after.rules[0].name == "no lsm");
  CHECK(after.rules[1].name.starts_with("ops: tc"));
  CHECK(after.rules[2].name == "probes");
}
