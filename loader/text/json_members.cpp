#include "loader/text/json_members.h"

#include "loader/text/moment.h"

namespace bpfwarden::loader {

using nlohmann::json;

json object_of(std::initializer_list<JsonPart> parts) {
  json object = json::object();
  for (const JsonPart& part : parts) object[part.member.name()] = part.value;
  return object;
}

void put(json& object, Member member, json value) { object[member.name()] = std::move(value); }

json text_or_null(const std::string& text) { return text.empty() ? json() : json(text); }

json digest_or_null(const std::string& hex) { return hex.empty() ? json() : json("sha256:" + hex); }

json time_or_null(int64_t unix_seconds) {
  return unix_seconds == 0 ? json() : json(utc_second_text(unix_seconds));
}

}  // namespace bpfwarden::loader
