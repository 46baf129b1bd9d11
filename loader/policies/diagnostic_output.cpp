#include "loader/policies/diagnostic_output.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "loader/kernel/version.h"
#include "loader/text/json_members.h"
#include "policy/lint/lint.h"

namespace bpfwarden::loader {
namespace {

using Json = nlohmann::ordered_json;
using policy::Diagnostic;
using std::string;

constexpr std::array<std::pair<std::string_view, DiagnosticFormat>, 4> kFormats = {{
    {"text", DiagnosticFormat::text},
    {"json", DiagnosticFormat::json},
    {"github", DiagnosticFormat::github},
    {"sarif", DiagnosticFormat::sarif},
}};

// A policy may quote any bytes; JSON is UTF-8.
string dumped(const Json& whole) {
  return whole.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

string message_with_hint(const Diagnostic& found) {
  return found.hint.empty() ? found.message : found.message + "\nhint: " + found.hint;
}

string percent_encoded(std::string_view text, auto&& needs) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (needs(c))
      (result += '%').append({digits[byte >> 4], digits[byte & 15]});
    else
      result += c;
  }
  return result;
}

// In the text of a command.
string github_data(std::string_view text) {
  return percent_encoded(text, [](char c) { return c == '%' || c == '\r' || c == '\n'; });
}

// In one of its properties.
string github_property(std::string_view text) {
  return percent_encoded(
      text, [](char c) { return c == '%' || c == '\r' || c == '\n' || c == ':' || c == ','; });
}

// RFC 3986: what is not unreserved, and no `/`, is encoded.
string uri_of(const string& file) {
  const auto is_reserved = [](char c) {
    const bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return !is_plain && std::string_view("-._~/").find(c) == std::string_view::npos;
  };
  return (file.starts_with('/') ? "file://" : "") + percent_encoded(file, is_reserved);
}

std::string_view meaning_of(std::string_view code) {
  for (const policy::LintCode& known : policy::lint_codes())
    if (known.code == code) return known.meaning;
  return "the text is no policy";
}

// Each code that occurs, once.
std::vector<std::string_view> codes_of(std::span<const Diagnostic> diagnostics) {
  std::vector<std::string_view> codes;
  for (const Diagnostic& found : diagnostics) codes.push_back(found.code);
  std::sort(codes.begin(), codes.end());
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
  return codes;
}

Json sarif_rules(const std::vector<std::string_view>& codes) {
  Json rules = Json::array();
  for (const std::string_view code : codes)
    rules.push_back({{"id", code}, {"shortDescription", {{"text", meaning_of(code)}}}});
  return rules;
}

Json sarif_result(const Diagnostic& found, const std::vector<std::string_view>& codes) {
  const Json region = {{"startLine", std::max(found.line, 1U)},
                       {"startColumn", std::max(found.column, 1U)},
                       {"endColumn", std::max(found.column, 1U) + std::max(found.width, 1U)}};
  const Json place = {{"artifactLocation", {{"uri", uri_of(found.file)}}}, {"region", region}};
  const auto rule = std::lower_bound(codes.begin(), codes.end(), found.code) - codes.begin();
  return {{"ruleId", found.code},
          {"ruleIndex", rule},
          {"level", policy::severity_name(found.severity)},
          {"message", {{"text", message_with_hint(found)}}},
          {"locations", Json::array({{{"physicalLocation", place}}})}};
}

}  // namespace

std::optional<DiagnosticFormat> diagnostic_format(std::string_view word) {
  for (const auto& [name, format] : kFormats)
    if (name == word) return format;
  return std::nullopt;
}

nlohmann::json diagnostics_json(std::span<const Diagnostic> diagnostics) {
  auto list = nlohmann::json::array();
  for (const Diagnostic& found : diagnostics)
    list.push_back(object_of({{"severity", policy::severity_name(found.severity)},
                              {"code", found.code},
                              {"file", found.file},
                              {"line", found.line},
                              {"column", found.column},
                              {"message", found.message},
                              {"hint", text_or_null(found.hint)}}));
  return list;
}

string to_github(std::span<const Diagnostic> diagnostics) {
  string text;
  for (const Diagnostic& found : diagnostics)
    text += "::" + string(policy::severity_name(found.severity)) +
            " file=" + github_property(found.file) + ",line=" + std::to_string(found.line) +
            ",col=" + std::to_string(found.column) +
            ",endColumn=" + std::to_string(found.column + found.width) +
            ",title=" + github_property("bpfwarden " + string(found.code)) +
            "::" + github_data(message_with_hint(found)) + "\n";
  return text;
}

string to_sarif(std::span<const Diagnostic> diagnostics) {
  const auto codes = codes_of(diagnostics);
  Json results = Json::array();
  for (const Diagnostic& found : diagnostics) results.push_back(sarif_result(found, codes));
  const Json driver = {
      {"name", "bpfwarden"}, {"semanticVersion", kVersion}, {"rules", sarif_rules(codes)}};
  const Json run = {
      {"tool", {{"driver", driver}}}, {"columnKind", "unicodeCodePoints"}, {"results", results}};
  return dumped({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                 {"version", "2.1.0"},
                 {"runs", Json::array({run})}});
}

}  // namespace bpfwarden::loader
