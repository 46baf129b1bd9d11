// Who a difference is about, in words. Internal to policy/diff*.
#pragma once

#include <string>
#include <vector>

#include "policy/diff/diff_who.h"

namespace bpfwarden::policy {

// Of one property, the values that occur.
struct PresentValues {
  size_t property;
  std::vector<bool> values;
};

using PropertyValues = std::vector<PresentValues>;

// For each property the values that occur; nothing for one of which all do. `count`: of the
// combinations that occur. Where those are not all, `example` says one: a value for each property
// of `present`.
[[nodiscard]] std::vector<std::string> who_texts(const std::vector<Property>& properties,
                                                 const PropertyValues& present, double count,
                                                 const std::vector<size_t>& example);

}  // namespace bpfwarden::policy
