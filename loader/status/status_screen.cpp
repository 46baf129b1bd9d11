#include "loader/status/status_screen.h"

#include <algorithm>

#include "base/joined.h"
#include "loader/kernel/seal.h"
#include "loader/rollout/applied_output.h"
#include "loader/text/kernel_text.h"
#include "loader/text/time_text.h"
#include "policy/text/date.h"
#include "policy/text/escaped.h"

namespace bpfwarden::loader {
namespace {

using std::string;
using Lines = std::vector<ScreenLine>;

constexpr size_t kLabelColumns = 13;
constexpr size_t kShownKeys = 5;

// The version first: a long name is cut at its end.
string policy_text(const bw_image& image) {
  return "version " + std::to_string(image.policy_version) + " of " +
         kernel_text(image.policy_name, sizeof(image.policy_name));
}

string since_text(uint64_t since, ScreenTime now) {
  const auto then = static_cast<int64_t>(since);
  return local_time(then) + " (" + ago_text(now.unix_seconds - then) + ")";
}

void add_policy(const KernelStatus& status, ScreenTime now, Lines& lines) {
  const bw_image& image = *status.generation.image;
  const bool enforces = image.mode == BW_MODE_ENFORCE;
  lines.push_back({"mode", enforces ? "enforce" : "audit: nothing is refused",
                   enforces ? Tone::good : Tone::attention});
  lines.push_back({"policy", policy_text(image)});
  lines.push_back({"since", since_text(status.word.active_since, now)});
}

// By whom the next policy has to be signed: "2 of release, security".
string successor_text(const bw_image& image) {
  const std::vector<string> names = policy_signer_names(image);
  if (names.empty()) return "no next one";
  const string needed =
      image.policy_signatures > 1 ? std::to_string(image.policy_signatures) + " of " : "";
  return "next by " + needed + joined(names, ", ");
}

// What the kernel cannot keep by itself is in docs/threat-model.md.
void add_seal(const KernelStatus& status, ScreenTime now, Lines& lines) {
  if (!is_sealed(status.word)) return;
  const bw_image& image = *status.generation.image;
  const int64_t since = sealed_since(status.word, now.boot_ns, now.unix_seconds);
  const auto open = open_ways(image, status.closings, status.hooks.missing, now.unix_seconds);
  lines.push_back({"sealed",
                   "since " + local_time(since) + "; open: " + joined(open, ", ") + "; " +
                       successor_text(image),
                   Tone::good});
}

// What somebody has to do, or may have missed.
void add_rollout(const KernelStatus& status, ScreenTime now, Lines& lines) {
  const bw_control& word = status.word;
  if (has_returned(word, now.boot_ns)) {
    lines.push_back({"returned",
                     "nobody confirmed generation " + std::to_string(word.generation) + " in time;",
                     Tone::alarm});
    lines.push_back({"", "the policy from before decides again", Tone::alarm});
  }
  if (const uint64_t left = seconds_left(word, now.boot_ns); left != 0) {
    lines.push_back({"unconfirmed",
                     "`bpfwarden confirm` within " + duration_text(left) + " keeps it;",
                     Tone::alarm});
    lines.push_back({"", "without, generation " + std::to_string(word.fallback) + " decides again",
                     Tone::alarm});
  }
  if (!status.staged) return;
  lines.push_back({"staged", policy_text(*status.staged->image)});
  lines.push_back({"", "since " + since_text(word.staged_since, now)});
  lines.push_back({"",
                   "agrees " + std::to_string(status.counters.agreed) + " times, differs " +
                       std::to_string(status.counters.differed),
                   status.counters.differed != 0 ? Tone::attention : Tone::plain});
}

void add_last_hour(const LastHour& hour, const ProbesOfHour& probes, Lines& lines) {
  const bool is_quiet = hour.would_deny + hour.refused + hour.observed == 0;
  lines.push_back({"last hour",
                   std::to_string(hour.would_deny) + " would be denied, " +
                       std::to_string(hour.refused) + " refused",
                   is_quiet ? Tone::good : Tone::attention});
  if (hour.observed != 0)
    lines.push_back({"",
                     std::to_string(hour.observed) + " signatures rejected by the kernel itself",
                     Tone::attention});
  const bool has_probes = probes.would_deny + probes.refused != 0;
  if (has_probes)
    lines.push_back({"",
                     "of these feature probes: " + std::to_string(probes.would_deny) + " and " +
                         std::to_string(probes.refused) + "; see `bpfwarden why`",
                     Tone::attention});
  else if (!is_quiet)
    lines.push_back({"", "`bpfwarden why` says who, by which rule, and what to do"});
}

void add_totals(const bw_counters& counters, Lines& lines) {
  const auto number = [](uint64_t value) { return std::to_string(value); };
  lines.push_back({"events",
                   number(counters.dropped) + " dropped, " + number(counters.withheld) +
                       " withheld, " + number(counters.quiet) + " quiet" +
                       (counters.summed != 0 ? ", " + number(counters.summed) + " summed" : ""),
                   counters.dropped != 0 ? Tone::alarm : Tone::plain});
  lines.push_back({"in all", number(counters.decided) + " decisions, " + number(counters.refused) +
                                 " refused"});
  lines.push_back({"", number(counters.would_deny) + " would be denied, " +
                           number(counters.observed) + " rejected by the kernel"});
}

size_t add_residents(const std::optional<Residents>& residents, Lines& lines) {
  if (!residents || residents->count == 0) return 0;
  lines.push_back({"residents",
                   std::to_string(residents->count) + " from before the first policy, " +
                       std::to_string(residents->would_deny) + " of which it would refuse",
                   residents->would_deny != 0 ? Tone::attention : Tone::plain});
  return 1;
}

size_t add_initramfs(const std::optional<StaleInitramfs>& stale, Lines& lines) {
  if (!stale) return 0;
  lines.push_back({"initramfs", stale_initramfs_text(*stale), Tone::attention});
  lines.push_back({"", "`" + stale->command + "` makes it anew", Tone::attention});
  return 2;
}

// Above all else: what follows is true of the policy, and no longer of what is decided.
void add_missing_hooks(const Hooks& hooks, Lines& lines) {
  if (hooks.missing.empty()) return;
  lines.push_back({"hooks", missing_hooks_text(hooks), Tone::alarm});
  lines.push_back({"", "`bpfwarden doctor` says how they come back", Tone::alarm});
}

// Likewise. There may be many.
void add_unjudged(const std::vector<bw_unjudged>& programs, Lines& lines) {
  if (programs.empty()) return;
  const std::string others =
      programs.size() == 1 ? "" : "; and " + std::to_string(programs.size() - 1) + " others";
  lines.push_back({"unjudged", unjudged_text(programs.front()) + others, Tone::alarm});
  lines.push_back({"", "`bpfwarden inventory` shows where; take it away there", Tone::alarm});
}

size_t add_full_tables(const std::vector<Table>& tables, Lines& lines) {
  const size_t before = lines.size();
  for (const Table& table : tables)
    if (table.is_nearly_full()) lines.push_back({"table", table_text(table), Tone::alarm});
  return lines.size() - before;
}

struct KeyEnd {
  string name;
  int64_t ends;
};

// The soonest first. The kernel itself verifies with expired ones.
std::vector<KeyEnd> key_ends(const bw_image& image) {
  std::vector<KeyEnd> ends;
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    if (signer.kind == BW_SIGNER_REVOKED || signer.not_after == 0) continue;
    ends.push_back({kernel_text(signer.name, sizeof(signer.name)), signer.not_after});
  }
  std::ranges::stable_sort(ends, {}, &KeyEnd::ends);
  return ends;
}

// The date first: a long name is cut at its end.
void add_keys(const bw_image& image, int64_t now, size_t most, Lines& lines) {
  const std::vector<KeyEnd> ends = key_ends(image);
  for (size_t i = 0; i < std::min(ends.size(), most); i++) {
    const bool expired = ends[i].ends < now;
    lines.push_back(
        {i == 0 ? "keys" : "",
         (expired ? "EXPIRED " : "until ") + policy::date_text(ends[i].ends) + ": " + ends[i].name,
         expired ? Tone::alarm : Tone::plain});
  }
  if (ends.size() > most)
    lines.push_back({"", "and " + std::to_string(ends.size() - most) +
                             " that last longer: `bpfwarden status --json`"});
  if (!ends.empty() && ends.front().ends < now)
    lines.push_back({"", "the kernel goes on verifying with it; renew it and apply", Tone::alarm});
}

// An upgrade leaves the kernel part as it is, until a boot.
string made_by_text(const Part& part) {
  return part.version.empty() || part == part_of_this_binary() ? ""
                                                               : " of bpfwarden " + part.version;
}

string cut(string text, size_t columns) {
  if (columns == 0 || policy::width_of(text) <= columns) return text;
  while (policy::width_of(text) > columns - 1) text.pop_back();
  return text + "…";
}

std::string_view colour_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "\033[32m";
    case Tone::attention:
      return "\033[33m";
    case Tone::alarm:
      return "\033[1;31m";
    case Tone::plain:
      break;
  }
  return "";
}

}  // namespace

std::vector<ScreenLine> status_screen(const KernelStatus& status, ScreenTime now) {
  Lines lines;
  const bw_image& image = *status.generation.image;
  add_missing_hooks(status.hooks, lines);
  add_unjudged(status.unjudged, lines);
  size_t alarms = lines.size();  // which take the place of keys
  add_policy(status, now, lines);
  add_rollout(status, now, lines);
  add_seal(status, now, lines);
  add_last_hour(status.last_hour, status.probes, lines);
  add_totals(status.counters, lines);
  alarms += add_full_tables(status.tables, lines);
  if (alarms + 1 < kShownKeys) alarms += add_initramfs(status.stale_initramfs, lines);
  if (alarms < kShownKeys) alarms += add_residents(status.residents, lines);
  if (status.keyring)
    lines.push_back({"keyring", std::to_string(*status.keyring) + ", verified " +
                                    verification_text(status.kernel)});
  else
    lines.push_back({"keyring", "gone: signed loads fail; apply the policy again", Tone::alarm});
  add_keys(image, now.unix_seconds, kShownKeys - std::min(alarms, kShownKeys), lines);
  lines.push_back({"in force", "generation " + std::to_string(status.generation.number) + ", " +
                                   std::to_string(image.rule_count) + " rules, " +
                                   std::to_string(status.hooks.attached.size()) + " hooks" +
                                   made_by_text(status.part)});
  return lines;
}

string line_text(const ScreenLine& line, size_t columns, bool with_colour) {
  string label = line.label;
  label.resize(kLabelColumns, ' ');
  string text = cut(policy::escaped(line.text), columns == 0              ? 0
                                                : columns > kLabelColumns ? columns - kLabelColumns
                                                                          : 1);
  if (with_colour && line.tone != Tone::plain) {
    text.insert(0, colour_of(line.tone));
    text += "\033[0m";
  }
  return label + text;
}

}  // namespace bpfwarden::loader
