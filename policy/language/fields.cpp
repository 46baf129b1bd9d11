#include "policy/language/fields.h"

#include <algorithm>

#include "policy/text/nearest.h"

namespace bpfwarden::policy {
namespace {

std::string join(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names)
    list += (list.empty() ? "`" : ", `") + std::string(name) + "`";
  return list;
}

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto near = nearest(word, candidates);
  return near ? "did you mean `" + std::string(*near) + "`?" : std::string();
}

Fields::Fields(const Table& table, SourceRange position, std::string_view owner,
               std::vector<std::string_view> names, DiagnosticList& diagnostics)
    : table_(&table),
      position_(position),
      owner_(owner),
      names_(std::move(names)),
      diagnostics_(&diagnostics) {
  for (const Entry& entry : table)
    if (!contains(names_, entry.key)) report_unknown(entry);
}

void Fields::report_unknown(const Entry& entry) const {
  std::string hint = did_you_mean(entry.key, names_);
  if (hint.empty()) hint = owner_ + " has " + join(names_);
  diagnostics_->error(entry.position, "unknown key `" + entry.key + "` in " + owner_, hint);
}

std::vector<SettingPlace> Fields::places() const {
  std::vector<SettingPlace> places;
  for (const Entry& entry : *table_) places.push_back({entry.key, entry.value.position});
  return places;
}

const Entry* Fields::find(std::string_view name) const {
  for (const Entry& entry : *table_)
    if (entry.key == name) return &entry;
  return nullptr;
}

const Entry* Fields::require(std::string_view name, std::string_view hint) const {
  const Entry* entry = find(name);
  if (!entry)
    diagnostics_->error(position_, owner_ + " has no `" + std::string(name) + "`",
                        std::string(hint));
  return entry;
}

template <class T>
const T* Fields::value(const Entry& entry, std::string_view wanted) const {
  const auto* found = std::get_if<T>(&entry.value.data);
  if (!found)
    diagnostics_->error(entry.value.position, "`" + entry.key + "` must be " + std::string(wanted) +
                                                  ", not " + std::string(entry.value.kind()));
  return found;
}

const std::string* Fields::string(const Entry& entry) const {
  return value<std::string>(entry, "a string");
}

const std::string* Fields::label(const Entry& entry, size_t limit) const {
  const std::string* text = string(entry);
  if (!text) return nullptr;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::string problem;
  if (text->empty()) problem = " must not be empty";
  if (text->size() > limit) problem = " is longer than " + std::to_string(limit) + " bytes";
  if (std::any_of(text->begin(), text->end(), is_control))
    problem = " must not contain control characters";
  if (problem.empty()) return text;
  diagnostics_->error(entry.value.position, "`" + entry.key + "`" + problem);
  return nullptr;
}

std::optional<int64_t> Fields::integer(const Entry& entry) const {
  const auto* number = value<int64_t>(entry, "an integer");
  return number ? std::optional(*number) : std::nullopt;
}

std::optional<bool> Fields::boolean(const Entry& entry) const {
  const auto* truth = value<bool>(entry, "`true` or `false`");
  return truth ? std::optional(*truth) : std::nullopt;
}

std::optional<int64_t> Fields::date(const Entry& entry) const {
  if (const auto* time = std::get_if<Time>(&entry.value.data)) return time->seconds;
  const bool is_text = std::holds_alternative<std::string>(entry.value.data);
  diagnostics_->error(entry.value.position,
                      "`" + entry.key + "` must be a date, not " + std::string(entry.value.kind()),
                      is_text ? "a date has no quotes: " + entry.key + " = 2027-06-30"
                              : "write " + entry.key + " = 2027-06-30, or 2027-06-30T12:00:00Z");
  return std::nullopt;
}

// `wanted` is what the array must hold: "strings".
template <class T>
const Array* Fields::array(const Entry& entry, std::string_view wanted) const {
  const auto* found = std::get_if<Array>(&entry.value.data);
  if (!found) {
    std::string hint;
    if (const auto* text = std::get_if<std::string>(&entry.value.data))
      hint = "write " + entry.key + " = [\"" + *text + "\"]";
    else if (const auto* number = std::get_if<int64_t>(&entry.value.data))
      hint = "write " + entry.key + " = [" + std::to_string(*number) + "]";
    diagnostics_->error(entry.value.position,
                        "`" + entry.key + "` must be an array of " + std::string(wanted) +
                            ", not " + std::string(entry.value.kind()),
                        std::holds_alternative<T>(entry.value.data) ? hint : std::string());
    return nullptr;
  }
  if (found->empty())
    diagnostics_->error(entry.value.position, "`" + entry.key + "` must not be empty");
  for (const Value& element : *found)
    if (!std::holds_alternative<T>(element.data))
      diagnostics_->error(element.position, "`" + entry.key + "` must hold " + std::string(wanted) +
                                                ", not " + std::string(element.kind()));
  return found;
}

const Array* Fields::strings(const Entry& entry) const {
  return array<std::string>(entry, "strings");
}

const Array* Fields::integers(const Entry& entry) const {
  return array<int64_t>(entry, "integers");
}

void Fields::not_a_word(const Entry& entry, const std::string& text,
                        std::span<const std::string_view> candidates) const {
  diagnostics_->error(entry.value.position,
                      "`" + entry.key + "` is one of " + join(candidates) + ", not `" + text + "`",
                      did_you_mean(text, candidates));
}

}  // namespace bpfwarden::policy
