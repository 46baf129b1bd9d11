// A policy file as text: its tables, settings and comments as they were written. Internal to
// policy/language/format*. toml++ keeps no comments, hence this reader; it is given only what
// toml++ reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bpfwarden::policy {

struct TextElement;

// A scalar or an inline table as it was written, or an array.
struct TextValue {
  std::string text;
  bool is_array = false;
  std::vector<TextElement> elements;
  std::vector<std::string> last_comments;  // between the last element and the bracket

  [[nodiscard]] bool has_comments() const;
};

struct TextElement {
  std::vector<std::string> comments;  // above it
  TextValue value;
  std::string comment;  // behind it
};

struct TextSetting {
  std::vector<std::string> comments;  // above it
  std::string key;                    // dotted or quoted as it was, without white space around it
  TextValue value;
  std::string comment;
};

struct TextTable {
  std::vector<std::string> comments;  // above the header; "" for empty lines between
  std::string header;                 // "[[rules]]"; empty for the settings before the first
  std::string comment;
  std::vector<TextSetting> settings;
};

struct TextFile {
  std::vector<std::string> comments;  // at the top, before an empty line
  std::vector<TextTable> tables;      // the first has no header
  std::vector<std::string> last_comments;
};

// Without its comments.
[[nodiscard]] std::string on_one_line(const TextValue& value);

// `text` is TOML without strings over several lines. Nothing for what this reader cannot follow.
[[nodiscard]] std::optional<TextFile> read_file_text(std::string_view text);

}  // namespace bpfwarden::policy
