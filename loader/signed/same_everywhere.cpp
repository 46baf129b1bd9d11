#include "loader/signed/same_everywhere.h"

#include "loader/policies/kernel_symbols.h"

namespace bpfwarden::loader {
namespace {

// What follows the file: a symbol, which the kernel does not see.
bool names_a_symbol(const policy::AttachPattern& pattern) {
  if (pattern.target.match == policy::TargetMatch::all) return false;
  if (pattern.families.test(*policy::find_family("usdt"))) return true;
  if (!policy::is_uprobe(pattern.families) || pattern.target.match != policy::TargetMatch::exact)
    return false;
  const std::string& target = pattern.target.text;
  const size_t colon = target.rfind(':');
  return colon != std::string::npos && !policy::offset_in(target.substr(colon + 1));
}

bool names_a_function(const policy::Rule& rule, const policy::AttachEntry& entry) {
  policy::Policy alone;
  alone.rules.push_back(rule);
  alone.rules.front().attach = {entry};
  return names_functions(alone);
}

}  // namespace

std::vector<policy::Diagnostic> not_looked_up(const policy::Policy& policy) {
  policy::DiagnosticList diagnostics(policy.files);
  for (const policy::Rule& rule : policy.rules)
    for (const policy::AttachEntry& entry : rule.attach) {
      const std::string named = "`" + entry.pattern.text + "`";
      if (names_a_symbol(entry.pattern))
        diagnostics.warning(kNotLookedUp, entry.position,
                            named +
                                " matches no attachment in a compiled policy: the kernel sees "
                                "offsets, and no host looks the symbol up",
                            "name the whole file, as in `uprobe//usr/bin/bash:*`, or an offset");
      else if (rule.action != policy::Action::allow && names_a_function(rule, entry))
        diagnostics.warning(
            kNotLookedUp, entry.position,
            named +
                " is refused by this name alone in a compiled policy: no host looks up the "
                "others that its kernel has for the function",
            "refuse the whole family, and allow before it what is meant");
    }
  return diagnostics.take();
}

}  // namespace bpfwarden::loader
