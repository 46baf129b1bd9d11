// Random policies, and loads and attachments that they often have something to say about.
//
// The same seed gives the same sequence everywhere. The certificates are fake_reader.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "reference.h"

namespace bpfwarden::policy::test {

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

// A policy file in parts, so that a failing one can be made smaller.
struct PolicyText {
  std::vector<std::string> header;              // lines
  std::vector<std::vector<std::string>> rules;  // lines of each, without [[rules]]

  [[nodiscard]] std::string text() const;
};

[[nodiscard]] PolicyText random_policy(Dice& dice);
[[nodiscard]] Load random_load(Dice& dice);

// For failure messages.
[[nodiscard]] std::string describe(const Load& load);
[[nodiscard]] std::string describe(const Verdict& verdict);

// BPFWARDEN_TEST_SEED, or a fixed number.
[[nodiscard]] uint64_t test_seed();

// Takes away rules, settings and facts as long as `fails` still holds: what is left is small.
void shrink(PolicyText& policy, Load& load,
            const std::function<bool(const PolicyText&, const Load&)>& fails);

}  // namespace bpfwarden::policy::test
