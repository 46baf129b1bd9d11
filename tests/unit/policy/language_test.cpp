// One table of settings: the parser, docs/policy.md and docs/policy.schema.json must agree with it.
//
// After a change of policy/language/language.cpp, BPFWARDEN_UPDATE_DOCS=1 writes the tables of
// docs/policy.md anew.
#include <cstdlib>
#include <fstream>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/language/language.h"
#include "policy/text/wording.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

const std::string kReference = std::string(BPFWARDEN_SOURCE_DIR) + "/docs/policy.md";

// The tables of the reference stand between these marks.
std::string marked(TableKind table, const std::string& rows) {
  const std::string name = table == TableKind::policy   ? "policy"
                           : table == TableKind::harden ? "harden"
                           : table == TableKind::key    ? "key"
                                                        : "rule";
  return "<!-- settings: " + name + " -->\n" + rows + "<!-- end -->\n";
}

void update(std::string& text, TableKind table) {
  const std::string begin = marked(table, "");
  const size_t from = text.find(begin.substr(0, begin.find('\n') + 1));
  REQUIRE(from != std::string::npos);
  const size_t end = text.find("<!-- end -->\n", from);
  REQUIRE(end != std::string::npos);
  text.replace(from, end + 13 - from, marked(table, reference_of(table)));
}

// What no rule can allow, as `explain --fixed` lists it.
constexpr std::string_view kFixedBegin = "<!-- fixed denials -->\n";

void update_fixed(std::string& text) {
  const size_t from = text.find(kFixedBegin);
  REQUIRE(from != std::string::npos);
  const size_t end = text.find("<!-- end -->\n", from);
  REQUIRE(end != std::string::npos);
  text.replace(from, end - from, std::string(kFixedBegin) + fixed_denials());
}

constexpr TableKind kTables[] = {TableKind::policy, TableKind::harden, TableKind::key,
                                 TableKind::rule};

// A policy with that setting, in place of the one it may have already.
std::string with_setting(TableKind table, const Setting& setting) {
  const std::string line = std::string(setting.name) + " = " + std::string(setting.example) + "\n";
  std::string header;
  for (const std::string_view plain :
       {"schema = 1", "name = \"test\"", "version = 1", "mode = \"enforce\"", "default = \"deny\""})
    if (table != TableKind::policy || !plain.starts_with(std::string(setting.name) + " "))
      header += std::string(plain) + "\n";
  if (table == TableKind::policy) return header + line;
  if (table == TableKind::harden) return header + "[harden]\n" + line;
  return header + (table == TableKind::key ? "[keys.k]\n" : "[[rules]]\n") + line;
}

}  // namespace

TEST_CASE("docs/policy.md holds the settings as the parser has them") {
  if (std::getenv("BPFWARDEN_UPDATE_DOCS")) {
    std::string text = read_all(kReference);
    for (const TableKind table : kTables) update(text, table);
    update_fixed(text);
    std::ofstream(kReference, std::ios::binary) << text;
  }
  const std::string text = read_all(kReference);
  CHECK(text.find(std::string(kFixedBegin) + fixed_denials() + "<!-- end -->\n") !=
        std::string::npos);
  for (const TableKind table : kTables)
    CHECK(text.find(marked(table, reference_of(table))) != std::string::npos);
}

TEST_CASE("the parser knows every setting of the language, and no other") {
  for (const TableKind table : kTables) {
    for (const Setting& setting : settings_of(table)) {
      INFO(setting.name);
      CHECK_FALSE(setting.meaning.empty());
      CHECK_FALSE(setting.example.empty());
      CHECK(setting.required == setting.standard.empty());
      if (setting.type == SettingType::tables) continue;
      for (const Diagnostic& found : parse_text(with_setting(table, setting)).diagnostics)
        CHECK(found.message.find("unknown key") == std::string::npos);
    }
    const Setting other = {"colour", SettingType::text, true, "", "", "\"red\"", "", {}};
    bool refused = false;
    for (const Diagnostic& found : parse_text(with_setting(table, other)).diagnostics)
      refused = refused || found.message.find("unknown key `colour`") != std::string::npos;
    CHECK(refused);
  }
}

TEST_CASE("a setting of the wrong type is refused by the type that the language gives it") {
  for (const TableKind table : kTables)
    for (const Setting& setting : settings_of(table)) {
      if (setting.type == SettingType::tables) continue;
      Setting wrong = setting;
      wrong.example = "1.5";
      bool refused = false;
      for (const Diagnostic& found : parse_text(with_setting(table, wrong)).diagnostics)
        refused = refused || found.message.find("`" + std::string(setting.name) + "` must be") !=
                                 std::string::npos;
      INFO(setting.name);
      CHECK(refused);
    }
}
