#include "loader/inventory/inventory_filter.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

namespace bpfwarden::loader {
namespace {

constexpr auto kStandings = std::to_array<std::pair<std::string_view, Standing>>({
    {"admitted", Standing::admitted},
    {"would-deny", Standing::would_deny},
    {"resident", Standing::resident},
    {"own", Standing::own},
    {"unexplained", Standing::unexplained},
});

bool is_at(const std::string& point, std::string_view pattern) {
  if (pattern.ends_with('*')) return point.starts_with(pattern.substr(0, pattern.size() - 1));
  return point == pattern || point.starts_with(std::string(pattern) + "@");
}

bool is_attached(const ListedProgram& program, const std::string& pattern) {
  return is_at(program.attach, pattern) ||
         std::ranges::any_of(program.attachments,
                             [&](const Attachment& one) { return is_at(one.attach, pattern); });
}

}  // namespace

bool is_asked_for(const ListedProgram& program, const InventoryFilter& filter) {
  if (filter.standing && program.standing != *filter.standing) return false;
  if (!filter.key.empty() && filter.key != program.admitted.signer_name) return false;
  if (!filter.attach.empty() && !is_attached(program, filter.attach)) return false;
  return filter.unit.empty() ||
         std::ranges::find(program.holders, filter.unit, &Holder::unit) != program.holders.end();
}

std::optional<Standing> standing_named(const std::string& word) {
  for (const auto& [name, standing] : kStandings)
    if (name == word) return standing;
  return std::nullopt;
}

std::string inventory_summary(const std::vector<ListedProgram>& programs) {
  std::map<Standing, size_t> counts;
  for (const ListedProgram& program : programs) counts[program.standing]++;
  std::string text =
      std::to_string(programs.size()) + (programs.size() == 1 ? " program" : " programs");
  for (bool is_first = true; const auto& [standing, count] : counts) {
    text += is_first ? ": " : ", ";
    text += std::to_string(count) + " " + standing_name(standing);
    is_first = false;
  }
  return text;
}

}  // namespace bpfwarden::loader
