#include "loader/rollout/recorded_loads.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

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

// Those that went through, by kind.
class Kinds {
 public:
  void add(const json& event, const std::optional<policy::SeenLoad>& seen) {
    if (!seen || seen->fate != policy::Fate::ran) return;
    auto [entry, is_new] = kinds_.try_emplace(kind_of(event), RecordedKind{event, *seen});
    if (is_new) return;
    entry->second.event = event;
    entry->second.seen.count += seen->count;
    entry->second.seen.last = std::max(entry->second.seen.last, seen->last);
  }
  std::vector<RecordedKind> take() {
    std::vector<RecordedKind> list;
    for (auto& [kind, recorded] : kinds_) list.push_back(std::move(recorded));
    return list;
  }

 private:
  std::map<std::string, RecordedKind> kinds_;
};

}  // namespace

Result<RecordedKinds> read_recorded_kinds(const EventSource& source) {
  Kinds loads, attachments;
  const auto walk = walk_events(source, [&](const json& event) {
    loads.add(event, seen_load_of(event));
    attachments.add(event, seen_attachment_of(event));
  });
  if (!walk) return std::unexpected(walk.error());
  return RecordedKinds{loads.take(), attachments.take()};
}

}  // namespace bpfwarden::loader
