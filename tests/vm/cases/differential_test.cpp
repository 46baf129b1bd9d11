// The kernel finds who signed and decides as the manager's copy of the same headers does, and the
// reference.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <memory>

#include "compiled.h"
#include "decide.skel.h"
#include "fake_reader.h"
#include "random_policy.h"
#include "tests/vm/programs/decide.h"

namespace bpfwarden::vm {
namespace {

using namespace policy::test;

constexpr size_t kPolicies = 40;
constexpr size_t kLoads = 50;
static_assert(kLoads <= BW_MAX_BATCH);

struct FreeSkeleton {
  void operator()(decide_bpf* skeleton) const { decide_bpf::destroy(skeleton); }
};

class KernelPart {
 public:
  KernelPart() : skeleton_(decide_bpf::open_and_load()) { REQUIRE(skeleton_); }

  void use(const bw_image& image) { put(skeleton_->maps.image, 0, &image, sizeof(image)); }

  std::vector<bw_decision> decide(const std::vector<bw_question>& questions) {
    for (uint32_t i = 0; i < questions.size(); i++)
      put(skeleton_->maps.questions, i, &questions[i], sizeof(bw_question));
    bw_batch batch = {.count = static_cast<uint32_t>(questions.size()), .decided = 0};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.ctx_in = &batch;
    options.ctx_size_in = sizeof(batch);
    REQUIRE(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.decide_batch), &options) == 0);
    REQUIRE(options.retval == 0);
    REQUIRE(batch.decided == questions.size());
    std::vector<bw_decision> decisions(questions.size());
    for (uint32_t i = 0; i < questions.size(); i++)
      REQUIRE(bpf_map__lookup_elem(skeleton_->maps.decisions, &i, sizeof(i), &decisions[i],
                                   sizeof(bw_decision), 0) == 0);
    return decisions;
  }

 private:
  static void put(bpf_map* map, uint32_t key, const void* value, size_t size) {
    REQUIRE(bpf_map__update_elem(map, &key, sizeof(key), value, size, BPF_ANY) == 0);
  }

  std::unique_ptr<decide_bpf, FreeSkeleton> skeleton_;
};

}  // namespace

TEST_CASE("allow_what_all_answers_agree_on_for_2000_random_pairs", "[vm][differential]") {
  KernelPart kernel;
  Dice dice(test_seed());
  WARN("BPFWARDEN_TEST_SEED=" << test_seed());
  for (size_t i = 0; i < kPolicies; i++) {
    const PolicyText text = random_policy(dice);
    const policy::Policy policy = must_parse(text.text());
    const Compiled compiled(policy);
    std::vector<policy::test::Load> loads;
    std::vector<bw_question> questions;
    for (size_t j = 0; j < kLoads; j++) {
      loads.push_back(random_load(dice));
      bw_question& question = questions.emplace_back();
      question.facts = compiled.facts_of(loads.back());
      question.facts.signer = BW_SIGNER_UNKNOWN;
      question.signed_by = signed_by_of(loads.back());
      question.keyring = keyring_of(loads.back());
    }
    kernel.use(compiled.image());
    const auto decisions = kernel.decide(questions);
    for (size_t j = 0; j < kLoads; j++) {
      INFO(text.text() << "\n" << describe(loads[j]));
      CHECK(describe(verdict_of(decisions[j])) == describe(compiled.decide(loads[j])));
      CHECK(describe(verdict_of(decisions[j])) == describe(judge(policy, loads[j])));
    }
  }
}

}  // namespace bpfwarden::vm
