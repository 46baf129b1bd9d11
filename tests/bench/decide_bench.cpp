// Nanoseconds per decision for policies of 1, 16, 128 and 1,024 rules.
//
// usage: decide_bench [--check]    --check: exit 1 if 1,024 rules cost more than 1.5 times as much
//                                  as one
//
// All policies use the same conditions, so that only the number of rules differs. The batches of
// the four sizes take turns, and the median batch counts: what else the machine does hits all
// alike.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "fake_reader.h"
#include "policy/compile.h"
#include "policy/situation.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

constexpr std::array<size_t, 4> kSizes = {1, 16, 128, 1024};
constexpr size_t kBatches = 200;
constexpr size_t kPerBatch = 2'000;
constexpr double kMaxRatio = 1.5;

struct Case {
  const char* name;
  bool hits;  // the last rule; else no rule at all
};
constexpr std::array<Case, 2> kCases = {{{"last rule", true}, {"no rule", false}}};

// Each rule names a function and a user; the last one is the one that the load is about.
std::string policy_of(size_t rules) {
  std::string text;
  for (size_t i = 0; i < rules; i++) {
    const std::string name = i + 1 == rules ? "tcp_connect" : "function_" + std::to_string(i);
    text += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\nallow=[\"fentry/" + name +
            "\", \"fentry/prefix_" + std::to_string(i) + "_*\"]\nsigned-by=[\"netops\"]\nuid=[" +
            std::to_string(i + 1 == rules ? 0 : i + 1) + "]\n";
  }
  return with_header(text);
}

Situation load_of(const Policy& policy, const bw_image& image, bool hits) {
  Situation load;
  load.attach = *parse_attach_point(hits ? "fentry/tcp_connect" : "fentry/udp_sendmsg");
  load.signature = Signature::prog_only;
  load.signer = *signer_slot(image, policy, "netops");
  return load;
}

// One policy, and what its batches took.
struct Contender {
  std::unique_ptr<bw_image> image;
  bw_facts facts;
  std::vector<double> nanoseconds;  // per decision, by batch

  Contender(size_t rules, bool hits) {
    const Policy policy = parse_text(policy_of(rules)).policy.value();
    image = std::move(compile(policy, std::array<uint8_t, 32>{}).value());
    facts = facts_of(load_of(policy, *image, hits), BW_STAGE_LOAD);
  }

  void run_batch() {
    bw_decision decision = {};
    unsigned sum = 0;
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < kPerBatch; i++) {
      bw_decide(image.get(), &facts, &decision);
      sum += decision.rule;
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    nanoseconds.push_back(spent.count() / kPerBatch);
    if (sum == 1) std::puts("");  // keeps the loop from being left out
  }

  [[nodiscard]] double median() {
    std::nth_element(nanoseconds.begin(), nanoseconds.begin() + kBatches / 2, nanoseconds.end());
    return nanoseconds[kBatches / 2];
  }
};

// Prints one line of the table; returns the ratio of the largest policy to the smallest.
double measure(const Case& one) {
  std::vector<Contender> contenders;
  for (const size_t size : kSizes) contenders.emplace_back(size, one.hits);
  for (size_t batch = 0; batch < kBatches; batch++)
    for (Contender& contender : contenders) contender.run_batch();
  std::printf("%-10s", one.name);
  std::vector<double> medians;
  for (Contender& contender : contenders) {
    medians.push_back(contender.median());
    std::printf("%9.1f", medians.back());
  }
  const double ratio = medians.back() / medians.front();
  std::printf("%9.2f\n", ratio);
  return ratio;
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc > 1 && std::strcmp(argv[1], "--check") == 0;
  std::printf("ns per decision, median of %zu batches of %zu\n%-10s", kBatches, kPerBatch, "");
  for (const size_t size : kSizes) std::printf("%9zu", size);
  std::printf("%9s\n", "1024:1");
  double worst = 0;
  for (const Case& one : kCases) worst = std::max(worst, measure(one));
  if (!check || worst <= kMaxRatio) return 0;
  std::printf("1,024 rules cost more than %.1f times as much as one\n", kMaxRatio);
  return 1;
}
