#include "policy/answers/extend.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "policy/language/format.h"
#include "policy/language/syntax_reader.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr string_view kHead = "# Suggested by bpfwarden";
constexpr string_view kEnd = "# Not admitted, although seen:";

std::vector<string> lines_of(const string& text) {
  std::vector<string> lines;
  std::istringstream stream(text);
  for (string line; std::getline(stream, line);) lines.push_back(std::move(line));
  return lines;
}

string with_newlines(const std::vector<string>& lines) {
  string text;
  for (const string& line : lines) text += line + "\n";
  return text;
}

// Takes out the block of comments that begins so.
void drop_comments(std::vector<string>& lines, string_view beginning) {
  const auto first =
      std::ranges::find_if(lines, [&](const string& line) { return line.starts_with(beginning); });
  const auto last =
      std::find_if(first, lines.end(), [](const string& line) { return !line.starts_with('#'); });
  lines.erase(first, last);
}

// ---- Edits of one file --------------------------------------------------------------------------

// Columns count code points: bytes that continue one do not count.
size_t offset_in(const string& line, uint32_t column) {
  size_t at = 0;
  for (uint32_t i = 1; i < column && at < line.size(); i++) do
      at++;
    while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80);
  return at;
}

// Just past the TOML string that begins there.
size_t end_of_string(const string& line, size_t at) {
  const char quote = line[at];
  for (size_t i = at + 1; i < line.size(); i++) {
    if (quote == '"' && line[i] == '\\')
      i++;
    else if (line[i] == quote)
      return i + 1;
  }
  return line.size();
}

struct Replacement {
  SourceRange where;
  string text;
};

// From the end, so that the places before stay true. False if one is not where it was read.
bool apply_edits(std::vector<string>& lines, std::vector<Replacement> edits) {
  std::ranges::sort(edits, [](const Replacement& a, const Replacement& b) {
    return std::pair(a.where.line, a.where.column) > std::pair(b.where.line, b.where.column);
  });
  for (const Replacement& edit : edits) {
    if (edit.where.line == 0 || edit.where.line > lines.size()) return false;
    string& line = lines[edit.where.line - 1];
    const size_t at = offset_in(line, edit.where.column);
    if (at >= line.size()) return false;
    const bool is_string = line[at] == '"' || line[at] == '\'';
    const size_t end = is_string ? end_of_string(line, at)
                                 : std::min(line.find_first_of(" \t#,}", at), line.size());
    line.replace(at, end - at, edit.text);
  }
  return true;
}

const Entry* entry_named(const Table& table, string_view name) {
  const auto found = std::ranges::find(table, name, &Entry::key);
  return found == table.end() ? nullptr : &*found;
}

// Each path in the tables of keys, as it is to be written.
void add_path_edits(const Table& document, const string& file, const PathsFor& paths,
                    std::vector<Replacement>& edits) {
  const Entry* keys = entry_named(document, "keys");
  const auto* tables = keys != nullptr ? std::get_if<Table>(&keys->value.data) : nullptr;
  if (tables == nullptr) return;
  for (const Entry& key : *tables) {
    const auto* settings = std::get_if<Table>(&key.value.data);
    if (settings == nullptr) continue;
    for (const string_view name : {"certificates", "issuer", "revoked"}) {
      const Entry* entry = entry_named(*settings, name);
      const auto* list = entry != nullptr ? std::get_if<Array>(&entry->value.data) : nullptr;
      if (list == nullptr) continue;
      for (const Value& value : *list) {
        const auto* text = std::get_if<string>(&value.data);
        if (text == nullptr) continue;
        string written;
        for (const string& path : paths(file, *text))
          written += (written.empty() ? "" : ", ") + toml_string(path);
        if (!written.empty()) edits.push_back({value.position, written});
      }
    }
  }
}

// Settings of the policy itself; those that it lacks go above the first one.
void add_header_edits(const Table& document, const Extension& extension,
                      std::vector<Replacement>& edits, std::vector<string>& lacking) {
  const auto set = [&](string_view name, const string& value) {
    if (const Entry* entry = entry_named(document, name))
      edits.push_back({entry->value.position, value});
    else
      lacking.push_back(string(name) + " = " + value);
  };
  set("name", toml_string(extension.name));
  set("version", std::to_string(extension.version));
  set("mode", toml_string(spelling_of(kModeWords, extension.mode)));
  if (extension.deny_by_default) set("default", "\"deny\"");
  if (extension.detect_threads) set("multithreaded-attach", "\"detect\"");
}

Result<std::vector<string>> edited(const SourceFile& source, const Extension& extension,
                                   bool is_first) {
  DiagnosticList diagnostics({source.name});
  const auto document = read_syntax(source, 0, diagnostics);
  if (!document) return fail(source.name + " is no TOML");
  if (!is_first && entry_named(*document, "deny-digests") != nullptr)
    return fail(source.name + " has `deny-digests`, which a suggestion in one file cannot keep",
                "move them into the policy itself");
  std::vector<Replacement> edits;
  std::vector<string> lacking;
  add_path_edits(*document, source.name, extension.paths, edits);
  if (is_first) add_header_edits(*document, extension, edits, lacking);
  std::vector<string> lines = lines_of(source.text);
  if (!apply_edits(lines, std::move(edits)))
    return fail(source.name + " is not as it was read", "run `bpfwarden fmt` on it");
  const auto setting = std::ranges::find_if(lines, [](const string& line) {
    return line.starts_with("schema") || line.starts_with("version");
  });
  lines.insert(setting, lacking.begin(), lacking.end());
  return lines;
}

// ---- Putting it together ------------------------------------------------------------------------

// Comments right above belong to a table.
size_t above_table(const std::vector<string>& lines, size_t header) {
  while (header > 0 && lines[header - 1].starts_with('#')) header--;
  return header;
}

// Indented, too, as `why` prints a rule.
bool begins_rule(const string& line) {
  const size_t first = line.find_first_not_of(" \t");
  return first != string::npos && line.compare(first, 9, "[[rules]]") == 0;
}

// The line of the first rule that is load-only, or the end.
size_t place_for_rules(const Policy& base, const std::vector<string>& lines) {
  size_t at = 0;
  for (const Rule& rule : base.rules) {
    if (rule.position.file != 0) break;
    while (at < lines.size() && !begins_rule(lines[at])) at++;
    if (at == lines.size()) break;
    if (rule.action == Action::load_only) return above_table(lines, at);
    at++;
  }
  return lines.size();
}

// What a drop-in adds: its tables, without the settings before them.
std::vector<string> tables_of(const string& name, std::vector<string> lines) {
  const auto first =
      std::ranges::find_if(lines, [](const string& line) { return line.starts_with('['); });
  const size_t from = above_table(lines, static_cast<size_t>(first - lines.begin()));
  lines.erase(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(from));
  lines.insert(lines.begin(), {"", "# From " + printable(name) + ":"});
  return lines;
}

}  // namespace

Result<string> extended_text(const Policy& base, const std::vector<SourceFile>& sources,
                             const Extension& extension) {
  std::vector<string> whole;
  for (size_t i = 0; i < sources.size(); i++) {
    auto lines = edited(sources[i], extension, i == 0);
    if (!lines) return std::unexpected(std::move(lines).error());
    if (i > 0) *lines = tables_of(sources[i].name, std::move(*lines));
    if (i == 0) {
      const size_t at = place_for_rules(base, *lines);
      std::vector<string> added;
      for (const SuggestedRule& rule : extension.rules) {
        added.emplace_back();
        std::ranges::copy(lines_of(toml_text(rule.text)), std::back_inserter(added));
      }
      added.emplace_back();
      lines->insert(lines->begin() + static_cast<ptrdiff_t>(at), added.begin(), added.end());
    }
    std::ranges::copy(*lines, std::back_inserter(whole));
  }
  drop_comments(whole, kHead);
  drop_comments(whole, kEnd);
  string head;
  for (const string& line : lines_of(extension.header)) head += "# " + printable(line) + "\n";
  SourceFile source{"suggestion", head + "\n" + with_newlines(whole)};
  DiagnosticList diagnostics({source.name});
  string text = format_policy(source, 0, diagnostics).value_or(source.text);
  return text + (extension.end.empty() ? "" : "\n" + extension.end);
}

}  // namespace bpfwarden::policy
