#include "loader/rollout/recorded_loads.h"

#include <algorithm>
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace bpfwarden::loader {
namespace {

// What rules can ask for, and the program's name for people.
struct Facts {
  std::string attach, signature, signer, digest, origin;
  std::optional<uint32_t> uid;
  std::string exe, cgroup, program;
  bool sleepable, delegated, gpl_compatible;

  auto operator<=>(const Facts&) const = default;
};

Facts facts_of(const Event& event) {
  return {.attach = event.attach,
          .signature = event.signature.text,
          .signer = event.signer,
          .digest = event.digest,
          .origin = event.origin.text,
          .uid = event.uid,
          .exe = event.exe,
          .cgroup = event.cgroup,
          .program = event.program,
          .sleepable = event.sleepable,
          .delegated = event.delegated,
          .gpl_compatible = event.gpl_compatible};
}

// Those that went through, by kind.
class Kinds {
 public:
  void add(const Event& event, const std::optional<policy::SeenLoad>& seen) {
    if (!seen || seen->fate != policy::Fate::ran) return;
    auto [entry, is_new] = kinds_.try_emplace(facts_of(event), RecordedKind{event, *seen});
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
  std::map<Facts, RecordedKind> kinds_;
};

}  // namespace

Result<RecordedKinds> read_recorded_kinds(const EventSource& source) {
  Kinds loads, attachments;
  auto walk = walk_events(source, [&](const Event& event) {
    loads.add(event, seen_load_of(event));
    attachments.add(event, seen_attachment_of(event));
  });
  if (!walk) return std::unexpected(std::move(walk).error());
  return RecordedKinds{loads.take(), attachments.take(), std::move(*walk)};
}

}  // namespace bpfwarden::loader
