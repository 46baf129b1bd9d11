#include "loader/status/status.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>

#include "loader/events/denial_summaries.h"
#include "loader/events/event.h"
#include "loader/events/event_window.h"
#include "loader/policies/active_policy.h"
#include "loader/rollout/apply.h"

namespace bpfwarden::loader {
namespace {

Result<bw_counters> sum_counters(int map, uint64_t staged) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return fail_errno(-cpus, "cannot count the CPUs");
  std::vector<bw_counters> each(static_cast<size_t>(cpus));
  const uint32_t key = 0;
  if (bpf_map_lookup_elem(map, &key, each.data()) != 0)
    return fail_errno(errno, "cannot read the counters");
  bw_counters sum = {};
  for (const auto& one : each) {
    sum.decided += one.decided;
    sum.refused += one.refused;
    sum.would_deny += one.would_deny;
    sum.observed += one.observed;
    sum.dropped += one.dropped;
    sum.quiet += one.quiet;
    sum.withheld += one.withheld;
    sum.postponed += one.postponed;
    sum.summed += one.summed;
    if (one.staged != staged) continue;  // of what was staged before
    sum.agreed += one.agreed;
    sum.differed += one.differed;
  }
  return sum;
}

Result<LastHour> sum_minutes(int map) {
  constexpr uint64_t minute_ns = 60'000'000'000;
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return fail_errno(-cpus, "cannot count the CPUs");
  std::vector<bw_minute> each(static_cast<size_t>(cpus));
  LastHour hour;
  const uint64_t now = boot_time_ns() / minute_ns;
  for (uint32_t slot = 0; slot < BW_MINUTES; slot++) {
    if (bpf_map_lookup_elem(map, &slot, each.data()) != 0)
      return fail_errno(errno, "cannot read the counters of the last hour");
    for (const bw_minute& one : each) add_minute(one, now, hour);
  }
  return hour;
}

bool may_be_probe(const bw_event& event, uint64_t from_ns) {
  return event.allow == 0 && event.time_ns >= from_ns && event.signature == BW_SIGNATURE_UNSIGNED &&
         (event.hook == BW_HOOK_PROG_LOAD || event.hook == BW_HOOK_PROG);
}

Result<ProbesOfHour> count_probes(const PinnedMaps& pins) {
  constexpr uint64_t hour_ns = BW_MINUTES * uint64_t{60'000'000'000};
  const uint64_t now = boot_time_ns(), from = now > hour_ns ? now - hour_ns : 0;
  const auto window = EventWindow::open(pins);
  if (!window) return std::unexpected(window.error());
  const auto sums = summed_denials(pins, Summed::all);
  if (!sums) return std::unexpected(sums.error());
  ProbesOfHour probes;
  for (const auto& some : {window->kept(), *sums})
    for (const bw_event& event : some)
      if (may_be_probe(event, from) && is_feature_probe(from_record(event, nullptr)))
        (event.refused != 0 ? probes.refused : probes.would_deny) +=
            std::max<uint64_t>(event.count, 1);
  return probes;
}

}  // namespace

void add_minute(const bw_minute& of, uint64_t now, LastHour& hour) {
  const auto counted = [now](uint64_t word) -> uint64_t {
    const uint64_t minute = word >> 32;
    return minute + BW_MINUTES > now ? static_cast<uint32_t>(word) : 0;
  };
  hour.refused += counted(of.refused);
  hour.would_deny += counted(of.would_deny);
  hour.observed += counted(of.observed);
}

Result<bw_counters> read_counters() {
  const auto active = require_active_policy();
  if (!active) return std::unexpected(active.error());
  return sum_counters(active->pins.counters.get(), active->word.staged);
}

Result<std::optional<KernelStatus>> read_status() {
  auto active = read_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  if (!*active) return std::nullopt;
  const PinnedMaps& pins = (*active)->pins;
  const bw_control& word = (*active)->word;
  auto counters = sum_counters(pins.counters.get(), word.staged);
  if (!counters) return std::unexpected(std::move(counters).error());
  auto hour = sum_minutes(pins.minutes.get());
  if (!hour) return std::unexpected(std::move(hour).error());
  auto probes = count_probes(pins);
  if (!probes) return std::unexpected(std::move(probes).error());
  auto staged = read_generation(pins.generations.get(), word.staged);
  if (!staged) return std::unexpected(std::move(staged).error());
  auto owner = read_generation(pins.generations.get(), word.ring_owner);
  if (!owner) return std::unexpected(std::move(owner).error());
  auto hooks = read_hooks(pins);
  if (!hooks) return std::unexpected(std::move(hooks).error());
  auto tables = read_tables(pins);
  if (!tables) return std::unexpected(std::move(tables).error());
  auto unjudged = read_unjudged(pins);
  if (!unjudged) return std::unexpected(std::move(unjudged).error());
  KernelStatus status = {.part = pins.part,
                         .generation = std::move((*active)->generation),
                         .counters = *counters,
                         .last_hour = *hour,
                         .probes = *probes,
                         .residents = std::nullopt,
                         .word = word,
                         .staged = std::move(*staged),
                         .keyring = std::nullopt,
                         .hooks = std::move(*hooks),
                         .tables = std::move(*tables),
                         .unjudged = std::move(*unjudged),
                         .stale_initramfs = stale_initramfs(read_initramfs_facts()),
                         .closings = {},
                         .kernel = abilities_of_kernel()};
  status.closings = read_closings(*status.generation.image);
  if (*owner && is_published(*(*owner)->image)) status.keyring = (*owner)->image->sealed.ring;
  if (const auto residents = count_residents()) status.residents = *residents;
  return status;
}

}  // namespace bpfwarden::loader
