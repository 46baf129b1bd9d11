// Which rules can never decide: never said of one that does, and said where it is plain.
#include <array>
#include <random>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/compile.h"
#include "policy/reach.h"
#include "policy/situation.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

const std::string kKeys =
    "schema = 1\nname = \"test\"\nversion = 1\nmode = \"enforce\"\ndefault = \"deny\"\n"
    "[keys.ops]\ncertificates = [\"ops.pem\"]\n[keys.dev]\ncertificates = [\"dev.pem\"]\n"
    "[keys.distro]\nkeyring = \"builtin\"\n";

std::string rule(size_t number, const std::string& settings) {
  return "[[rules]]\nname = \"" + std::to_string(number) + "\"\n" + settings + "\n";
}

struct Compiled {
  Policy policy;
  std::unique_ptr<bw_image> image;
};

Compiled compiled(const std::string& rules) {
  Compiled result = {must_parse(kKeys + rules), nullptr};
  auto image = compile(result.policy, std::array<uint8_t, 32>{});
  REQUIRE(image.has_value());
  result.image = std::move(*image);
  return result;
}

// The rules before the last one that always come first.
std::optional<std::set<uint32_t>> before_last(const std::vector<std::string>& rules) {
  std::string text;
  for (size_t i = 0; i < rules.size(); i++) text += rule(i, rules[i]);
  const Compiled made = compiled(text);
  const auto found = Reach(*made.image, kNow).always_before(made.image->rule_count - 1);
  if (!found) return std::nullopt;
  std::set<uint32_t> numbers;
  for (uint32_t i = 0; i < found->size(); i++)
    if (found->test(i)) numbers.insert(i);
  return numbers;
}

using Numbers = std::set<uint32_t>;

// ---- Random policies and situations -------------------------------------------------------------

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  bool once_in(size_t n) { return engine_() % n == 0; }
  const std::string& pick(const std::vector<std::string>& from) {
    return from[engine_() % from.size()];
  }

 private:
  std::mt19937_64 engine_;
};

const std::vector<std::string> kPatterns = {
    "xdp",          "xdp@eth0",         "xdp@eth*",     "tc",       "tcx/*",
    "fentry/tcp_*", "fentry/*",         "fentry/tcp_a", "kprobe/*", "kprobe/tcp*",
    "kprobe/a",     "lsm_cgroup/a@/x*", "lsm_cgroup/*", "syscall",  "*"};
const std::vector<std::string> kPoints = {
    "xdp",          "xdp@eth0",     "xdp@lo",   "tc",         "tcx/ingress",       "fentry/tcp_a",
    "fentry/tcp_b", "fentry/other", "kprobe/a", "kprobe/tcp", "lsm_cgroup/a@/x/y", "lsm_cgroup/b",
    "syscall"};
const std::vector<std::string> kConditions = {
    "uid = [0]",
    "uid = [0, 7]",
    "exe = [\"/bin/*\"]",
    "exe = [\"/bin/a\"]",
    "cgroup = [\"/s\"]",
    "sleepable = true",
    "sleepable = false",
    "delegated = true",
    "origin = \"user\"",
    "origin = \"loader\"",
    "license = \"proprietary\"",
    "not-before = 2027-06-01",
    "expires = 2027-06-01",
    "expires = 2027-01-01",
    "digests = [\"sha256:" + std::string(64, '1') + "\"]"};

std::string random_settings(Dice& dice) {
  static const std::vector<std::string> actions = {"allow", "deny", "load-only"};
  static const std::vector<std::string> who = {
      "signature = \"unsigned\"", "signature = \"prog-only\"", "signed-by = [\"ops\"]",
      "signed-by = [\"dev\", \"distro\"]", "signed-by = [\"ops\"]\nsignature = \"prog-used-maps\""};
  std::string text =
      dice.pick(actions) + " = [\"" + dice.pick(kPatterns) + "\"]\n" + dice.pick(who);
  if (!dice.once_in(2)) text += "\n" + dice.pick(kConditions);
  return text;
}

Situation random_situation(Dice& dice, const bw_image& image) {
  Situation situation;
  situation.attach = *parse_attach_point(dice.pick(kPoints));
  if (!dice.once_in(3)) {
    situation.signature = dice.once_in(2) ? Signature::prog_only : Signature::prog_used_maps;
    situation.signer = dice.once_in(3) ? BW_SIGNER_BUILTIN : BW_SIGNER_FIRST_KEY;
    if (dice.once_in(3)) situation.signer = image.signer_count - 1;
    if (dice.once_in(4)) situation.signer = BW_SIGNER_UNKNOWN;
  }
  situation.origin = dice.once_in(2) ? Origin::user : Origin::loader;
  situation.uid = dice.once_in(2) ? 0U : dice.once_in(2) ? 7U : 8U;
  situation.exe = dice.pick({"/bin/a", "/bin/b", "/other"});
  situation.cgroup = dice.pick({"/s", "/"});
  if (dice.once_in(5)) situation.exe = std::nullopt;
  if (dice.once_in(3)) situation.digest = ProgramDigest{};
  if (dice.once_in(4)) situation.digest.emplace().fill(0x11);
  situation.sleepable = dice.once_in(2);
  situation.delegated = dice.once_in(2);
  situation.license = dice.once_in(2) ? License::proprietary : License::gpl_compatible;
  situation.time = dice.once_in(2) ? kNow : kNow + 365 * 86'400;
  return situation;
}

// Not what a signed loader is admitted for: the rule names another attach point.
bool is_by_its_name(const bw_image& image, const bw_facts& facts, uint32_t rule) {
  return bw_test_bit(bw_may(&image, &facts, BW_NAME_TARGET), rule);
}

}  // namespace

TEST_CASE("no rule that decides is said to be shadowed") {
  Dice dice(7);
  size_t shadowed = 0, decided = 0;
  for (int policy = 0; policy < 150; policy++) {
    std::string text;
    for (size_t i = 0; i < 12; i++) text += rule(i, random_settings(dice));
    const Compiled made = compiled(text);
    const Reach reach(*made.image, kNow);
    std::set<uint32_t> never;
    for (uint32_t i = 0; i < made.image->rule_count; i++)
      if (reach.always_before(i)) never.insert(i);
    shadowed += never.size();
    for (int i = 0; i < 400; i++) {
      const Outcome outcome = decide_on(*made.image, random_situation(dice, *made.image));
      if (outcome.load.cause == BW_CAUSE_RULE &&
          is_by_its_name(*made.image, outcome.load_facts, outcome.load.rule)) {
        decided++;
        INFO(text << "rule " << outcome.load.rule << " at load");
        REQUIRE_FALSE(never.contains(outcome.load.rule));
      }
      if (outcome.attach && outcome.attach->cause == BW_CAUSE_RULE) {
        INFO(text << "rule " << outcome.attach->rule << " at attach");
        REQUIRE_FALSE(never.contains(outcome.attach->rule));
      }
    }
  }
  CHECK(shadowed > 100);
  CHECK(decided > 10'000);
}

TEST_CASE("a rule shadows another that asks for as much or more") {
  CHECK(before_last({"deny = [\"xdp\"]", "allow = [\"xdp\"]\nsigned-by = [\"ops\"]"}) ==
        Numbers{0});
  CHECK(before_last({"allow = [\"xdp\"]\nsigned-by = [\"ops\"]", "deny = [\"xdp\"]"}) ==
        std::nullopt);
  CHECK(before_last({"deny = [\"fentry/tcp_*\"]", "deny = [\"fentry/tcp_connect\"]"}) ==
        Numbers{0});
  CHECK(before_last({"deny = [\"fentry/tcp_connect\"]", "deny = [\"fentry/tcp_*\"]"}) ==
        std::nullopt);
  CHECK(before_last({"deny = [\"*\"]", "deny = [\"xdp\", \"lsm/*\", \"kprobe/a\"]"}) == Numbers{0});
}

TEST_CASE("one attach point that is left is enough") {
  CHECK(before_last({"deny = [\"xdp\"]", "deny = [\"socket\"]", "deny = [\"xdp\", \"socket\"]"}) ==
        Numbers{0, 1});
  CHECK(before_last({"deny = [\"xdp\"]", "deny = [\"xdp\", \"socket\"]"}) == std::nullopt);
}

TEST_CASE("rules shadow another together") {
  CHECK(before_last({"deny = [\"xdp\"]\nsleepable = true", "deny = [\"xdp\"]\nsleepable = false",
                     "deny = [\"xdp\"]"}) == Numbers{0, 1});
  CHECK(before_last({"deny = [\"xdp\"]\nsleepable = true", "deny = [\"xdp\"]\ndelegated = false",
                     "deny = [\"xdp\"]"}) == std::nullopt);
  CHECK(before_last({"deny = [\"xdp\"]\norigin = \"user\"", "deny = [\"xdp\"]\norigin = \"loader\"",
                     "deny = [\"xdp\"]\nuid = [7]"}) == Numbers{0, 1});
  CHECK(before_last({"deny = [\"xdp\"]\nexpires = 2027-06-01",
                     "deny = [\"xdp\"]\nnot-before = 2027-06-01", "deny = [\"xdp\"]"}) ==
        Numbers{0, 1});
  CHECK(before_last({"deny = [\"xdp\"]\nexpires = 2027-06-01",
                     "deny = [\"xdp\"]\nnot-before = 2027-06-02", "deny = [\"xdp\"]"}) ==
        std::nullopt);
}

TEST_CASE("subjects and digests: each name, and every other") {
  const std::string xdp = "deny = [\"xdp\"]\n";
  CHECK(before_last({xdp + "uid = [0, 7]", xdp + "uid = [7]"}) == Numbers{0});
  CHECK(before_last({xdp + "uid = [7]", xdp + "uid = [0, 7]"}) == std::nullopt);
  CHECK(before_last({xdp + "exe = [\"/bin/*\"]", xdp + "exe = [\"/bin/a\"]"}) == Numbers{0});
  CHECK(before_last({xdp + "exe = [\"/*\"]", xdp}) == std::nullopt);
  const std::string digest = "digests = [\"sha256:" + std::string(64, '1') + "\"]";
  CHECK(before_last({xdp, xdp + digest}) == Numbers{0});
  CHECK(before_last({xdp + digest, xdp}) == std::nullopt);
}

TEST_CASE("what falls at attach is left until then") {
  const std::string who = "\nsigned-by = [\"ops\"]";
  CHECK(before_last({"allow = [\"xdp@eth0\"]" + who, "deny = [\"xdp\"]"}) == std::nullopt);
  CHECK(before_last({"allow = [\"xdp\"]" + who, "deny = [\"xdp@eth0\"]" + who}) == Numbers{0});
  CHECK(before_last({"allow = [\"xdp@eth0\"]" + who, "allow = [\"xdp@eth0\"]" + who}) ==
        Numbers{0});
  // A device that cannot be read is none that may be allowed.
  CHECK(before_last({"allow = [\"xdp@eth0\"]" + who, "deny = [\"xdp@eth0\"]" + who}) ==
        std::nullopt);
}

TEST_CASE("a signer is covered by name, by keyring and by everyone") {
  const std::string allow = "allow = [\"xdp\"]\n";
  CHECK(before_last({allow + "signature = \"prog-only\"",
                     allow + "signed-by = [\"ops\", \"dev\"]"}) == Numbers{0});
  CHECK(before_last({allow + "signed-by = [\"ops\"]", allow + "signed-by = [\"dev\"]",
                     allow + "signed-by = [\"ops\", \"dev\"]\nsignature = \"prog-used-maps\""}) ==
        Numbers{0, 1});
  CHECK(before_last({allow + "signed-by = [\"ops\", \"dev\"]",
                     allow + "signed-by = [\"ops\", \"distro\"]"}) == std::nullopt);
}

TEST_CASE("the largest policy is settled, and the answer stays bounded") {
  std::string text;
  for (size_t i = 0; i < BW_MAX_RULES; i++)
    text += rule(i, "deny = [\"*\"]\nuid = [" + std::to_string(i) +
                        "]\nsleepable = " + (i % 2 ? "true" : "false"));
  const Compiled made = compiled(text);
  const Reach reach(*made.image, kNow);
  for (uint32_t i = 0; i < BW_MAX_RULES; i++) REQUIRE(reach.always_before(i) == std::nullopt);
}
