#include "loader/metrics/metrics.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <string>

#include "keyring/x509.h"
#include "loader/kernel/version.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

int64_t as_value(uint64_t number) { return static_cast<int64_t>(number); }

Metric gauge(const char* name, const char* help, int64_t value, Labels labels = {}) {
  return {name, MetricType::gauge, help, {{std::move(labels), value}}};
}

Metric counter(const char* name, const char* help, uint64_t value) {
  return {name, MetricType::counter, help, {{{}, as_value(value)}}};
}

// Not kernel_text(): two rules must not become one by what it replaces.
template <size_t size>
std::string name_in(const char (&text)[size]) {
  return {text, ::strnlen(text, size)};
}

void add(std::vector<Metric>& all, std::vector<Metric> more) {
  std::ranges::move(more, std::back_inserter(all));
}

std::vector<Metric> of_policy(const KernelStatus& status) {
  const bw_image& image = *status.generation.image;
  const auto mode = static_cast<bw_mode>(image.mode);
  return {
      gauge("bpfwarden_policy_info", "The active policy.", 1,
            {{"policy", name_in(image.policy_name)},
             {"mode", std::string(policy::mode_name(mode))},
             {"digest", hex(image.policy_digest)}}),
      gauge("bpfwarden_policy_version", "Version of the active policy.",
            as_value(image.policy_version)),
      gauge("bpfwarden_policy_generation", "Generation of the active policy in the kernel.",
            as_value(status.generation.number)),
      gauge("bpfwarden_policy_enforcing", "1 if the active policy enforces, 0 in audit mode.",
            mode == BW_MODE_ENFORCE ? 1 : 0),
      gauge("bpfwarden_policy_active_since_timestamp_seconds",
            "When the active policy was applied, Unix time.", as_value(status.word.active_since)),
  };
}

std::vector<Metric> of_rollout(const KernelStatus& status, uint64_t now_ns) {
  const uint64_t version = status.staged ? status.staged->image->policy_version : 0;
  return {
      gauge("bpfwarden_confirm_remaining_seconds",
            "Until the policy before decides again unless `bpfwarden confirm` comes; 0: nothing "
            "awaits it.",
            as_value(seconds_left(status.word, now_ns))),
      gauge("bpfwarden_policy_returned",
            "1 if nobody confirmed a policy in time and the one before decides again.",
            has_returned(status.word, now_ns) ? 1 : 0),
      gauge("bpfwarden_staged_policy_version", "Version of the staged policy; 0: none is staged.",
            as_value(version)),
      counter("bpfwarden_staged_agreed_total",
              "Decisions of the active policy that the staged one shares, since it was staged.",
              status.counters.agreed),
      counter("bpfwarden_staged_differed_total",
              "Decisions on which the staged policy differs, since it was staged.",
              status.counters.differed),
  };
}

std::vector<Metric> of_counters(const bw_counters& counters) {
  return {
      counter("bpfwarden_decided_total", "Decisions.", counters.decided),
      counter("bpfwarden_refused_total", "Decisions by which the caller got an error.",
              counters.refused),
      counter("bpfwarden_would_deny_total", "Denials that refused nothing.", counters.would_deny),
      counter("bpfwarden_kernel_rejections_total",
              "Signatures that the kernel itself refused, before any policy was asked.",
              counters.observed),
      counter("bpfwarden_events_dropped_total", "Events that found no room in the kernel's buffer.",
              counters.dropped),
      counter("bpfwarden_denials_summed_total",
              "Denials that are told in sums: too many in a second, or no room for their events.",
              counters.summed),
      counter("bpfwarden_events_quiet_total",
              "Decisions by a rule with `log = false`, which leave no event.", counters.quiet),
      counter("bpfwarden_events_withheld_total",
              "Other allowed decisions of which the policy wants no event.", counters.withheld),
  };
}

// What a minute ago was denied may be dropped from the kernel's buffers by now: a gauge.
Metric denials_of_hour(const KernelStatus& status) {
  Metric metric = {"bpfwarden_denials_last_hour",
                   MetricType::gauge,
                   "Denials of the last hour; feature probes of loaders apart, as far as the "
                   "kernel's buffers still have them.",
                   {}};
  const auto add = [&](const char* probe, const char* refused, uint64_t count) {
    metric.samples.push_back({{{"probe", probe}, {"refused", refused}}, as_value(count)});
  };
  const LastHour& hour = status.last_hour;
  const uint64_t refused = std::min(status.probes.refused, hour.refused);
  const uint64_t would_deny = std::min(status.probes.would_deny, hour.would_deny);
  add("false", "false", hour.would_deny - would_deny);
  add("false", "true", hour.refused - refused);
  add("true", "false", would_deny);
  add("true", "true", refused);
  return metric;
}

Sample decisions(const bw_tally& tally, const std::string& cause, uint64_t count) {
  const bw_decision decision = {.allow = tally.allow, .mode = tally.mode};
  const auto signature = static_cast<bw_signature>(tally.signature);
  return {{{"action", tally.allow != 0 ? "allow" : "deny"},
           {"cause", cause},
           {"mode", std::string(policy::mode_name(static_cast<bw_mode>(tally.mode)))},
           {"refused", bw_refused(&decision) != 0 ? "true" : "false"},
           {"rule", name_in(tally.rule)},
           {"signature", std::string(policy::signature_name(signature))}},
          as_value(count)};
}

// The slots of `untallied` in the shape of tallies, without the empty ones.
void add_untallied(const Tallies& tallies, std::vector<Sample>& samples) {
  for (uint32_t slot = 0; slot < BW_UNTALLIED; slot++) {
    bw_tally tally = {};
    tally.allow = slot & 1U;
    tally.mode = (slot >> 1U) & 1U;
    tally.signature = static_cast<uint8_t>(slot >> 2U);
    if (const uint64_t count = tallies.untallied[slot]; count != 0)
      samples.push_back(decisions(tally, "untallied", count));
  }
}

Metric by_rule(const Tallies& tallies) {
  Metric metric = {
      "bpfwarden_decisions_total",
      MetricType::counter,
      "Decisions by rule, cause, mode and signature; together bpfwarden_decided_total.",
      {}};
  for (const auto& [tally, count] : tallies.counts)
    metric.samples.push_back(decisions(
        tally, std::string(policy::cause_name(static_cast<bw_cause>(tally.cause))), count));
  add_untallied(tallies, metric.samples);
  return metric;
}

// A key may have several certificates: the one that ends first counts.
Metric certificates(const bw_image& image, int64_t now) {
  Metric metric = {"bpfwarden_certificate_remaining_seconds",
                   MetricType::gauge,
                   "Until the first certificate of this key ends; negative once it has.",
                   {}};
  std::map<std::string, int64_t> ends;
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    if (signer.kind == BW_SIGNER_REVOKED || signer.not_after == 0) continue;
    const auto [known, is_new] = ends.emplace(name_in(signer.name), signer.not_after);
    if (!is_new) known->second = std::min<int64_t>(known->second, signer.not_after);
  }
  for (const auto& [key, end] : ends) metric.samples.push_back({{{"key", key}}, end - now});
  return metric;
}

Metric standings(const std::map<Standing, uint64_t>& programs) {
  Metric metric = {"bpfwarden_programs",
                   MetricType::gauge,
                   "BPF programs in the kernel, by standing, as `bpfwarden inventory` has it.",
                   {}};
  for (const Standing standing : {Standing::admitted, Standing::would_deny, Standing::resident,
                                  Standing::own, Standing::unexplained}) {
    const auto found = programs.find(standing);
    metric.samples.push_back({{{"standing", standing_name(standing)}},
                              found == programs.end() ? 0 : as_value(found->second)});
  }
  return metric;
}

std::vector<Metric> of_tables(const std::vector<Table>& tables) {
  Metric entries = {"bpfwarden_table_entries",
                    MetricType::gauge,
                    "Entries in a table of the kernel part; a full one denies.",
                    {}};
  Metric room = {"bpfwarden_table_room", MetricType::gauge, "How many there can be.", {}};
  for (const Table& table : tables) {
    entries.samples.push_back({{{"table", table.name}}, as_value(table.entries)});
    room.samples.push_back({{{"table", table.name}}, as_value(table.room)});
  }
  return {entries, room};
}

Result<std::optional<Measured>> measure() {
  auto status = read_status();
  if (!status) return std::unexpected(std::move(status).error());
  auto pins = open_pins();
  if (!pins) return std::unexpected(std::move(pins).error());
  if (!*status || !*pins) return std::nullopt;
  auto tallies = read_tallies(**pins);
  if (!tallies) return std::unexpected(std::move(tallies).error());
  auto programs = count_standings();
  const bool is_broken = !(*status)->hooks.missing.empty();
  if (!programs && !is_broken) return std::unexpected(std::move(programs).error());
  Measured measured = {std::move(**status), std::move(*tallies), std::nullopt};
  if (programs) measured.programs = std::move(*programs);
  return measured;
}

}  // namespace

std::vector<Metric> to_metrics(const std::optional<Measured>& measured, const MeasuredAt& now) {
  std::vector<Metric> all = {
      gauge("bpfwarden_build_info", "The bpfwarden that tells this.", 1, {{"version", kVersion}}),
      gauge("bpfwarden_collected_timestamp_seconds", "When this was read, Unix time.",
            now.unix_seconds),
      gauge("bpfwarden_active", "1 if a policy is active.", measured ? 1 : 0),
  };
  if (!measured) return all;
  const KernelStatus& status = measured->status;
  add(all, of_policy(status));
  add(all, of_rollout(status, now.boot_ns));
  add(all, of_counters(status.counters));
  all.push_back(denials_of_hour(status));
  all.push_back(by_rule(measured->tallies));
  all.push_back(certificates(*status.generation.image, now.unix_seconds));
  all.push_back(gauge("bpfwarden_keyring_present",
                      "1 if the keyring of the policy is there; without it signed loads fail.",
                      status.keyring ? 1 : 0));
  all.push_back(gauge("bpfwarden_hooks", "Hooks of the kernel part that are attached.",
                      static_cast<int64_t>(status.hooks.attached.size())));
  all.push_back(gauge("bpfwarden_hooks_missing",
                      "Hooks that `apply` attached and that are there no more.",
                      static_cast<int64_t>(status.hooks.missing.size())));
  all.push_back(counter("bpfwarden_evidence_skipped_total",
                        "Runs of tracing programs that the kernel left out: evidence that denies "
                        "by being absent.",
                        status.hooks.skipped));
  all.push_back(gauge("bpfwarden_unjudged_programs",
                      "Programs that became active by a way that no hook judged.",
                      static_cast<int64_t>(status.unjudged.size())));
  if (status.residents)
    all.push_back(gauge("bpfwarden_residents_denied",
                        "Programs from before the first policy that the active one would refuse.",
                        as_value(status.residents->would_deny)));
  add(all, of_tables(status.tables));
  if (measured->programs) all.push_back(standings(*measured->programs));
  return all;
}

Result<std::vector<Metric>> read_metrics() {
  auto measured = measure();
  if (!measured) return std::unexpected(std::move(measured).error());
  return to_metrics(*measured, {std::time(nullptr), boot_time_ns()});
}

}  // namespace bpfwarden::loader
