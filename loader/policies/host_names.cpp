#include "loader/policies/host_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "loader/btf/kernel_has.h"
#include "loader/policies/host_targets.h"
#include "loader/policies/kernel_symbols.h"
#include "loader/policies/uprobe_symbols.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

Error no_digests(const policy::Policy& policy, policy::SourceRange where, const char* setting) {
  const std::string file =
      where.file < policy.files.size() ? policy.files[where.file] : std::string("policy");
  return {0,
          file + ":" + std::to_string(where.line) + ":" + std::to_string(where.column) + ": `" +
              setting + "`: this kernel keeps no digests of programs",
          "name who signs the programs instead (`signed-by`), or use Linux 6.18 or later", true};
}

}  // namespace

Status require_digests(const policy::Policy& policy) {
  if (BW_KERNEL_HAS(program_digest)) return {};
  if (!policy.deny_digests.empty())
    return std::unexpected(no_digests(policy, policy.deny_digests_at, "deny-digests"));
  for (const policy::Rule& rule : policy.rules)
    if (!rule.digests.empty())
      return std::unexpected(no_digests(policy, rule.digests_at, "digests"));
  return {};
}

Result<std::vector<policy::Diagnostic>> find_on_host(CompiledPolicy& compiled) {
  if (auto kept = require_digests(compiled.policy); !kept)
    return std::unexpected(std::move(kept).error());
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
