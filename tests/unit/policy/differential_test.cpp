// bw_decide() over compiled policies against the plain reference evaluator, on random pairs.
//
// A failure prints its seed and the smallest policy and load that still fail.
#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "random_policy.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

constexpr size_t kPairs = BPFWARDEN_RANDOM_PAIRS;
constexpr size_t kLoadsPerPolicy = 50;

// Counted so that the dice are seen to be loaded well: all kinds of answers must occur.
struct Tally {
  size_t allowed = 0, by_rule = 0, at_attach = 0;

  void add(const Verdict& verdict, const Load& load) {
    allowed += verdict.allow;
    by_rule += verdict.cause == BW_CAUSE_RULE;
    at_attach += load.attach.has_value();
  }
};

bool differs(const PolicyText& text, const Load& load) {
  const ParseResult parsed = parse_text(text.text());
  if (!parsed.policy) return false;
  return judge(*parsed.policy, load) != Compiled(*parsed.policy).decide(load);
}

void report(PolicyText text, Load load) {
  shrink(text, load, differs);
  const Policy policy = must_parse(text.text());
  FAIL("BPFWARDEN_TEST_SEED=" << test_seed() << "\n"
                              << text.text() << "\n"
                              << describe(load) << "\nexpected " << describe(judge(policy, load))
                              << "\ngot      " << describe(Compiled(policy).decide(load)));
}

}  // namespace

TEST_CASE("bw_decide says what the reference says") {
  Dice dice(test_seed());
  Tally tally;
  for (size_t i = 0; i < kPairs / kLoadsPerPolicy; i++) {
    const PolicyText text = random_policy(dice);
    const Policy policy = must_parse(text.text());
    const Compiled compiled(policy);
    for (size_t j = 0; j < kLoadsPerPolicy; j++) {
      const Load load = random_load(dice);
      const Verdict expected = judge(policy, load);
      tally.add(expected, load);
      if (compiled.decide(load) != expected) report(text, load);
    }
  }
  WARN(kPairs << " pairs, BPFWARDEN_TEST_SEED=" << test_seed());
  CHECK(tally.allowed > kPairs / 10);
  CHECK(tally.allowed < kPairs * 9 / 10);
  CHECK(tally.by_rule > kPairs / 5);
  CHECK(tally.by_rule < kPairs * 95 / 100);
  CHECK(tally.at_attach > kPairs / 4);
}

TEST_CASE("a failure is shrunk to what matters") {
  Dice dice(1);
  PolicyText text;
  do text = random_policy(dice);
  while (text.rules.size() < 5);
  text.rules.push_back(
      {"name = \"culprit\"", "allow = [\"xdp\"]", "signature = \"unsigned\"", "uid = [7]"});
  Load load;
  load.uid = 7;
  load.sleepable = true;
  shrink(text, load, [](const PolicyText& smaller, const Load& changed) {
    return changed.uid == 7 && smaller.text().find("uid = [7]") != std::string::npos;
  });
  CHECK(text.rules.size() == 1);
  CHECK(text.rules.at(0).size() == 2);
  CHECK_FALSE(load.sleepable);
}
