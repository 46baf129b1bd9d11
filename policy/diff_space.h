// Everything that two policies can tell apart: where programs go, and who brings which programs.
//
// Each is a list of classes. Two facts are in one class if both images say the same about them, by
// the bits that bw_decide() combines; a class is asked about through one representative. Names that
// neither policy gives are represented by one that is no name of theirs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/situation.h"

namespace bpfwarden::policy {

// A policy and what was compiled from it.
struct DiffSide {
  const Policy& policy;
  const bw_image& image;
};

using DiffSides = std::array<DiffSide, 2>;  // old, new

struct PlaceClass {
  AttachPoint representative;
  std::vector<std::string> texts;  // patterns: "xdp@eth*", "fentry/tcp_connect"
};

// One property of who loads what, such as the user: the values that either policy tells apart.
struct Property {
  std::string name;                 // empty where the values say enough: "unsigned"
  std::vector<std::string> values;  // for people
};

struct WhoClass {
  std::array<Situation, 2> representatives;  // attach is not set; the signer's slot differs
  std::vector<std::vector<bool>> values;     // by property: which of its values are in the class
  bool is_exact = true;                      // every combination of these values is
};

struct DiffSpace {
  std::vector<PlaceClass> places;
  std::vector<Property> properties;
  std::vector<WhoClass> who;
};

// Dates before `now` are left out. Errors: more classes than can be compared.
[[nodiscard]] Result<DiffSpace> diff_space(const DiffSides& sides, int64_t now);

}  // namespace bpfwarden::policy
