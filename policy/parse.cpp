#include "policy/parse.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <tuple>

// toml++ 3.3 asserts, and without asserts assumes, what a text such as "[[\n" does not keep, and
// then handles that very case: neither is wanted.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_EXCEPTIONS 0
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "policy/read_policy.h"
#include "policy/syntax.h"

namespace bpfwarden::policy {
namespace {

// Dotted keys nest one table a dot; toml++ 3.3 sets no limit, and its destructors recurse.
constexpr size_t kMaxDots = 16;

// ---- TOML to syntax -----------------------------------------------------------------------------

SourceRange range_of(const toml::source_region& region) {
  SourceRange range{region.begin.line, region.begin.column, 1};
  if (region.end.line == region.begin.line && region.end.column > region.begin.column)
    range.width = region.end.column - region.begin.column;
  return range;
}

std::string_view kind_of(toml::node_type type) {
  switch (type) {
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    default:
      return "a date and time";
  }
}

Value value_of(const toml::node& node);

Table table_of(const toml::table& source) {
  Table table;
  for (const auto& [key, node] : source)
    table.push_back({std::string(key.str()), range_of(key.source()), value_of(node)});
  std::sort(table.begin(), table.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.position.line, a.position.column) <
           std::tie(b.position.line, b.position.column);
  });
  return table;
}

Value value_of(const toml::node& node) {
  Value value{range_of(node.source()), OtherValue{kind_of(node.type())}};
  if (const auto* text = node.as_string()) {
    value.data = text->get();
  } else if (const auto* number = node.as_integer()) {
    value.data = int64_t{number->get()};
  } else if (const auto* table = node.as_table()) {
    value.data = table_of(*table);
  } else if (const auto* source = node.as_array()) {
    Array array;
    for (const toml::node& element : *source) array.push_back(value_of(element));
    value.data = std::move(array);
  }
  return value;
}

// ---- Errors of TOML itself ----------------------------------------------------------------------

constexpr std::string_view kBeforeString = " \t\r\n=,[{.\xbf";  // the last: a byte order mark

struct Refusal {
  SourceRange where;
  std::string_view message;
};

// What toml++ 3.3 must not see. Nesting so deep that taking it apart exhausts the stack; strings
// over several lines, behind which such nesting could hide; and other than ASCII characters outside
// strings and comments, where TOML allows none but is_non_ascii_horizontal_whitespace() is
// undefined.
std::optional<Refusal> refused_syntax(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  SourceRange at{1, 0, 1};
  size_t dots = 0;
  char inside = 0;  // a quote, or # in a comment
  for (size_t i = text.starts_with(byte_order_mark) ? 3 : 0; i < text.size(); i++) {
    const char c = text[i];
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) at.column++;
    if (c == '\n') {
      at = {at.line + 1, 0, 1};
      dots = 0;
      inside = 0;
    } else if (inside == '"' && (text.substr(i, 2) == "\\\"" || text.substr(i, 2) == "\\\\")) {
      i++;
      at.column++;
    } else if (inside) {
      if (c == inside && c != '#') inside = 0;
    } else if (c == '"' || c == '\'' || c == '#') {
      inside = c;
      if (c != '#' && i > 0 && kBeforeString.find(text[i - 1]) == std::string_view::npos)
        return Refusal{at, "a string cannot begin here"};
      if (c != '#' && text.substr(i, 3) == std::string(3, c))
        return Refusal{at, "a policy has no strings over several lines"};
    } else if (c == '.' && ++dots > kMaxDots) {
      return Refusal{at, "tables are nested too deeply here"};
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return Refusal{at, "only strings and comments may hold other than ASCII characters"};
    }
  }
  return std::nullopt;
}

// What toml++ says, in the words of somebody who writes a policy.
std::string friendly(std::string_view description) {
  constexpr std::string_view lead = "Error while parsing ";
  const auto has = [&](std::string_view part) {
    return description.find(part) != std::string_view::npos;
  };
  std::string text(description), where;
  if (text.starts_with(lead)) {
    text.erase(0, lead.size());
    const size_t colon = text.find(": ");
    where = text.substr(0, colon);
    if (colon != std::string::npos) text.erase(0, colon + 2);
  }
  if (const size_t quote = text.find('\''); has("cannot redefine") && quote != std::string::npos)
    return text.substr(quote) + " is already defined";
  if (has("could not determine value type")) return "this is no value";
  if (where == "string" && has("control characters")) return "the string does not end on its line";
  if (has("end-of-file")) return "the file ends within this " + where;
  if (has("utf-8")) return "the file is not in UTF-8 here";
  return "this is not valid TOML: " + text + (where.empty() ? "" : " (in this " + where + ")");
}

std::string hint_for(std::string_view description) {
  const auto has = [&](std::string_view part) {
    return description.find(part) != std::string_view::npos;
  };
  if (has("cannot redefine")) return "each name can be given only once; `[[rules]]` adds a rule";
  if (has("boolean") || has("parsing value")) return "text needs quotes: name = \"…\"";
  if (has("utf-8")) return "save it as UTF-8";
  if (has("parsing string")) return "a string ends with the quote it began with, on the same line";
  if (has("array")) return "an array looks so: [\"one\", \"two\"]";
  if (has("table header")) return "a key begins with [keys.its-name], a rule with [[rules]]";
  if (has("key-value pair")) return "one setting a line: name = \"…\"";
  return {};
}

ParseResult failed(DiagnosticList& diagnostics, std::string text) {
  return {std::nullopt, diagnostics.take(), std::move(text)};
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// At most kMaxPolicyBytes + 1, so that the caller sees that it is too long.
Result<std::string> read_text(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return fail_errno(EISDIR, "cannot be read");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return fail_errno(errno, "cannot be read");
  std::string text;
  char block[65536];
  while (text.size() <= kMaxPolicyBytes) {
    const size_t count = std::fread(block, 1, sizeof(block), file.get());
    text.append(block, count);
    if (count < sizeof(block)) break;
  }
  if (std::ferror(file.get())) return fail_errno(errno, "cannot be read");
  return text;
}

}  // namespace

ParseResult parse(std::string_view text, const std::string& file, const CertificateReader& reader,
                  int64_t now) {
  DiagnosticList diagnostics(file);
  if (text.size() > kMaxPolicyBytes) {
    diagnostics.error({}, "the policy is larger than 10 MiB");
    return failed(diagnostics, {});
  }
  if (const auto refusal = refused_syntax(text)) {
    diagnostics.error(refusal->where, std::string(refusal->message));
    return failed(diagnostics, std::string(text));
  }
  const toml::parse_result document = toml::parse(text, std::string_view(file));
  if (!document) {
    const toml::parse_error& error = document.error();
    diagnostics.error(range_of(error.source()), friendly(error.description()),
                      hint_for(error.description()));
    return failed(diagnostics, std::string(text));
  }
  const ReadContext context{file, reader, now};
  Policy policy = read_policy(table_of(document.table()), context, diagnostics);
  if (diagnostics.has_errors()) return failed(diagnostics, std::string(text));
  return {std::move(policy), diagnostics.take(), std::string(text)};
}

ParseResult parse_file(const std::filesystem::path& path, const CertificateReader& reader,
                       int64_t now) {
  auto text = read_text(path);
  if (text) return parse(*text, path.string(), reader, now);
  DiagnosticList diagnostics(path.string());
  diagnostics.error({}, "the policy " + text.error().message,
                    "check the path, and that you may read the file");
  return failed(diagnostics, {});
}

}  // namespace bpfwarden::policy
