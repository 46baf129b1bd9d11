#include "loader/policies/schema.h"

#include <nlohmann/json.hpp>

#include "policy/language/language.h"

namespace bpfwarden::loader {
namespace {

using Json = nlohmann::ordered_json;
using policy::Setting;
using policy::SettingType;
using policy::TableKind;

Json table_of(TableKind kind);

// The tables below the policy, by the name of the setting that holds them.
Json tables_of(std::string_view name) {
  if (name == "keys")
    return {{"type", "object"}, {"additionalProperties", table_of(TableKind::key)}};
  if (name == "harden") return table_of(TableKind::harden);
  return {{"type", "array"}, {"items", table_of(TableKind::rule)}};
}

Json list_of(std::string_view type) {
  return {{"type", "array"}, {"items", {{"type", type}}}, {"minItems", 1}};
}

Json type_of(const Setting& setting) {
  switch (setting.type) {
    case SettingType::integer:
      return {{"type", "integer"}};
    case SettingType::boolean:
      return {{"type", "boolean"}};
    case SettingType::text:
      return {{"type", "string"}, {"minLength", 1}};
    case SettingType::word:
      return {{"enum", setting.words}};
    case SettingType::date:
      // TOML's own dates; a validator that has only JSON sees them as text.
      return {{"type", "string"}, {"anyOf", {{{"format", "date"}}, {{"format", "date-time"}}}}};
    case SettingType::words:
      return {{"type", "array"}, {"items", {{"enum", setting.words}}}, {"minItems", 1}};
    case SettingType::texts:
      return list_of("string");
    case SettingType::integers:
      return list_of("integer");
    case SettingType::tables:
      return tables_of(setting.name);
  }
  return {};
}

Json table_of(TableKind kind) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Setting& setting : policy::settings_of(kind)) {
    Json property = {{"description", setting.meaning}};
    property.update(type_of(setting));
    properties[std::string(setting.name)] = std::move(property);
    if (setting.required) required.push_back(setting.name);
  }
  Json table = {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty()) table["required"] = std::move(required);
  return table;
}

}  // namespace

std::string policy_schema() {
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "bpfwarden policy"}};
  schema.update(table_of(TableKind::policy));
  Json& rule = schema["properties"]["rules"]["items"];
  rule["oneOf"] = Json::array();
  for (const char* action : {"allow", "deny", "load-only"})
    rule["oneOf"].push_back({{"required", {action}}});
  return schema.dump(2) + "\n";
}

}  // namespace bpfwarden::loader
