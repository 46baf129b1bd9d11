#include "loader/policies/host_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "loader/policies/host_targets.h"
#include "loader/policies/kernel_symbols.h"
#include "loader/policies/uprobe_symbols.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {

Result<std::vector<policy::Diagnostic>> find_on_host(CompiledPolicy& compiled) {
  std::vector<policy::Diagnostic> missing =
      missing_targets(compiled.policy, TargetNames::of_host());
  auto warnings = find_uprobes(compiled);
  if (!warnings) return warnings;
  std::ranges::move(missing, std::back_inserter(*warnings));
  if (!names_functions(compiled.policy)) return warnings;
  const auto symbols = KernelSymbols::read(kKernelSymbols);
  if (!symbols)
    return std::unexpected(
        Error(symbols.error()).within("the other names of the policy's functions are not known"));
  auto more = find_functions(compiled, *symbols);
  if (!more) return more;
  policy::drop_accepted(*more, compiled.policy);
  std::ranges::move(*more, std::back_inserter(*warnings));
  return warnings;
}

}  // namespace bpfwarden::loader
