// Who brings which programs, as far as two policies can tell: by properties such as the user, each
// with the values that either policy names, and one for all others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/answers/diff_places.h"

namespace bpfwarden::policy {

// What both images say about a load, beside where it goes.
struct Verdicts {
  RulePair who, what;
  RulePair at_attach;  // as `who` has it, but load-only rules refuse what cannot be read
  RulePair with_mode;  // in force, with a mode of their own
  RulePair digest_sure, digest_may;
  std::array<uint8_t, 2> is_known_signer = {}, is_denied_digest = {}, enforces = {};

  auto operator<=>(const Verdicts&) const = default;
};

[[nodiscard]] Verdicts every_rule();

// A value: what to say, what to do to a situation, what the images say to it.
struct PropertyValue {
  std::string text;
  std::function<void(Situation&, size_t side)> set;
  Verdicts verdicts = every_rule();
};

struct Property {
  std::string name;  // empty where the values say enough: "unsigned"
  std::vector<PropertyValue> values;
};

// Only those that either policy asks about. Dates before `now` are left out.
[[nodiscard]] std::vector<Property> properties_of(const DiffSides& sides, int64_t now);

// Loads about which both images say the same at one class of attach points.
struct WhoClass {
  std::array<Situation, 2> representatives;  // attach is not set; the signer's slot differs
  std::vector<size_t> example;               // by property: their value
  std::vector<std::vector<bool>> values;     // by property: which of its values are in the class
  bool is_exact = true;                      // every combination of these values is
};

// Errors: more classes than can be compared.
[[nodiscard]] Result<std::vector<WhoClass>> who_classes(const std::vector<Property>& properties,
                                                        const PlaceClass& place, int64_t now);

}  // namespace bpfwarden::policy
