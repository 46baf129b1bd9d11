// The settings of the policy language: one table for the parser, the reference (docs/policy.md) and
// the JSON Schema (docs/policy.schema.json), so that the three can never differ.
//
// Everything is static data. What a value must be beyond its type, and how settings depend on each
// other, is the readers' (read_policy, read_keys, read_rule).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::policy {

enum class TableKind : uint8_t { policy, harden, key, rule };

enum class SettingType : uint8_t {
  integer,
  boolean,
  text,      // a string
  word,      // one of `words`
  date,      // a date, or a date and time with a zone
  texts,     // a non-empty array of strings
  words,     // likewise, each one of `words`
  integers,  // a non-empty array of integers
  tables,    // [name.*] or [[name]]
};

struct Setting {
  std::string_view name;
  SettingType type;
  bool required;
  std::string_view standard;  // what holds without it
  std::string_view meaning;   // Markdown
  std::string_view example;   // a value, as TOML
  std::string_view since;     // version of bpfwarden
  std::vector<std::string_view> words;
};

// In the normal order, which is also that of `bpfwarden fmt`.
[[nodiscard]] std::span<const Setting> settings_of(TableKind table);

[[nodiscard]] std::vector<std::string_view> names_of(TableKind table);

// The settings of a table as the rows of a Markdown table, for docs/policy.md.
[[nodiscard]] std::string reference_of(TableKind table);

}  // namespace bpfwarden::policy
