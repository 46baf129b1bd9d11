// The text of a policy that keeps what another one says, comments included, and adds rules to it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/answers/suggest.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// What takes the place of a path, or of another entry, in a list of certificates: one or several.
using PathsFor =
    std::function<std::vector<std::string>(const std::string& file, const std::string& entry)>;

struct Extension {
  std::string header;  // comments for the top, without `#`; an earlier suggestion's give way
  std::string name;
  uint64_t version = 1;
  Mode mode = Mode::audit;
  bool deny_by_default = false;
  bool detect_threads = false;
  std::vector<SuggestedRule> rules;
  std::string end;  // comments for the end, with `#`
  PathsFor paths;
};

// `sources` are those of `base`, its own file first; the tables of drop-ins follow it. New rules
// stand before the first that is load-only, else last. As `bpfwarden fmt` would write it. Errors:
// what cannot be put into one file, with what to do.
[[nodiscard]] Result<std::string> extended_text(const Policy& base,
                                                const std::vector<SourceFile>& sources,
                                                const Extension& extension);

}  // namespace bpfwarden::policy
