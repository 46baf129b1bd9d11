// What is wrong with a policy, where, and what to do; and its rendering for people.
//
//   edge.toml:5:9: error: there is no attach point `fenty/*`
//     allow = ["fenty/*"]
//              ^~~~~~~~~
//     hint: did you mean `fentry/*`?
//
// Diagnostic is plain data, for a JSON encoder as it is. Rendering never fails, and never passes a
// control character of the policy file on to a terminal.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/source.h"

namespace bpfwarden::policy {

enum class Severity : uint8_t { error, warning };

[[nodiscard]] std::string_view severity_name(Severity severity);

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  uint32_t line = 1;
  uint32_t column = 1;
  uint32_t width = 1;
  std::string message;
  std::string hint;  // may be empty
};

// Collects the diagnostics of one file, in the order in which they are found; up to a thousand,
// then one that says so.
class DiagnosticList {
 public:
  explicit DiagnosticList(std::string file) : file_(std::move(file)) {}

  void error(SourceRange where, std::string message, std::string hint = {});
  void warning(SourceRange where, std::string message, std::string hint = {});
  [[nodiscard]] bool has_errors() const { return has_errors_; }

  // Sorted by position; those of one position as they were found. Leaves the list empty.
  [[nodiscard]] std::vector<Diagnostic> take();

 private:
  void add(Severity severity, SourceRange where, std::string message, std::string hint);

  std::string file_;
  std::vector<Diagnostic> found_;
  bool has_errors_ = false;
};

// `source` is the whole text of the file. Colour uses ANSI escapes.
[[nodiscard]] std::string render(const Diagnostic& diagnostic, std::string_view source,
                                 bool colour = false);
[[nodiscard]] std::string render_all(std::span<const Diagnostic> diagnostics,
                                     std::string_view source, bool colour = false);

}  // namespace bpfwarden::policy
