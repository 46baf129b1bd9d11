// The JSON Schema of policy files, for editors: made from the settings of
// policy/language/language.h.
#pragma once

#include <string>

namespace bpfwarden::loader {

// JSON Schema 2020-12, as docs/policy.schema.json has it; ends with a newline.
[[nodiscard]] std::string policy_schema();

}  // namespace bpfwarden::loader
