#include "compiled.h"

#include <cstring>

#include <catch2/catch_test_macros.hpp>

#include "bpf-lsm/decide.h"

namespace bpfwarden::policy::test {

Compiled::Compiled(const Policy& policy) {
  std::array<uint8_t, 32> digest;
  digest.fill(0xd1);
  auto image = compile(policy, digest);
  INFO((image ? "" : image.error().message));
  REQUIRE(image.has_value());
  image_ = std::move(*image);
}

uint32_t Compiled::slot_of(const Load& load) const {
  if (load.keyring) return static_cast<uint32_t>(*load.keyring);
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image_->signer_count; slot++)
    if (image_->signers[slot].key_length == load.public_key.size() &&
        std::memcmp(image_->signers[slot].key, load.public_key.data(), load.public_key.size()) == 0)
      return slot;
  return BW_SIGNER_UNKNOWN;
}

Verdict Compiled::decide(const Load& load) const {
  bw_facts facts = {};
  facts.prog_type = load.prog_type;
  facts.attach_type = load.attach_type;
  facts.signer = slot_of(load);
  facts.signature = static_cast<uint8_t>(load.signature);
  facts.guard = static_cast<uint8_t>(load.guard);
  facts.name_length = static_cast<uint8_t>(load.name.size());
  REQUIRE(load.name.size() < BW_NAME_SIZE);
  std::memcpy(facts.name_bytes, load.name.data(), load.name.size());

  bw_decision decision = {};
  bw_decide(image_.get(), &facts, &decision);
  Verdict verdict{decision.allow != 0,
                  static_cast<Mode>(decision.mode),
                  static_cast<bw_cause>(decision.cause),
                  {}};
  if (decision.rule != BW_NO_RULE) verdict.rule = decision.rule;
  return verdict;
}

}  // namespace bpfwarden::policy::test
