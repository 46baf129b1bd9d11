#include <algorithm>
#include <tuple>

#include "policy/lint/lint.h"
#include "policy/lint/lint_parts.h"

namespace bpfwarden::policy {
namespace {

// From the beginning of a table to where the next one of its file begins.
class Tables {
 public:
  explicit Tables(const Policy& policy) {
    for (const Key& key : policy.keys) begins_.push_back(key.position);
    for (const Rule& rule : policy.rules) begins_.push_back(rule.position);
  }

  [[nodiscard]] bool holds(SourceRange table, SourceRange place) const {
    if (place.file != table.file || order(place) < order(table)) return false;
    return std::ranges::none_of(begins_, [&](SourceRange other) {
      return other.file == table.file && order(other) > order(table) &&
             order(other) <= order(place);
    });
  }

 private:
  static std::tuple<uint32_t, uint32_t> order(SourceRange place) {
    return {place.line, place.column};
  }

  std::vector<SourceRange> begins_;
};

bool is_of_host(std::string_view code) {
  return std::ranges::any_of(lint_codes(),
                             [&](const LintCode& one) { return one.code == code && one.of_host; });
}

// `unused` gets those acceptances that accept nothing.
size_t take_all(std::vector<Diagnostic>& found, const Policy& policy, DiagnosticList& unused) {
  const Tables tables(policy);
  const size_t before = found.size();
  const auto take = [&](const AcceptedWarning& accepted, const auto& is_meant) {
    const size_t taken = std::erase_if(found, [&](const Diagnostic& one) {
      return one.severity == Severity::warning && one.code == accepted.code && is_meant(one);
    });
    if (taken == 0 && !is_of_host(accepted.code))
      unused.warning("accepts-nothing", accepted.position,
                     "there is no warning `" + accepted.code + "` here to accept",
                     "take it out of `accept`");
  };
  for (const Rule& rule : policy.rules)
    for (const AcceptedWarning& accepted : rule.accept)
      take(accepted, [&](const Diagnostic& one) {
        return tables.holds(rule.position, place_of(one, policy));
      });
  for (const AcceptedWarning& accepted : policy.accept)
    take(accepted, [](const Diagnostic&) { return true; });
  return before - found.size();
}

}  // namespace

size_t drop_accepted(std::vector<Diagnostic>& found, const Policy& policy) {
  DiagnosticList nobody_asks(policy.files);
  return take_all(found, policy, nobody_asks);
}

size_t take_accepted(std::vector<Diagnostic>& found, const Policy& policy) {
  DiagnosticList nothing(policy.files);
  const size_t taken = take_all(found, policy, nothing);
  for (Diagnostic& one : nothing.take()) found.push_back(std::move(one));
  sort_by_place(found, policy);
  return taken;
}

}  // namespace bpfwarden::policy
