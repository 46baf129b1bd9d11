#include "loader/recorded_loads.h"

#include <map>

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

// What rules can ask for, and the program's name for people.
constexpr const char* kFacts[] = {"attach",  "signature", "signer",    "digest",
                                  "origin",  "uid",       "exe",       "cgroup",
                                  "program", "sleepable", "delegated", "gpl_compatible"};

std::string kind_of(const json& event) {
  json facts = json::array();
  for (const char* fact : kFacts) {
    const auto found = event.find(fact);
    facts.push_back(found == event.end() ? json() : *found);
  }
  return facts.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

Result<std::vector<RecordedKind>> read_recorded_loads(const EventSource& source) {
  std::map<std::string, RecordedKind> kinds;
  const auto walk = walk_events(source, [&](const json& event) {
    auto seen = seen_load_of(event);
    if (!seen || seen->fate != policy::Fate::ran) return;
    auto [entry, is_new] = kinds.try_emplace(kind_of(event), RecordedKind{event, *seen});
    if (is_new) return;
    entry->second.event = event;
    entry->second.seen.count++;
    entry->second.seen.last = std::max(entry->second.seen.last, seen->last);
  });
  if (!walk) return std::unexpected(walk.error());
  std::vector<RecordedKind> list;
  for (auto& [kind, recorded] : kinds) list.push_back(std::move(recorded));
  return list;
}

}  // namespace bpfwarden::loader
