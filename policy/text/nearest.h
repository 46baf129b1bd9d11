// "Did you mean": the known word that a mistyped one is closest to.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace bpfwarden::policy {

// Optimal string alignment distance (insert, delete, replace, swap neighbours), case ignored.
// Nothing if no candidate is near enough to be a likely typing error; the first of equals wins.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

}  // namespace bpfwarden::policy
