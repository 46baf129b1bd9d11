#include "compiled.h"

#include <cstring>

#include <catch2/catch_test_macros.hpp>

#include "policy/image/signers.h"

namespace bpfwarden::policy::test {

Compiled::Compiled(const Policy& policy) {
  std::array<uint8_t, 32> digest;
  digest.fill(0xd1);
  auto image = compile(policy, digest);
  INFO((image ? "" : image.error().message));
  REQUIRE(image.has_value());
  image_ = std::move(*image);
}

bw_signed_by signed_by_of(const Load& load) {
  constexpr std::string_view algorithm = "ecdsa-nist-p256";  // fake_reader.h's
  const bw_key key = kernel_key(load.public_key, algorithm);
  if (!load.issued) return signed_by(key);
  bw_signed_by by = issued_by(key, load.may_issue);
  for (const auto& below : load.below) {
    const bw_key one = kernel_key(below, algorithm);
    by.chain[by.chain_length++] = bw_hash_of_key(&one);
  }
  return by;
}

uint32_t keyring_of(const Load& load) {
  return load.keyring ? static_cast<uint32_t>(*load.keyring) : 0;
}

uint32_t Compiled::slot_of(const Load& load) const {
  const bw_signed_by by = signed_by_of(load);
  return bw_find_signer(image_.get(), &by, keyring_of(load));
}

namespace {

void set_name(bw_name& name, const void* bytes, size_t size) {
  if (size >= BW_NAME_SIZE) return;  // the kernel part cannot read it
  std::memcpy(name.bytes, bytes, size);
  name.length = static_cast<uint8_t>(size);
  name.known = 1;
}

void set_names(const Load& load, bw_facts& facts) {
  const auto set = [&](bw_dimension dimension, const std::string& text) {
    set_name(facts.names[dimension], text.data(), text.size());
  };
  const uint8_t load_class = load_class_of(load.prog_type, load.attach_type);
  const bool is_found =
      load.attach && (!load.attach->target.empty() ||
                      attach_families()[load.attach->family].target != Target::attach);
  if (is_found)
    set(BW_NAME_TARGET, load.attach->target);
  else if (!load.attach && load_classes()[load_class].flags & BW_CLASS_NAMED)
    set(BW_NAME_TARGET, load.name);
  if (load.attach && !load.attach->place.empty()) set(BW_NAME_PLACE, load.attach->place);
  if (load.exe) set(BW_NAME_EXE, *load.exe);
  if (load.cgroup) set(BW_NAME_CGROUP, *load.cgroup);
  set_name(facts.names[BW_NAME_UID], &load.uid, sizeof(load.uid));
  if (load.digest) set_name(facts.names[BW_NAME_DIGEST], load.digest->data(), load.digest->size());
}

}  // namespace

bw_facts Compiled::facts_of(const Load& said) const {
  const Load load = seen_by_the_kernel(said).front();
  bw_facts facts = {};
  facts.prog_type = load.prog_type;
  facts.attach_type = load.attach_type;
  facts.signer = slot_of(load);
  facts.signature = static_cast<uint8_t>(load.signature);
  facts.guard = static_cast<uint8_t>(load.guard);
  facts.origin = static_cast<uint8_t>(load.origin);
  facts.stage = load.attach ? BW_STAGE_ATTACH : BW_STAGE_LOAD;
  facts.family = static_cast<uint8_t>(load.attach ? load.attach->family : 0);
  facts.traits[BW_TRAIT_SLEEPABLE] = load.sleepable;
  facts.traits[BW_TRAIT_DELEGATED] = load.delegated;
  facts.traits[BW_TRAIT_GPL_COMPATIBLE] = load.license == License::gpl_compatible;
  facts.time = load.time;
  set_names(load, facts);
  return facts;
}

Verdict verdict_of(const bw_decision& decision) {
  Verdict verdict{decision.allow != 0,
                  static_cast<Mode>(decision.mode),
                  static_cast<bw_cause>(decision.cause),
                  {}};
  if (decision.rule != BW_NO_RULE) verdict.rule = decision.rule;
  return verdict;
}

Verdict Compiled::decide(const Load& load) const {
  bw_facts facts = facts_of(load);
  return verdict_of(bw_decide(image_.get(), &facts));
}

}  // namespace bpfwarden::policy::test
