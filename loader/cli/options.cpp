#include "loader/cli/options.h"

#include <map>
#include <string>

namespace bpfwarden::loader {

CLI::AsNumberWithUnit as_seconds() {
  static const std::map<std::string, uint64_t> units = {{"s", 1}, {"m", 60}, {"h", 3600}};
  return CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::CASE_SENSITIVE);
}

void add_confirm_within(CLI::App& verb, ApplyOptions& options) {
  verb.add_option("--confirm-within", options.confirm_within,
                  "unless `confirm` comes within this time (30s, 5m, 1h), the kernel goes back by "
                  "itself; 0: it stays. Without: 5m where a policy begins to enforce, else 0")
      ->transform(as_seconds());
}

void add_preflight(CLI::App& verb, PreflightOptions& options) {
  auto* events = verb.add_option("--events", options.events.file,
                                 "a file of `events --output` with recorded loads; without: the "
                                 "usual one, and what is still in the kernel");
  verb.add_flag("--no-events", options.events.is_left_out, "ask about no recorded loads")
      ->excludes(events);
}

void add_accept_denials(CLI::App& verb, PreflightOptions& options) {
  verb.add_flag("--accept-denials", options.accept_denials,
                "although it would refuse what runs now, or was recorded");
}

CLI::Option* add_order_file(CLI::App& verb, std::string& file) {
  return verb.add_option("--order", file,
                         "the order of `bpfwarden order`, signed by those whom the active policy "
                         "names");
}

}  // namespace bpfwarden::loader
