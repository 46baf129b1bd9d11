// Completion scripts for shells, from what the command line accepts.
//
// Plain data in, text out; the scripts contain every word and run nothing of ours.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::loader {

struct CompletionOption {
  std::string name;  // "--json"
  std::string description;
  bool takes_value = false;
  std::vector<std::string> choices;  // of the value; none: a file
};

struct CompletionVerb {
  std::string name;
  std::string description;
  std::vector<CompletionOption> options;
  std::vector<std::string> choices;  // of its first argument; none, and the others: files
};

enum class Shell : uint8_t { bash, zsh, fish };

[[nodiscard]] std::string completion_script(Shell shell, const std::vector<CompletionVerb>& verbs);

}  // namespace bpfwarden::loader
