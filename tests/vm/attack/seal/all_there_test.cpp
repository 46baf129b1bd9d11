// Root on a sealed host, in its own way: what it tries against the policy, and what decides by it.
#include <catch2/catch_test_macros.hpp>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

SealAttacks all_attacks() {
  SealAttacks all;
  for (auto* const of : {attacks_on_maps, attacks_through_programs, attacks_on_programs,
                         attacks_on_the_guard, attacks_on_pins, attacks_on_keys, attacks_on_verbs})
    for (SealAttack& attack : of()) all.push_back(std::move(attack));
  std::erase_if(all, [](const SealAttack& attack) { return !has_entry_of(attack.name); });
  return all;
}

}  // namespace

TEST_CASE("attack_seal_as_root_with_all_hooks_there",
          "[vm][attack][bare][kernel][kernel:signature_attr]") {
  const SealAttacks attacks = all_attacks();
  CHECK(attacks.size() >= 60);
  control_attacks(attacks);
  SealedHost host;
  host.must_withstand(attacks);
}

}  // namespace bpfwarden::vm
