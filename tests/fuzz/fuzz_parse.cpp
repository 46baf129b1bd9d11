// Any bytes: parse() ends in a policy or in errors, and every diagnostic can be shown.
#include <cstdlib>

#include "tests/fuzz/input.h"

using namespace bpfwarden::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ParseResult result = fuzz::parse_input({reinterpret_cast<const char*>(data), size});
  bool has_errors = false;
  for (const Diagnostic& found : result.diagnostics)
    has_errors = has_errors || found.severity == Severity::error;
  if (has_errors == result.policy.has_value()) std::abort();
  const std::string shown = render_all(result.diagnostics, result.sources);
  if (!result.diagnostics.empty() && shown.empty()) std::abort();
  return 0;
}
