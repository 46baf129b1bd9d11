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

#include "policy/text/source.h"

namespace bpfwarden::policy {

enum class Severity : uint8_t { error, warning };

[[nodiscard]] std::string_view severity_name(Severity severity);

// The code of an error: the text is not a policy. Every warning has a code of its own.
inline constexpr std::string_view kInvalid = "invalid";

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;
  uint32_t line = 1;
  uint32_t column = 1;
  uint32_t width = 1;
  std::string message;
  std::string hint;                  // may be empty
  std::string_view code = kInvalid;  // a static word, stable over versions; see docs/policy.md
};

// One of the files of a policy, as it was read.
struct SourceFile {
  std::string name;
  std::string text;
};

// Collects the diagnostics of the files of one policy, in the order in which they are found; up to
// a thousand, then one that says so. `files` are the names that SourceRange::file counts.
class DiagnosticList {
 public:
  explicit DiagnosticList(std::vector<std::string> files) : files_(std::move(files)) {}

  void error(SourceRange where, std::string message, std::string hint = {});
  // `code` is static.
  void warning(std::string_view code, SourceRange where, std::string message,
               std::string hint = {});
  [[nodiscard]] bool has_errors() const { return has_errors_; }

  // Sorted by file and position; those of one position as they were found. Leaves the list empty.
  [[nodiscard]] std::vector<Diagnostic> take();

 private:
  struct Found {
    uint32_t file;
    Diagnostic diagnostic;
  };

  void add(Severity severity, std::string_view code, SourceRange where, std::string message,
           std::string hint);

  std::vector<std::string> files_;
  std::vector<Found> found_;
  bool has_errors_ = false;
};

// `source` is the whole text of the file. Colour uses ANSI escapes.
[[nodiscard]] std::string render(const Diagnostic& diagnostic, std::string_view source,
                                 bool colour = false);
[[nodiscard]] std::string render_all(std::span<const Diagnostic> diagnostics,
                                     std::span<const SourceFile> sources, bool colour = false);

}  // namespace bpfwarden::policy
