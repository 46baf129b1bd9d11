#include "policy/fields.h"

#include <algorithm>

#include "policy/nearest.h"

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

Fields::Fields(const Table& table, SourceRange position, std::string_view owner, const Names& names,
               DiagnosticList& diagnostics)
    : table_(&table), position_(position), owner_(owner), diagnostics_(&diagnostics) {
  for (const Entry& entry : table)
    if (!contains(names.known, entry.key)) report_unknown(entry, names);
}

void Fields::report_unknown(const Entry& entry, const Names& names) {
  if (contains(names.later, entry.key)) {
    has_later_ = true;
    diagnostics_->error(entry.position, "`" + entry.key + "` is not supported by this version",
                        "this version would not enforce it, so it does not accept it");
    return;
  }
  std::string hint = did_you_mean(entry.key, names.known);
  if (hint.empty()) hint = owner_ + " has " + join(names.known);
  diagnostics_->error(entry.position, "unknown key `" + entry.key + "` in " + owner_, hint);
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

const std::string* Fields::string(const Entry& entry) const {
  const auto* text = std::get_if<std::string>(&entry.value.data);
  if (!text)
    diagnostics_->error(entry.value.position, "`" + entry.key + "` must be a string, not " +
                                                  std::string(entry.value.kind()));
  return text;
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
  if (const auto* number = std::get_if<int64_t>(&entry.value.data)) return *number;
  diagnostics_->error(entry.value.position, "`" + entry.key + "` must be an integer, not " +
                                                std::string(entry.value.kind()));
  return std::nullopt;
}

const Array* Fields::strings(const Entry& entry) const {
  const auto* array = std::get_if<Array>(&entry.value.data);
  if (!array) {
    const auto* text = std::get_if<std::string>(&entry.value.data);
    diagnostics_->error(
        entry.value.position,
        "`" + entry.key + "` must be an array of strings, not " + std::string(entry.value.kind()),
        text ? "write " + entry.key + " = [\"" + *text + "\"]" : std::string());
    return nullptr;
  }
  if (array->empty())
    diagnostics_->error(entry.value.position, "`" + entry.key + "` must not be empty");
  for (const Value& value : *array)
    if (!std::holds_alternative<std::string>(value.data))
      diagnostics_->error(value.position, "`" + entry.key + "` must hold strings, not " +
                                              std::string(value.kind()));
  return array;
}

void Fields::not_a_word(const Entry& entry, const std::string& text,
                        std::span<const std::string_view> candidates,
                        const std::string& list) const {
  const std::string near = did_you_mean(text, candidates);
  diagnostics_->error(entry.value.position,
                      "`" + entry.key + "` is one of " + list + ", not `" + text + "`", near);
}

}  // namespace bpfwarden::policy
