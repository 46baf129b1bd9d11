// Members of JSON that others wrote: recorded files are not to be trusted to have the right types.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bpfwarden::loader {

// Empty, 0 and false for what is not there, null, or of another type.
[[nodiscard]] std::string text_of(const nlohmann::json& object, std::string_view member);
[[nodiscard]] int64_t number_of(const nlohmann::json& object, std::string_view member);
[[nodiscard]] bool is_true(const nlohmann::json& object, std::string_view member);

}  // namespace bpfwarden::loader
