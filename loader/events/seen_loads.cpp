#include "loader/events/seen_loads.h"

#include <algorithm>
#include <cstring>

#include "keyring/x509.h"
#include "loader/text/kernel_text.h"
#include "loader/text/systemd_unit.h"
#include "policy/image/signers.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using policy::Fate;
using policy::SeenLoad;

std::string objection_of(const Event& event, bw_cause cause) {
  if (event.decision != Decision::deny) return {};
  if (cause == BW_CAUSE_DEFAULT) return "the default";
  if (cause == BW_CAUSE_RULE) return "rule '" + event.rule + "'";
  return std::string(policy::cause_text(cause));
}

// A program that came to be has an id in its event, or its digest was known before the verifier.
Fate fate_of(const Event& event, bw_cause cause) {
  if (event.decision == Decision::deny && !policy::is_up_to_policy(cause)) return Fate::barred;
  if (event.refused) return Fate::refused;
  return event.program_id != 0 || !event.digest.empty() ? Fate::ran : Fate::failed;
}

SeenLoad describe(const Event& event, bw_cause cause) {
  SeenLoad seen;
  seen.load.attach = event.attach;
  if (event.signature.known)
    seen.load.signature = static_cast<policy::Signature>(*event.signature.known);
  seen.is_signed =
      seen.load.signature != policy::Signature::unsigned_ || event.hook == BW_HOOK_OBSERVED;
  seen.load.program = event.program;
  seen.load.signer = event.signer;
  seen.load.digest = event.digest;
  if (event.origin == BW_ORIGIN_LOADER) seen.origin = policy::Origin::loader;
  seen.by = event.exe.empty() ? event.comm : event.exe;
  if (const std::string unit = unit_of_cgroup(event.cgroup); unit.ends_with(".service"))
    seen.unit = unit;
  if (event.wall_time && event.time_ns != 0) {
    constexpr int64_t second_ns = 1'000'000'000, minute = 60;
    seen.boots = {(*event.wall_time - static_cast<int64_t>(event.time_ns) / second_ns) / minute};
  }
  seen.objection = objection_of(event, cause);
  seen.fate = fate_of(event, cause);
  seen.count = event.count;
  seen.last = event.wall_time.value_or(0);
  return seen;
}

// Adds up from time to time: a log holds millions of events about few programs.
class LoadCollector {
 public:
  void add(std::optional<SeenLoad> load) {
    if (load) loads_.push_back(std::move(*load));
    if (loads_.size() < 2 * kept_ + 10'000) return;
    loads_ = policy::merge_loads(std::move(loads_));
    kept_ = loads_.size();
  }
  std::vector<SeenLoad> finish() { return policy::merge_loads(std::move(loads_)); }

 private:
  std::vector<SeenLoad> loads_;
  size_t kept_ = 0;
};

// By the key's digest, as the kernel part finds it; else by the name that the policy which admitted
// the program has for its signer. Empty: one that `base` does not know, or revokes.
std::string signer_in(const bw_program& record, const bw_image* base) {
  std::string name = kernel_text(record.signer_name, sizeof(record.signer_name));
  const bool has_key = std::ranges::any_of(record.signer_key, [](uint64_t word) { return word; });
  if (base == nullptr || !has_key) return name;
  const uint32_t slot = bw_signer_by_digest(base, record.signer_key);
  if (slot != BW_SIGNER_UNKNOWN) return base->signers[slot].name;
  return policy::slot_named(*base, name) == BW_SIGNER_UNKNOWN ? name : std::string();
}

SeenLoad load_of(const ListedProgram& program, const bw_image* base) {
  const bw_listed_program& listed = program.listed;
  const bool is_known = (listed.flags & BW_LISTED_ADMITTED) != 0;
  SeenLoad seen;
  seen.runs_now = true;
  seen.load.attach = program.attach;
  seen.load.program = kernel_text(listed.name, sizeof(listed.name));
  if ((listed.flags & BW_LISTED_DIGEST) != 0) seen.load.digest = hex(listed.digest);
  if (!program.holders.empty()) seen.by = program.holders.front().name;
  if (!is_known) {
    seen.is_signed = (listed.flags & BW_LISTED_VERDICT) != 0 && listed.verdict == 1;
    if (seen.is_signed) seen.load.signature = policy::Signature::prog_only;
    return seen;
  }
  const bw_program& record = program.admitted;
  seen.load.signature = static_cast<policy::Signature>(record.facts.signature);
  seen.is_signed = seen.load.signature != policy::Signature::unsigned_;
  if (seen.is_signed) seen.load.signer = signer_in(record, base);
  if (record.facts.origin == BW_ORIGIN_LOADER) seen.origin = policy::Origin::loader;
  const auto cause = static_cast<bw_cause>(record.decision.cause);
  if (record.decision.allow == 0 && !policy::is_up_to_policy(cause)) {
    seen.fate = Fate::barred;
    seen.objection = policy::cause_text(cause);
  }
  return seen;
}

}  // namespace

std::optional<SeenLoad> seen_load_of(const Event& event) {
  if (!event.cause.known || event.hook == BW_HOOK_STAGED || event.hook == BW_HOOK_KEY ||
      event.hook == BW_HOOK_ATTACH)
    return std::nullopt;
  if (event.attach.empty() && event.hook != BW_HOOK_OBSERVED) return std::nullopt;
  return describe(event, *event.cause.known);
}

std::optional<SeenLoad> seen_attachment_of(const Event& event) {
  if (!event.cause.known || event.hook != BW_HOOK_ATTACH || event.attach.empty())
    return std::nullopt;
  return describe(event, *event.cause.known);
}

Result<SeenLoads> read_seen_events(const EventSource& source) {
  LoadCollector loads, attachments;
  uint64_t by_threads = 0;
  auto walk = walk_events(source, [&](const Event& event) {
    loads.add(seen_load_of(event));
    attachments.add(seen_attachment_of(event));
    if (event.cause.known == BW_CAUSE_SHARED_FILES) by_threads += event.count;
  });
  if (!walk) return std::unexpected(std::move(walk).error());
  if (walk->unreadable != 0)
    walk->sources += " (" + std::to_string(walk->unreadable) + " lines of it are none)";
  return SeenLoads{.loads = loads.finish(),
                   .attachments = attachments.finish(),
                   .by_threads = by_threads,
                   .sources = std::move(walk->sources)};
}

std::vector<SeenLoad> seen_loads_of(const std::vector<ListedProgram>& programs,
                                    const bw_image* base) {
  std::vector<SeenLoad> loads;
  for (const ListedProgram& program : programs)
    if (program.standing != Standing::own) loads.push_back(load_of(program, base));
  return policy::merge_loads(std::move(loads));
}

}  // namespace bpfwarden::loader
