// What the rules of an image leave for each other to decide.
//
// A rule is a box over the dimensions of a decision: target, place, signature and signer, origin,
// traits, dates, subjects, digest. It never decides if the boxes of earlier rules cover its own.
// That is found on the bit vectors which decide.h uses: of each dimension, every vector that any
// fact can select is one value, so "every other name" and "a name that is not known" are values
// too. Whatever cannot be settled within a bounded search counts as reachable.
//
// A signed loader that decide.h admits for what its key may load elsewhere is outside of this: the
// answers are about the attach points that a rule names. Refers to the image; nothing fails.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <vector>

#include "bpf-lsm/decide.h"
#include "policy/language/attach_point.h"

namespace bpfwarden::policy {

using RuleSet = std::bitset<BW_MAX_RULES>;

class Reach {
 public:
  // Facts from `now` on, in Unix seconds: dates that have passed count no more.
  Reach(const bw_image& image, int64_t now);

  // The rules one of which always comes before `rule` about what it names. None if something is
  // left for it, or if it matches nothing by itself, as when it has expired. That a rule which
  // refuses is also about targets that cannot be found out does not count; a place is often not
  // known.
  [[nodiscard]] std::optional<RuleSet> always_before(uint32_t rule) const;

  // The families for which programs can be loaded that `rule` decides about.
  [[nodiscard]] FamilySet decides_for(uint32_t rule) const;

  // Whether something comes to the attach points of `rule` that no rule matches, and whose mode is
  // therefore that of `rule` (docs/adr/0003).
  [[nodiscard]] bool leaves_to_its_mode(uint32_t rule) const;

 private:
  using Values = std::vector<RuleSet>;  // of one dimension, each once

  // One answer to "where".
  struct Where {
    bw_stage stage;
    FamilySet families;
    RuleSet named;  // the rules that name it, if only perhaps
    RuleSet match;  // of these, the ones that can decide there at that stage
    Values places;
    bool is_named;  // some target selects this, and not only one that cannot be found out
  };

  void add_loads();
  void add_attachments();
  [[nodiscard]] RuleSet deciding_unknown(bw_stage stage, uint32_t name_class) const;
  [[nodiscard]] RuleSet deciding(bw_stage stage, bw_match_sets sets, bool is_known) const;
  [[nodiscard]] RuleSet may(bw_match_sets sets) const;
  [[nodiscard]] Values values_of(bw_stage stage, uint32_t name_class, bool can_be_unknown) const;
  [[nodiscard]] std::vector<Values> conditions(bw_stage stage) const;

  const bw_image& image_;
  int64_t now_;
  RuleSet allow_;
  std::vector<std::vector<bw_match_sets>> patterns_;  // by bw_class
  std::vector<Where> wheres_;
  std::vector<Values> conditions_[2];  // beside where, by bw_stage
};

}  // namespace bpfwarden::policy
