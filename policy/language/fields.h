// Reads the settings of one table: each with the type it must have, and none that is unknown.
//
// A Fields refers to the table, the diagnostics and the names it is given; all must outlive it.
// Every reader reports what is wrong by itself and then returns nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/language/model.h"
#include "policy/language/syntax.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// A word of the language and what it stands for.
template <class T>
using Words = std::span<const std::pair<std::string_view, T>>;

class Fields {
 public:
  // Reports unknown names at once. `owner` is for messages: "the policy", "a rule".
  Fields(const Table& table, SourceRange position, std::string_view owner,
         std::vector<std::string_view> names, DiagnosticList& diagnostics);

  [[nodiscard]] const Entry* find(std::string_view name) const;

  // As find, and reports a missing setting.
  [[nodiscard]] const Entry* require(std::string_view name, std::string_view hint) const;

  // Where each setting stands, for later diagnostics.
  [[nodiscard]] std::vector<SettingPlace> places() const;

  // A non-empty string of at most `limit` bytes without control characters.
  [[nodiscard]] const std::string* label(const Entry& entry, size_t limit) const;
  [[nodiscard]] const std::string* string(const Entry& entry) const;
  [[nodiscard]] std::optional<int64_t> integer(const Entry& entry) const;
  [[nodiscard]] std::optional<bool> boolean(const Entry& entry) const;
  [[nodiscard]] std::optional<int64_t> date(const Entry& entry) const;  // Unix seconds
  // A non-empty array of strings; elements of another type are reported and are to be skipped.
  [[nodiscard]] const Array* strings(const Entry& entry) const;
  // Likewise of integers.
  [[nodiscard]] const Array* integers(const Entry& entry) const;

  template <class T>
  [[nodiscard]] std::optional<T> word(const Entry& entry, Words<T> words) const {
    const std::string* text = string(entry);
    if (!text) return std::nullopt;
    std::vector<std::string_view> candidates;
    for (const auto& [name, value] : words) {
      if (name == *text) return value;
      candidates.push_back(name);
    }
    not_a_word(entry, *text, candidates);
    return std::nullopt;
  }

  // Each element of an array, and once; what is no word is reported and left out.
  template <class T>
  [[nodiscard]] std::vector<T> words(const Entry& entry, Words<T> words) const {
    std::vector<T> found;
    const Array* elements = strings(entry);
    for (size_t i = 0; elements && i < elements->size(); i++) {
      const Value& element = (*elements)[i];
      if (!std::holds_alternative<std::string>(element.data)) continue;
      const auto one = word<T>({entry.key, entry.position, element}, words);
      if (one && std::find(found.begin(), found.end(), *one) == found.end()) found.push_back(*one);
    }
    return found;
  }

 private:
  template <class T>
  [[nodiscard]] const T* value(const Entry& entry, std::string_view wanted) const;
  template <class T>
  [[nodiscard]] const Array* array(const Entry& entry, std::string_view wanted) const;
  void not_a_word(const Entry& entry, const std::string& text,
                  std::span<const std::string_view> candidates) const;
  void report_unknown(const Entry& entry) const;

  const Table* table_;
  SourceRange position_;
  std::string owner_;
  std::vector<std::string_view> names_;
  DiagnosticList* diagnostics_;
};

// "did you mean `x`?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace bpfwarden::policy
