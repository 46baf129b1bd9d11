// Which rules can never decide: never said of one that does, and said where it is plain.
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/lint/reach.h"
#include "random_policy.h"

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

// The rules before the last one that always come first.
std::optional<std::set<uint32_t>> before_last(const std::vector<std::string>& rules) {
  std::string text;
  for (size_t i = 0; i < rules.size(); i++) text += rule(i, rules[i]);
  const Compiled compiled(must_parse(kKeys + text));
  const auto last = static_cast<uint32_t>(rules.size() - 1);
  const auto found = Reach(compiled.image(), kNow).always_before(last);
  if (!found) return std::nullopt;
  std::set<uint32_t> numbers;
  for (uint32_t i = 0; i < found->size(); i++)
    if (found->test(i)) numbers.insert(i);
  return numbers;
}

using Numbers = std::set<uint32_t>;

// The rule that decides, unless it is one that admits a signed loader for what its key may load at
// another attach point.
std::optional<uint32_t> decider(const bw_image& image, bw_facts facts) {
  const bw_decision decision = bw_decide(&image, &facts);
  const bool by_rule = decision.cause == BW_CAUSE_RULE;
  if (!by_rule || !bw_test_bit(bw_may(&image, &facts, BW_NAME_TARGET), decision.rule))
    return std::nullopt;
  return decision.rule;
}

std::set<uint32_t> shadowed_rules(const bw_image& image) {
  const Reach reach(image, INT64_MIN);
  std::set<uint32_t> shadowed;
  for (uint32_t i = 0; i < image.rule_count; i++)
    if (reach.always_before(i)) shadowed.insert(i);
  return shadowed;
}

}  // namespace

TEST_CASE("no rule that decides is said to be shadowed") {
  Dice dice(test_seed());
  size_t shadowed = 0, decided = 0;
  for (int i = 0; i < 200; i++) {
    const PolicyText text = random_policy(dice);
    const Compiled compiled(must_parse(text.text()));
    const bw_image& image = compiled.image();
    const auto never = shadowed_rules(image);
    shadowed += never.size();
    for (int j = 0; j < 500; j++) {
      const Load load = random_load(dice);
      if (load.attach && (image.flags & BW_IMAGE_ATTACH) == 0) continue;
      const auto rule = decider(image, compiled.facts_of(load));
      if (!rule) continue;
      decided++;
      INFO("BPFWARDEN_TEST_SEED=" << test_seed() << "\n" << text.text() << describe(load));
      CAPTURE(*rule);
      REQUIRE_FALSE(never.contains(*rule));
    }
  }
  CHECK(shadowed > 50);
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
  CHECK(before_last({"deny = [\"fentry/tcp_*\"]", "deny = [\"fentry/*\"]"}) == std::nullopt);
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

TEST_CASE("what a load may become counts as decided at load where nothing is decided later") {
  const std::string allow = "allow = [\"tc\"]\nsignature = \"prog-only\"";
  CHECK(before_last({allow, "deny = [\"tcx/ingress\"]\nsignature = \"prog-only\""}) == Numbers{0});
  CHECK(before_last({allow, "deny = [\"tcx/ingress\"]"}) == std::nullopt);
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
  const Compiled compiled(must_parse(kKeys + text));
  const Reach reach(compiled.image(), kNow);
  for (uint32_t i = 0; i < BW_MAX_RULES; i++) REQUIRE(reach.always_before(i) == std::nullopt);
}
