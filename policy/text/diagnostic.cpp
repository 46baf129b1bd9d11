#include "policy/text/diagnostic.h"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

#include "policy/text/escaped.h"

namespace bpfwarden::policy {
namespace {

constexpr size_t kMaxDiagnostics = 1000;
constexpr size_t kMaxShown = 160;  // code points of a source line
constexpr size_t kBefore = 60;     // of which before the column, where the line is longer

constexpr std::string_view kBold = "\033[1m";
constexpr std::string_view kRed = "\033[1;31m";
constexpr std::string_view kMagenta = "\033[1;35m";
constexpr std::string_view kGreen = "\033[1;32m";
constexpr std::string_view kReset = "\033[0m";

std::string painted(std::string_view text, std::string_view code, bool colour) {
  if (!colour) return std::string(text);
  return std::string(code).append(text).append(kReset);
}

// C0, DEL and C1: what a terminal might obey. A tab is harmless; what else is not, escaped() tells.
bool is_control(uint32_t point) {
  return (point < 0x20 && point != '\t') || (point >= 0x7f && point < 0xa0);
}

// One element a code point, ready for a terminal: one column stays one column.
std::vector<std::string> printable_points(std::string_view text) {
  std::vector<std::string> points;
  while (!text.empty()) {
    const Point point = first_point(text);
    const bool is_shown = point.bytes != 0 && !is_control(point.value);
    const std::string_view bytes = text.substr(0, std::max<size_t>(point.bytes, 1));
    points.emplace_back(is_shown ? bytes : "\xef\xbf\xbd");
    text.remove_prefix(bytes.size());
  }
  return points;
}

std::string printable(std::string_view text) {
  std::string result;
  for (const std::string& point : printable_points(text)) result += point == "\t" ? " " : point;
  return result;
}

std::string_view source_line(std::string_view source, uint32_t line) {
  for (; line > 1; line--) {
    const size_t end = source.find('\n');
    if (end == std::string_view::npos) return {};
    source.remove_prefix(end + 1);
  }
  source = source.substr(0, source.find('\n'));
  if (source.ends_with('\r')) source.remove_suffix(1);
  return source;
}

// The source line, and under it `^~~~`; nothing where the line is empty.
std::string snippet(const Diagnostic& diagnostic, std::string_view source, bool colour) {
  const auto points = printable_points(source_line(source, diagnostic.line));
  if (points.empty()) return {};
  const size_t column = std::min<size_t>(std::max(diagnostic.column, 1U) - 1, points.size());
  const size_t first = points.size() > kMaxShown && column > kBefore ? column - kBefore : 0;
  const size_t last = std::min(points.size(), first + kMaxShown);

  std::string shown = first > 0 ? "…" : "", marks = first > 0 ? " " : "", caret = "^";
  for (size_t i = first; i < last; i++) shown += points[i];
  if (last < points.size()) shown += "…";
  for (size_t i = first; i < column; i++) marks += points[i] == "\t" ? '\t' : ' ';
  const size_t end = std::min<size_t>(last, column + diagnostic.width);
  if (end > column + 1) caret.append(end - column - 1, '~');
  return "  " + shown + "\n  " + marks + painted(caret, kGreen, colour) + "\n";
}

}  // namespace

std::string_view severity_name(Severity severity) {
  return severity == Severity::error ? "error" : "warning";
}

void DiagnosticList::error(SourceRange where, std::string message, std::string hint) {
  has_errors_ = true;
  add(Severity::error, kInvalid, where, std::move(message), std::move(hint));
}

void DiagnosticList::warning(std::string_view code, SourceRange where, std::string message,
                             std::string hint) {
  add(Severity::warning, code, where, std::move(message), std::move(hint));
}

void DiagnosticList::add(Severity severity, std::string_view code, SourceRange where,
                         std::string message, std::string hint) {
  if (found_.size() > kMaxDiagnostics) return;
  if (found_.size() == kMaxDiagnostics)
    message = "too much is wrong here to list it all", hint = {};
  std::string file = where.file < files_.size() ? files_[where.file] : std::string();
  found_.push_back({where.file,
                    {severity, std::move(file), where.line, where.column, where.width,
                     std::move(message), std::move(hint), code}});
}

std::vector<Diagnostic> DiagnosticList::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return std::tie(a.file, a.diagnostic.line, a.diagnostic.column) <
           std::tie(b.file, b.diagnostic.line, b.diagnostic.column);
  });
  std::vector<Diagnostic> taken;
  for (Found& found : found_) taken.push_back(std::move(found.diagnostic));
  found_.clear();
  has_errors_ = false;
  return taken;
}

std::string render(const Diagnostic& diagnostic, std::string_view source, bool colour) {
  const std::string place = printable(diagnostic.file) + ":" + std::to_string(diagnostic.line) +
                            ":" + std::to_string(diagnostic.column) + ":";
  const bool is_error = diagnostic.severity == Severity::error;
  std::string text = painted(place, kBold, colour) + " ";
  text += painted(std::string(severity_name(diagnostic.severity)) + ":", is_error ? kRed : kMagenta,
                  colour);
  text += " " + printable(diagnostic.message);
  if (!is_error) text += " [" + std::string(diagnostic.code) + "]";
  text += "\n";
  text += snippet(diagnostic, source, colour);
  if (!diagnostic.hint.empty()) text += "  hint: " + printable(diagnostic.hint) + "\n";
  return text;
}

std::string render_all(std::span<const Diagnostic> diagnostics, std::span<const SourceFile> sources,
                       bool colour) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    const auto source = std::find_if(sources.begin(), sources.end(), [&](const SourceFile& file) {
      return file.name == diagnostic.file;
    });
    text += render(diagnostic, source == sources.end() ? std::string_view() : source->text, colour);
  }
  return text;
}

}  // namespace bpfwarden::policy
