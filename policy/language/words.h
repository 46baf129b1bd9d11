// The words that stand for a value, one array a setting.
#pragma once

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/language/model.h"

namespace bpfwarden::policy {

inline constexpr auto kModeWords = std::to_array<std::pair<std::string_view, Mode>>({
    {"audit", Mode::audit},
    {"enforce", Mode::enforce},
});
inline constexpr auto kDefaultWords = std::to_array<std::pair<std::string_view, Action>>({
    {"deny", Action::deny},
    {"allow", Action::allow},
});
inline constexpr auto kActionWords = std::to_array<std::pair<std::string_view, Action>>({
    {"allow", Action::allow},
    {"deny", Action::deny},
    {"load-only", Action::load_only},
});
inline constexpr auto kSignatureWords = std::to_array<std::pair<std::string_view, Signature>>({
    {"unsigned", Signature::unsigned_},
    {"prog-only", Signature::prog_only},
    {"prog-used-maps", Signature::prog_used_maps},
});
inline constexpr auto kKeyringWords = std::to_array<std::pair<std::string_view, SystemKeyring>>({
    {"builtin", SystemKeyring::builtin},
    {"secondary", SystemKeyring::secondary},
    {"platform", SystemKeyring::platform},
    {"bpf", SystemKeyring::bpf},
});
inline constexpr auto kOriginWords = std::to_array<std::pair<std::string_view, Origin>>({
    {"user", Origin::user},
    {"loader", Origin::loader},
});
inline constexpr auto kLicenseWords = std::to_array<std::pair<std::string_view, License>>({
    {"gpl-compatible", License::gpl_compatible},
    {"proprietary", License::proprietary},
});
inline constexpr auto kSharedAttachWords =
    std::to_array<std::pair<std::string_view, SharedAttach>>({
        {"deny", SharedAttach::deny},
        {"detect", SharedAttach::detect},
    });

inline constexpr auto kTokenWords = std::to_array<std::pair<std::string_view, Tokens>>({
    {"allow", Tokens::allow},
    {"deny", Tokens::deny},
});

inline constexpr auto kLoadingWords = std::to_array<std::pair<std::string_view, Loading>>({
    {"allow", Loading::allow},
    {"signed", Loading::signed_},
    {"deny", Loading::deny},
});

inline constexpr auto kKernelWeaknessWords =
    std::to_array<std::pair<std::string_view, KernelWeakness>>({
        {"no-digests", KernelWeakness::no_digests},
    });

template <class Words>
[[nodiscard]] std::vector<std::string_view> spellings(const Words& words) {
  std::vector<std::string_view> found;
  for (const auto& word : words) found.push_back(word.first);
  return found;
}

template <class Words, class Value>
[[nodiscard]] std::string_view spelling_of(const Words& words, Value value) {
  for (const auto& [spelling, meaning] : words)
    if (meaning == value) return spelling;
  return "?";
}

}  // namespace bpfwarden::policy
