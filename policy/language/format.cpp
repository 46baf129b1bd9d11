#include "policy/language/format.h"

#include <algorithm>
#include <map>

#include "policy/language/format_reader.h"
#include "policy/language/language.h"
#include "policy/language/syntax_reader.h"
#include "policy/text/escaped.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr size_t kColumns = 100;

// ---- Order --------------------------------------------------------------------------------------

std::optional<TableKind> kind_of(std::string_view header) {
  if (header.empty()) return TableKind::policy;
  if (header == "[[rules]]") return TableKind::rule;
  if (header == "[harden]") return TableKind::harden;
  const bool is_key = header.starts_with("[keys.") && header.find('.', 6) == string::npos;
  return is_key ? std::optional(TableKind::key) : std::nullopt;
}

// Unknown ones last.
size_t rank_of(const std::vector<std::string_view>& names, std::string_view key) {
  const std::string_view first = key.substr(0, key.find('.'));
  return static_cast<size_t>(std::find(names.begin(), names.end(), first) - names.begin());
}

void sort_settings(TextTable& table) {
  const auto kind = kind_of(table.header);
  if (!kind) return;
  const auto names = names_of(*kind);
  std::stable_sort(table.settings.begin(), table.settings.end(),
                   [&](const TextSetting& a, const TextSetting& b) {
                     return rank_of(names, a.key) < rank_of(names, b.key);
                   });
}

// ---- Text ---------------------------------------------------------------------------------------

void append_lines(const std::vector<string>& lines, string& text) {
  for (const string& line : lines) text += line + "\n";
}

string with_comment(string line, const string& comment) {
  return comment.empty() ? line : std::move(line) + "  " + comment;
}

string value_text(const TextValue& value, size_t column, size_t indent);

string array_text(const TextValue& value, size_t indent) {
  const string inner(indent + 2, ' ');
  string text = "[\n";
  for (const TextElement& element : value.elements) {
    for (const string& comment : element.comments) text += inner + comment + "\n";
    text += inner +
            with_comment(value_text(element.value, indent + 2, indent + 2) + ",", element.comment) +
            "\n";
  }
  for (const string& comment : value.last_comments) text += inner + comment + "\n";
  return text + string(indent, ' ') + "]";
}

// `column` is where the value begins.
string value_text(const TextValue& value, size_t column, size_t indent) {
  string line = on_one_line(value);
  const bool fits = column + width_of(line) <= kColumns;
  if (!value.is_array || (!value.has_comments() && (fits || value.elements.empty()))) return line;
  return array_text(value, indent);
}

string settings_text(const TextTable& table) {
  size_t longest = 0;
  for (const TextSetting& setting : table.settings)
    longest = std::max(longest, width_of(setting.key));
  string text;
  for (const TextSetting& setting : table.settings) {
    append_lines(setting.comments, text);
    const string key = setting.key + string(longest - width_of(setting.key), ' ') + " = ";
    text += with_comment(key + value_text(setting.value, longest + 3, 0), setting.comment) + "\n";
  }
  return text;
}

string file_text(const TextFile& file) {
  string text;
  const auto block = [&](const string& added) {
    if (!text.empty() && !added.empty()) text += "\n";
    text += added;
  };
  string comments;
  append_lines(file.comments, comments);
  block(comments);
  for (const TextTable& table : file.tables) {
    string one;
    append_lines(table.comments, one);
    if (!table.header.empty()) one += with_comment(table.header, table.comment) + "\n";
    block(one + settings_text(table));
  }
  comments.clear();
  append_lines(file.last_comments, comments);
  block(comments);
  return text;
}

// ---- Safety -------------------------------------------------------------------------------------

bool same_table(const Table& left, const Table& right);

bool same_value(const Value& left, const Value& right) {
  if (left.data.index() != right.data.index()) return false;
  if (const auto* table = std::get_if<Table>(&left.data))
    return same_table(*table, std::get<Table>(right.data));
  if (const auto* array = std::get_if<Array>(&left.data))
    return std::ranges::equal(*array, std::get<Array>(right.data), same_value);
  if (const auto* time = std::get_if<Time>(&left.data))
    return time->seconds == std::get<Time>(right.data).seconds;
  if (const auto* other = std::get_if<OtherValue>(&left.data))
    return other->kind == std::get<OtherValue>(right.data).kind;
  if (const auto* text = std::get_if<string>(&left.data))
    return *text == std::get<string>(right.data);
  if (const auto* number = std::get_if<int64_t>(&left.data))
    return *number == std::get<int64_t>(right.data);
  return std::get<bool>(left.data) == std::get<bool>(right.data);
}

bool same_table(const Table& left, const Table& right) {
  std::map<std::string_view, const Value*> values;
  for (const Entry& entry : right) values.emplace(entry.key, &entry.value);
  return left.size() == right.size() && std::ranges::all_of(left, [&](const Entry& entry) {
           const auto found = values.find(entry.key);
           return found != values.end() && same_value(entry.value, *found->second);
         });
}

}  // namespace

std::optional<string> format_policy(const SourceFile& source, uint32_t number,
                                    DiagnosticList& diagnostics) {
  const auto before = read_syntax(source, number, diagnostics);
  if (!before) return std::nullopt;
  auto file = read_file_text(source.text);
  if (file) {
    for (TextTable& table : file->tables) sort_settings(table);
    string text = file_text(*file);
    const auto after = read_syntax({source.name, text}, number, diagnostics);
    if (after && same_table(*before, *after)) return text;
  }
  diagnostics.error({1, 1, 1, number}, "this cannot be formatted without changing what it says",
                    "please report it; the file was not touched");
  return std::nullopt;
}

}  // namespace bpfwarden::policy
