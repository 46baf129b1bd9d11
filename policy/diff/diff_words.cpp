#include "policy/diff/diff_words.h"

#include <algorithm>

namespace bpfwarden::policy {
namespace {

using std::string;

// More values than these are not read.
constexpr size_t kMaxValues = 24, kShownValues = 8;

// "signed" options of one signer in one: "prog-only by x", "prog-used-maps by x" are "signed by x".
std::vector<string> joined_signers(const std::vector<string>& values) {
  std::vector<string> joined;
  for (const string& value : values) {
    const string only = "prog-only by ", used = "prog-used-maps by ";
    if (value.starts_with(used)) {
      const string twin = only + value.substr(used.size());
      const auto found = std::find(joined.begin(), joined.end(), twin);
      if (found != joined.end()) {
        *found = "signed by " + value.substr(used.size());
        continue;
      }
    }
    joined.push_back(value);
  }
  return joined;
}

string values_text(const string& name, const std::vector<string>& values, size_t more) {
  string text = name;
  for (const string& value : joined_signers(values))
    text += (text.empty() ? "" : text == name ? " " : ", ") + value;
  return more == 0 ? text : text + " and " + std::to_string(more) + " more";
}

// The texts of values that occur, or of those that do not; at most so many.
std::vector<string> some_texts(const Property& property, const std::vector<bool>& present,
                               bool occur, size_t most) {
  std::vector<string> texts;
  for (size_t i = 0; i < present.size() && texts.size() < most; i++)
    if (present[i] == occur) texts.push_back(property.values[i].text);
  return texts;
}

// Empty: whatever it is.
string property_text(const Property& property, const std::vector<bool>& present) {
  const auto count = static_cast<size_t>(std::ranges::count(present, true));
  const size_t others = present.size() - count;
  if (others == 0) return "";
  if (count <= kMaxValues)
    return values_text(property.name, some_texts(property, present, true, count), 0);
  if (others <= kMaxValues && !property.name.empty())
    return values_text(property.name + " any but", some_texts(property, present, false, others), 0);
  return values_text(property.name, some_texts(property, present, true, kShownValues),
                     count - kShownValues);
}

// Values of a property of one class count once.
double combinations(const std::vector<Property>& properties, const PropertyValues& present) {
  double product = 1;
  for (const PresentValues& one : present)
    if (properties[one.property].classes.size() > 1)
      product *= static_cast<double>(std::ranges::count(one.values, true));
  return product;
}

}  // namespace

std::vector<string> who_texts(const std::vector<Property>& properties,
                              const PropertyValues& present, double count,
                              const std::vector<size_t>& example) {
  std::vector<std::pair<size_t, string>> by_property;
  string one;
  for (size_t i = 0; i < present.size(); i++) {
    const Property& property = properties[present[i].property];
    string text = property_text(property, present[i].values);
    if (!text.empty()) by_property.emplace_back(present[i].property, std::move(text));
    one += (one.empty() ? "" : ", ") +
           values_text(property.name, {property.values[example[i]].text}, 0);
  }
  std::ranges::sort(by_property);
  std::vector<string> texts;
  for (auto& [property, text] : by_property) texts.push_back(std::move(text));
  if (count < combinations(properties, present))
    texts.push_back("not in every combination, for example " + one);
  return texts;
}

}  // namespace bpfwarden::policy
