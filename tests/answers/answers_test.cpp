// One answer: explain and policy tests, bw_decide(), and the reference evaluator, which shares no
// code with them, about the same policies and loads. Keys are given by name, as people do.
//
// A failure prints its seed, the policy and the load.
#include <algorithm>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/answers/explain.h"
#include "policy/answers/test_run.h"
#include "policy/image/signers.h"
#include "random_policy.h"

using namespace bpfwarden;
using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

constexpr size_t kPairs = BPFWARDEN_ANSWER_PAIRS;
constexpr size_t kLoadsPerPolicy = 50;

bool revokes(const Policy& policy, const Certificate& certificate) {
  return std::ranges::any_of(policy.keys, [&](const Key& key) {
    return std::ranges::any_of(key.revoked, [&](const Certificate& revoked) {
      return revoked.public_key == certificate.public_key;
    });
  });
}

// What a signature by that key of the policy is to the reference; of a revoked one, a stranger's.
void sign(const Policy& policy, const Key& key, Load& load) {
  load.keyring = key.keyring;
  load.public_key = fake_key("someone");
  load.issued = false;
  load.below.clear();
  if (is_whole_keyring(key)) return;
  const auto counts = [&](const Certificate& one) { return !revokes(policy, one); };
  const auto certificate = std::ranges::find_if(key.certificates, counts);
  const auto issuer = std::ranges::find_if(key.issuers, counts);
  if (certificate != key.certificates.end()) {
    load.public_key = certificate->public_key;
  } else if (issuer != key.issuers.end()) {
    load.public_key = issuer->public_key;
    load.issued = load.may_issue = true;
  } else {
    load.keyring.reset();
  }
}

// Signed by a key that the policy names, half of the time by nobody.
std::string random_key(Dice& dice, const Policy& policy, Load& load) {
  if (dice.once_in(2)) {
    load.signature = Signature::unsigned_;
    load.keyring.reset();
    load.public_key.clear();
    load.issued = false;
    return {};
  }
  const Key& key = dice.pick(policy.keys);
  if (load.signature == Signature::unsigned_) load.signature = Signature::prog_only;
  sign(policy, key, load);
  return key.name;
}

// Nothing where no attach point has a name that means such a load.
std::optional<AttachPoint> point_of(const Load& load) {
  if (load.attach) return load.attach;
  for (size_t i = 0; i < attach_families().size(); i++) {
    const AttachFamily& family = attach_families()[i];
    if (family.prog_type == load.prog_type && family.attach_type == load.attach_type)
      return AttachPoint{i, family.target == Target::none ? "" : load.name, {}};
  }
  return std::nullopt;
}

SituationSettings settings_of(const Load& load, const AttachPoint& attach, std::string key) {
  SituationSettings settings;
  settings.attach = attach;
  settings.key = std::move(key);
  settings.signature = load.signature;
  settings.origin = load.origin;
  settings.uid = load.uid;
  settings.exe = load.exe;
  settings.cgroup = load.cgroup;
  settings.digest = load.digest;
  settings.sleepable = load.sleepable;
  settings.delegated = load.delegated;
  settings.license = load.license;
  settings.time = load.time;
  return settings;
}

// The load itself, then the attachment, if the policy decides there.
std::vector<Verdict> expected_of(const Policy& policy, const bw_image& image, Load load) {
  const auto attach = load.attach;
  load.attach.reset();
  std::vector<Verdict> verdicts = {judge(policy, load)};
  load.attach = attach;
  if (attach && verdicts.front().allow && (image.flags & BW_IMAGE_ATTACH) != 0)
    verdicts.push_back(judge(policy, load));
  return verdicts;
}

std::vector<Verdict> explained(const bw_image& image, const Situation& situation) {
  std::vector<Verdict> verdicts;
  for (const StageExplanation& stage : explain(image, situation).stages)
    verdicts.push_back(verdict_of(stage.decision));
  return verdicts;
}

std::vector<Verdict> decided(const Compiled& compiled, Load load) {
  const auto attach = load.attach;
  load.attach.reset();
  std::vector<Verdict> verdicts = {compiled.decide(load)};
  load.attach = attach;
  if (attach && verdicts.front().allow && (compiled.image().flags & BW_IMAGE_ATTACH) != 0)
    verdicts.push_back(compiled.decide(load));
  return verdicts;
}

std::string describe(const std::vector<Verdict>& verdicts) {
  std::string text;
  for (const Verdict& verdict : verdicts) text += test::describe(verdict) + "; ";
  return text;
}

// Of all that occurs, so that the dice are seen to be loaded well.
struct Tally {
  size_t pairs = 0, by_key = 0, revoked = 0, as_another = 0, in_two_ways = 0, allowed = 0;
};

void count(const Load& load, const Situation& situation, const std::vector<Verdict>& verdicts,
           Tally& tally) {
  tally.pairs++;
  tally.by_key += situation.signer != BW_SIGNER_UNKNOWN;
  tally.revoked += !situation.revoked_key.empty();
  if (load.attach) {
    const auto ways = seen_by_the_kernel(load);
    tally.as_another += ways.front().attach->family != load.attach->family;
    tally.in_two_ways += ways.size() > 1;
  }
  tally.allowed += verdicts.back().allow;
}

// One way in which the kernel sees what was asked about.
std::vector<Verdict> ask(const Policy& policy, const Compiled& compiled, const Situation& situation,
                         const Load& load) {
  const auto expected = expected_of(policy, compiled.image(), load);
  const auto from_tools = explained(compiled.image(), situation);
  const auto from_image = decided(compiled, load);
  if (describe(from_tools) != describe(expected) || describe(from_image) != describe(expected))
    FAIL("BPFWARDEN_TEST_SEED=" << test_seed() << "\n"
                                << test::describe(load) << "\nexpected  " << describe(expected)
                                << "\nexplained " << describe(from_tools) << "\ndecided   "
                                << describe(from_image));
  return expected;
}

// A policy test that expects what the first way gives fails if another gives something else.
void run_test(const Policy& policy, const Compiled& compiled, const SituationSettings& settings,
              const std::vector<Verdict>& lasts, const Load& load) {
  TestFile tests;
  TestCase& one = tests.cases.emplace_back();
  one.situation = settings;
  const bool is_allowed = lasts.front().allow;
  one.expected = is_allowed ? Expectation::allow : Expectation::deny;
  one.mode = lasts.front().mode;
  const bool is_one_answer = std::ranges::all_of(lasts, [&](const Verdict& verdict) {
    return verdict.allow == is_allowed && verdict.mode == one.mode;
  });
  const TestReport report = run_tests(tests, policy, compiled.image(), load.time);
  if ((report.failed() == 0) != is_one_answer)
    FAIL(test::describe(load) << report.outcomes.front().reason);
}

void ask_all(const Policy& policy, const Compiled& compiled, Load load, const std::string& key,
             Tally& tally) {
  const auto attach = point_of(load);
  if (!attach || load.guard != BW_CAUSE_RULE) return;
  const SituationSettings settings = settings_of(load, *attach, key);
  auto situation = situation_of(settings, policy, compiled.image(), load.time);
  if (!situation) FAIL(situation.error().message);
  // Policy tests always name readable paths; the rest of the program is asked besides.
  situation->exe = load.exe;
  situation->cgroup = load.cgroup;
  situation->is_only_load = !load.attach;
  load.guard = situation->guard;
  // A load that is for no attachment is asked about as it is.
  const auto ways = load.attach ? as_seen(*situation) : std::vector<Situation>{*situation};
  const std::vector<Load> loads = seen_by_the_kernel(load);
  REQUIRE(ways.size() == loads.size());
  INFO("key " << key);
  std::vector<Verdict> lasts;
  for (size_t i = 0; i < ways.size(); i++)
    lasts.push_back(ask(policy, compiled, ways[i], loads[i]).back());
  count(load, *situation, lasts, tally);
  if (load.exe && load.cgroup && load.attach) run_test(policy, compiled, settings, lasts, load);
}

}  // namespace

TEST_CASE("tools, bw_decide and the reference agree on random pairs") {
  Dice dice(test_seed());
  Tally tally;
  while (tally.pairs < kPairs) {
    const PolicyText text = random_policy(dice);
    INFO(text.text());
    const Policy policy = must_parse(text.text());
    const Compiled compiled(policy);
    for (size_t j = 0; j < kLoadsPerPolicy; j++) {
      Load load = random_load(dice);
      const std::string key = random_key(dice, policy, load);
      ask_all(policy, compiled, load, key, tally);
    }
  }
  WARN(tally.pairs << " pairs, BPFWARDEN_TEST_SEED=" << test_seed());
  CHECK(tally.by_key > kPairs / 10);
  CHECK(tally.revoked > kPairs / 100);
  CHECK(tally.as_another > kPairs / 100);
  CHECK(tally.in_two_ways > kPairs / 300);
  CHECK(tally.allowed > kPairs / 10);
  CHECK(tally.allowed < kPairs * 9 / 10);
}
