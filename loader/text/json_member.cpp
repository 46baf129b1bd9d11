#include "loader/text/json_member.h"

#include <nlohmann/json.hpp>

namespace bpfwarden::loader {

using nlohmann::json;

std::string text_of(const json& object, std::string_view member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t number_of(const json& object, std::string_view member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

bool is_true(const json& object, std::string_view member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace bpfwarden::loader
