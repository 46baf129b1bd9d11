// Options of the verbs that ask first what a policy would refuse (loader/preflight.h).
#pragma once

#include <CLI/CLI.hpp>

#include "loader/preflight.h"

namespace bpfwarden::loader {

inline void add_preflight(CLI::App& verb, PreflightOptions& options) {
  auto* events = verb.add_option("--events", options.events.file,
                                 "a file of `events --output` with recorded loads; without: the "
                                 "usual one, and what is still in the kernel");
  verb.add_flag("--no-events", options.events.is_left_out, "ask about no recorded loads")
      ->excludes(events);
}

inline void add_accept_denials(CLI::App& verb, PreflightOptions& options) {
  verb.add_flag("--accept-denials", options.accept_denials,
                "although it would refuse what runs now, or was recorded");
}

}  // namespace bpfwarden::loader
