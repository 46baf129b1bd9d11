// Who brings which programs, as far as two policies can tell: by properties such as the user, each
// with the values that either policy names, and one for all others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policy/diff/diff_places.h"

namespace bpfwarden::policy {

// What both images say about a load, beside where it goes: the rules that decide there.
struct Verdicts {
  RulePair load, attach;
  std::array<uint8_t, 2> is_known_signer = {}, is_denied_digest = {}, enforces = {};

  auto operator<=>(const Verdicts&) const = default;
};

// A value: what to say, and what to do to a situation.
struct PropertyValue {
  std::string text;
  std::function<void(Situation&, size_t side)> set;
};

// Values about which the images say the same.
struct ValueClass {
  Verdicts verdicts;
  std::vector<uint32_t> values;  // of Property::values
};

struct Property {
  enum class Kind : uint8_t { subject, program, signer, digest, date };

  Kind kind = Kind::program;
  std::string name;  // empty where the values say enough: "unsigned"
  std::vector<PropertyValue> values;
  std::vector<ValueClass> classes;
  bool must_be_said = false;  // where a situation says nothing of it, it is as none of the values
};

// Only those that either policy asks about. Dates before `now` are left out.
[[nodiscard]] std::vector<Property> properties_of(const DiffSides& sides, int64_t now);

}  // namespace bpfwarden::policy
