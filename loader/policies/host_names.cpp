#include "loader/policies/host_names.h"

#include <iterator>
#include <utility>

#include "loader/policies/kernel_symbols.h"
#include "loader/policies/uprobe_symbols.h"

namespace bpfwarden::loader {

Result<std::vector<policy::Diagnostic>> find_on_host(CompiledPolicy& compiled) {
  auto warnings = find_uprobes(compiled);
  if (!warnings || !names_functions(compiled.policy)) return warnings;
  const auto symbols = KernelSymbols::read(kKernelSymbols);
  if (!symbols)
    return std::unexpected(
        Error(symbols.error()).within("the other names of the policy's functions are not known"));
  auto more = find_functions(compiled, *symbols);
  if (!more) return more;
  std::ranges::move(*more, std::back_inserter(*warnings));
  return warnings;
}

}  // namespace bpfwarden::loader
