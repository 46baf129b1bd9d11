// The verbs of the command line: each has its own cmd_*.cpp, registered in main.cpp.
//
// A verb adds a subcommand and, when the user chose it, sets `chosen` to what main runs. Exit
// codes: 0 done, 1 failed or "no", kWrongUse.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace bpfwarden::loader {

using Command = std::function<int()>;

inline constexpr int kWrongUse = 2;  // wrong options, or a file that cannot be used at all

void add_apply(CLI::App& app, Command& chosen);
void add_check(CLI::App& app, Command& chosen);
void add_completion(CLI::App& app, Command& chosen);
void add_confirm(CLI::App& app, Command& chosen);
void add_diff(CLI::App& app, Command& chosen);
void add_doctor(CLI::App& app, Command& chosen);
void add_events(CLI::App& app, Command& chosen);
void add_explain(CLI::App& app, Command& chosen);
void add_fmt(CLI::App& app, Command& chosen);
void add_inspect(CLI::App& app, Command& chosen);
void add_inventory(CLI::App& app, Command& chosen);
void add_keys(CLI::App& app, Command& chosen);
void add_metrics(CLI::App& app, Command& chosen);
void add_off(CLI::App& app, Command& chosen);
void add_promote(CLI::App& app, Command& chosen);
void add_report(CLI::App& app, Command& chosen);
void add_rollback(CLI::App& app, Command& chosen);
void add_run(CLI::App& app, Command& chosen);
void add_schema(CLI::App& app, Command& chosen);
void add_sign(CLI::App& app, Command& chosen);
void add_stage(CLI::App& app, Command& chosen);
void add_status(CLI::App& app, Command& chosen);
void add_suggest(CLI::App& app, Command& chosen);
void add_test(CLI::App& app, Command& chosen);
void add_verify(CLI::App& app, Command& chosen);
void add_why(CLI::App& app, Command& chosen);

struct ApplyOptions;

// --confirm-within, for the verbs that make a policy active.
void add_confirm_within(CLI::App& verb, ApplyOptions& options);

struct KernelStatus;
struct ListedProgram;

// What `inventory --json` and `status --json` print, for `report`.
[[nodiscard]] nlohmann::json inventory_to_json(const std::vector<ListedProgram>& programs);
[[nodiscard]] nlohmann::json status_to_json(const KernelStatus& status);

// Prints the error and its hint on stderr; returns the exit code 1.
int report(const Error& error);

}  // namespace bpfwarden::loader
