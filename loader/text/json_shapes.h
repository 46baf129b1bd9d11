// The objects that `--json` prints, verb by verb, of the members of json_members.h: as JSON Schemas
// and as docs/json.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::loader {

// "keys list": of a verb that has verbs of its own, each.
[[nodiscard]] std::vector<std::string> verbs_with_schema();

// JSON Schema 2020-12 of what the verb prints with --json, its errors included; ends with a
// newline. Nothing for a verb that has none.
[[nodiscard]] std::optional<std::string> answer_schema(std::string_view verb);

// Rows of Markdown: a member each, and a verb each with its objects.
[[nodiscard]] std::string members_table();
[[nodiscard]] std::string answers_text();

// What of the two tables does not fit together, for a test; empty: nothing.
[[nodiscard]] std::vector<std::string> faults_of_shapes();

}  // namespace bpfwarden::loader
