// Options that several verbs have.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "loader/rollout/apply.h"
#include "loader/rollout/preflight.h"

namespace bpfwarden::loader {

// "30s", "5m", "1h" as seconds.
[[nodiscard]] CLI::AsNumberWithUnit as_seconds();

// --confirm-within, for the verbs that make a policy active.
void add_confirm_within(CLI::App& verb, ApplyOptions& options);

// --events and --no-events, for those that ask first what a policy would refuse.
void add_preflight(CLI::App& verb, PreflightOptions& options);

// --accept-denials, for those that then change something.
void add_accept_denials(CLI::App& verb, PreflightOptions& options);

// --order, for those that take a signed one (docs/adr/0022).
CLI::Option* add_order_file(CLI::App& verb, std::string& file);

}  // namespace bpfwarden::loader
