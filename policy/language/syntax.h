// The syntax of a policy file: its tables, arrays and values with their places, free of any meaning
// and of the TOML library that read it. Owns everything it holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/text/source.h"

namespace bpfwarden::policy {

struct Value;
struct Entry;

using Array = std::vector<Value>;
using Table = std::vector<Entry>;  // in the order of the file

// A float or a time without a date or a zone: the language has no use for them.
struct OtherValue {
  std::string_view kind;  // "a float", static
};

// A point in time. A date alone is its first second in UTC.
struct Time {
  int64_t seconds = 0;  // Unix time
};

struct Value {
  SourceRange position;
  std::variant<OtherValue, bool, int64_t, Time, std::string, Array, Table> data;

  // For messages: "a string", "an array".
  [[nodiscard]] std::string_view kind() const;
};

struct Entry {
  std::string key;
  SourceRange position;  // of the key
  Value value;
};

inline std::string_view Value::kind() const {
  if (const auto* other = std::get_if<OtherValue>(&data)) return other->kind;
  if (std::holds_alternative<bool>(data)) return "a boolean";
  if (std::holds_alternative<int64_t>(data)) return "an integer";
  if (std::holds_alternative<Time>(data)) return "a date";
  if (std::holds_alternative<std::string>(data)) return "a string";
  return std::holds_alternative<Array>(data) ? "an array" : "a table";
}

}  // namespace bpfwarden::policy
