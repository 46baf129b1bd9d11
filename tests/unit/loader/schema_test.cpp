// docs/policy.schema.json is what `bpfwarden schema` prints, and that says what the language does.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "loader/policies/schema.h"
#include "policy/language/language.h"

using namespace bpfwarden;

TEST_CASE("docs/policy.schema.json is up to date") {
  std::ifstream file(BPFWARDEN_SOURCE_DIR "/docs/policy.schema.json", std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  INFO("write it anew with: bpfwarden schema > docs/policy.schema.json");
  CHECK(text.str() == loader::policy_schema());
}

TEST_CASE("the schema has every setting, and only these") {
  const auto schema = nlohmann::json::parse(loader::policy_schema());
  const auto check = [](const nlohmann::json& table, policy::TableKind kind) {
    CHECK(table.at("properties").size() == policy::settings_of(kind).size());
    CHECK(table.at("additionalProperties") == false);
    for (const policy::Setting& setting : policy::settings_of(kind)) {
      const bool is_list = setting.type == policy::SettingType::words;
      const auto& whole = table.at("properties").at(std::string(setting.name));
      const auto& property = is_list ? whole.at("items") : whole;
      CHECK(property.contains(setting.words.empty() ? "type" : "enum"));
      if (!setting.words.empty()) CHECK(property.at("enum").size() == setting.words.size());
    }
  };
  check(schema, policy::TableKind::policy);
  check(schema.at("properties").at("harden"), policy::TableKind::harden);
  check(schema.at("properties").at("keys").at("additionalProperties"), policy::TableKind::key);
  check(schema.at("properties").at("rules").at("items"), policy::TableKind::rule);
}
