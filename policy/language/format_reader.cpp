#include "policy/language/format_reader.h"

#include <algorithm>

namespace bpfwarden::policy {
namespace {

using std::string;
using Comments = std::vector<string>;

string trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r";
  const size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

class TextReader {
 public:
  explicit TextReader(std::string_view text) : text_(text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text_.starts_with(byte_order_mark)) at_ = byte_order_mark.size();
  }

  std::optional<TextFile> file() {
    TextFile file;
    file.tables.emplace_back();
    while (is_good_ && at_ < text_.size()) line(file);
    trim_blanks(above_);
    file.last_comments = std::move(above_);
    if (!is_good_) return std::nullopt;
    return file;
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] bool at_end_of_line() const {
    return at_ >= text_.size() || peek() == '\n' || text_.substr(at_, 2) == "\r\n";
  }

  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') at_++;
  }

  void end_line() {
    if (!at_end_of_line()) is_good_ = false;
    at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
  }

  // To the end of the line.
  string comment() {
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    string comment = trimmed(text_.substr(at_, end - at_));
    at_ = end;
    return comment;
  }

  string comment_behind() {
    skip_blanks();
    return peek() == '#' ? comment() : string();
  }

  // A quoted string with its quotes.
  string quoted() {
    const size_t start = at_;
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote)
      at_ += quote == '"' && peek() == '\\' ? 2U : 1U;
    at_ = std::min(at_ + 1, text_.size());
    return string(text_.substr(start, at_ - start));
  }

  // What stands before one of `ends`, without white space beyond strings.
  string squeezed(std::string_view ends) {
    string found;
    while (at_ < text_.size() && ends.find(peek()) == std::string_view::npos) {
      if (peek() == '"' || peek() == '\'')
        found += quoted();
      else if (const char c = text_[at_++]; c != ' ' && c != '\t')
        found += c;
    }
    return found;
  }

  // Comments in the file: an empty line ends those at its top.
  void line(TextFile& file) {
    skip_blanks();
    if (at_end_of_line()) {
      blank(file);
      return end_line();
    }
    if (peek() == '#') {
      const bool is_directive = text_.substr(at_, 2) == "#:";  // for editors: stays at the top
      (is_directive && is_at_top(file) ? file.comments : above_).push_back(comment());
      return end_line();
    }
    if (peek() == '[')
      file.tables.push_back(header());
    else
      file.tables.back().settings.push_back(setting());
    end_line();
  }

  static bool is_at_top(const TextFile& file) {
    return file.tables.size() == 1 && file.tables[0].settings.empty() && file.comments.empty();
  }

  void blank(TextFile& file) {
    if (is_at_top(file)) {
      file.comments = std::move(above_);
      above_.clear();
    } else if (!above_.empty() && !above_.back().empty()) {
      above_.emplace_back();
    }
  }

  TextTable header() {
    TextTable table;
    while (!above_.empty() && above_.front().empty()) above_.erase(above_.begin());
    table.comments = std::move(above_);
    above_.clear();
    const size_t brackets = text_.substr(at_, 2) == "[[" ? 2 : 1;
    at_ += brackets;
    table.header = string(brackets, '[') + squeezed("]") + string(brackets, ']');
    at_ = std::min(at_ + brackets, text_.size());
    table.comment = comment_behind();
    return table;
  }

  TextSetting setting() {
    TextSetting setting;
    std::erase(above_, string());
    setting.comments = std::move(above_);
    above_.clear();
    setting.key = squeezed("=\n");
    is_good_ = is_good_ && peek() == '=';
    at_++;
    setting.value = value();
    setting.comment = comment_behind();
    return setting;
  }

  TextValue value() {
    TextValue value;
    skip_blanks();
    if (peek() == '[') return array();
    if (peek() == '{')
      value.text = inline_table();
    else if (peek() == '"' || peek() == '\'')
      value.text = quoted();
    else
      value.text = bare();
    return value;
  }

  string bare() {
    const size_t end = std::min(text_.find_first_of(",]}#\n", at_), text_.size());
    string found = trimmed(text_.substr(at_, end - at_));
    at_ = end;
    return found;
  }

  // On one line, as TOML 1.0 wants it.
  string inline_table() {
    string text;
    at_++;
    for (skip_blanks(); is_good_ && peek() != '}'; skip_blanks()) {
      text += (text.empty() ? " " : ", ") + squeezed("=\n") + " = ";
      is_good_ = is_good_ && peek() == '=';
      at_++;
      const TextValue inner = value();
      is_good_ = is_good_ && !inner.has_comments();
      text += on_one_line(inner);
      skip_blanks();
      if (peek() == ',') at_++;
      if (at_end_of_line()) is_good_ = false;
    }
    at_ = std::min(at_ + 1, text_.size());
    return text.empty() ? "{}" : "{" + text + " }";
  }

  // White space and comments; those of the line that `behind` ends on are its own.
  Comments comments_in_array(string* behind) {
    Comments found;
    for (;; at_++) {
      skip_blanks();
      if (peek() == '#' && behind) *behind += (behind->empty() ? "" : " ") + comment();
      if (peek() == '#') found.push_back(comment());
      if (peek() == '\n') behind = nullptr;
      if (peek() != '\n' && peek() != '\r') return found;
    }
  }

  TextValue array() {
    TextValue array;
    array.is_array = true;
    at_++;
    Comments comments = comments_in_array(nullptr);
    while (is_good_ && peek() != ']') {
      TextElement element = {std::move(comments), value(), {}};
      comments = comments_in_array(&element.comment);
      if (peek() == ',') {
        at_++;
        Comments more = comments_in_array(comments.empty() ? &element.comment : nullptr);
        comments.insert(comments.end(), more.begin(), more.end());
      } else if (peek() != ']') {
        is_good_ = false;
      }
      array.elements.push_back(std::move(element));
    }
    array.last_comments = std::move(comments);
    at_ = std::min(at_ + 1, text_.size());
    return array;
  }

  static void trim_blanks(Comments& comments) {
    while (!comments.empty() && comments.back().empty()) comments.pop_back();
    while (!comments.empty() && comments.front().empty()) comments.erase(comments.begin());
  }

  std::string_view text_;
  size_t at_ = 0;
  bool is_good_ = true;
  Comments above_;  // comment lines that belong to what follows
};

}  // namespace

bool TextValue::has_comments() const {
  return !last_comments.empty() ||
         std::any_of(elements.begin(), elements.end(), [](const TextElement& element) {
           return !element.comments.empty() || !element.comment.empty() ||
                  element.value.has_comments();
         });
}

string on_one_line(const TextValue& value) {
  if (!value.is_array) return value.text;
  string text;
  for (const TextElement& element : value.elements)
    text += (text.empty() ? "" : ", ") + on_one_line(element.value);
  return "[" + text + "]";
}

std::optional<TextFile> read_file_text(std::string_view text) { return TextReader(text).file(); }

}  // namespace bpfwarden::policy
