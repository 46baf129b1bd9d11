// A compiled policy that decides loads as the kernel part would: compile() and bw_decide().
#pragma once

#include <array>
#include <memory>

#include "bpf-lsm/signer.h"
#include "policy/image/compile.h"
#include "reference.h"

namespace bpfwarden::policy::test {

class Compiled {
 public:
  // The test fails if the policy does not compile.
  explicit Compiled(const Policy& policy);

  [[nodiscard]] const bw_image& image() const { return *image_; }
  [[nodiscard]] bw_facts facts_of(const Load& load) const;
  [[nodiscard]] Verdict decide(const Load& load) const;

 private:
  [[nodiscard]] uint32_t slot_of(const Load& load) const;

  std::unique_ptr<bw_image> image_;
};

// What the kernel part would have seen of the signature, and the slot of the keyring that was
// named.
[[nodiscard]] bw_signed_by signed_by_of(const Load& load);
[[nodiscard]] uint32_t keyring_of(const Load& load);

[[nodiscard]] Verdict verdict_of(const bw_decision& decision);

}  // namespace bpfwarden::policy::test
