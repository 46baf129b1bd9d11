#include "loader/events/denial_summaries.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "loader/policies/publish.h"

namespace bpfwarden::loader {
namespace {

constexpr uint64_t kIdleNanos = 60'000'000'000;

struct Sum {
  bw_summary_key key = {};
  bw_summary value = {};
  uint64_t told = 0;
  bool is_rest = false;   // of the array `summed_rest`: nothing to be freed
  bool is_freed = false;  // no longer in the map: nothing to be noted
};

uint64_t told_of(const PinnedMaps& pins, const bw_summary_key& key) {
  uint64_t told = 0;
  (void)bpf_map_lookup_elem(pins.summaries_told.get(), &key, &told);  // none is 0
  return told;
}

std::vector<bw_summary_key> keys_of(int map) {
  std::vector<bw_summary_key> keys;
  bw_summary_key key = {}, next = {};
  for (bool is_first = true; keys.size() < BW_MAX_SUMMARIES; is_first = false) {
    if (bpf_map_get_next_key(map, is_first ? nullptr : &key, &next) != 0) break;
    keys.push_back(next);
    key = next;
  }
  return keys;
}

// What found no room among them: known by its cause alone.
Sum rest_of(uint32_t slot, uint64_t count) {
  Sum rest = {.is_rest = true};
  rest.key.hook = BW_HOOK_SUM;
  rest.key.cause = static_cast<uint8_t>(slot / 2);
  rest.key.mode = slot % 2;
  rest.value.count = count;
  rest.value.last_ns = boot_time_ns();
  bw_event& event = rest.value.first;
  event.abi = BW_EVENT_ABI;
  event.hook = BW_HOOK_SUM;
  event.cause = rest.key.cause;
  event.rule = BW_NO_RULE;
  event.refused = slot % 2;
  event.error = event.refused != 0 ? EPERM : 0;
  event.mode = event.refused != 0 ? BW_MODE_ENFORCE : BW_MODE_AUDIT;
  return rest;
}

Result<std::vector<Sum>> read_sums(const PinnedMaps& pins) {
  std::vector<Sum> sums;
  for (const bw_summary_key& key : keys_of(pins.summaries.get())) {
    Sum sum = {.key = key};
    if (bpf_map_lookup_elem(pins.summaries.get(), &key, &sum.value) != 0) continue;
    if (sum.value.first.abi == BW_EVENT_ABI) sums.push_back(sum);
  }
  for (uint32_t slot = 0; slot < 2 * BW_CAUSES; slot++) {
    uint64_t count = 0;
    if (bpf_map_lookup_elem(pins.summed_rest.get(), &slot, &count) != 0)
      return fail_errno(errno, "cannot read the sums of denials");
    if (count != 0) sums.push_back(rest_of(slot, count));
  }
  for (Sum& sum : sums) sum.told = told_of(pins, sum.key);
  return sums;
}

bool has_settled(const Sum& sum, uint64_t now) {
  return !sum.is_rest && sum.value.count <= sum.told && sum.value.last_ns + kIdleNanos <= now;
}

std::optional<bw_event> event_of(const Sum& sum, uint64_t told) {
  if (sum.value.count <= told) return std::nullopt;
  bw_event event = sum.value.first;
  event.count = sum.value.count - told;
  event.time_ns = sum.value.last_ns;
  event.sequence = 0;
  return event;
}

// What was added between the look and this is in the value that comes back: it is put there again.
// True: it could not be, since a new sum has its place, and is to be told now.
bool free_idle(const PinnedMaps& pins, Sum& sum) {
  if (bpf_map_lookup_and_delete_elem(pins.summaries.get(), &sum.key, &sum.value) != 0) return false;
  (void)bpf_map_delete_elem(pins.summaries_told.get(), &sum.key);
  if (sum.value.count <= sum.told) return false;
  sum.value.count -= std::exchange(sum.told, 0);
  sum.is_freed = bpf_map_update_elem(pins.summaries.get(), &sum.key, &sum.value, BPF_NOEXIST) != 0;
  return sum.is_freed;
}

void sort_by_time(std::vector<bw_event>& events) {
  std::ranges::stable_sort(events, {}, &bw_event::time_ns);
}

}  // namespace

Result<std::vector<bw_event>> summed_denials(const PinnedMaps& pins, Summed which) {
  const auto sums = read_sums(pins);
  if (!sums) return std::unexpected(sums.error());
  std::vector<bw_event> events;
  for (const Sum& sum : *sums)
    if (const auto event = event_of(sum, which == Summed::all ? 0 : sum.told))
      events.push_back(*event);
  sort_by_time(events);
  return events;
}

Status tell_summed_denials(const PinnedMaps& pins,
                           const std::function<Status(const bw_event&)>& teller) {
  auto sums = read_sums(pins);
  if (!sums) return std::unexpected(std::move(sums).error());
  const uint64_t now = boot_time_ns();
  std::ranges::stable_sort(*sums, {}, [](const Sum& sum) { return sum.value.last_ns; });
  for (Sum& sum : *sums) {
    if (has_settled(sum, now) && !free_idle(pins, sum)) continue;
    const auto event = event_of(sum, sum.told);
    if (!event) continue;
    if (Status taken = teller(*event); !taken) return taken;
    if (sum.is_freed) continue;
    if (bpf_map_update_elem(pins.summaries_told.get(), &sum.key, &sum.value.count, BPF_ANY) != 0)
      return fail_errno(errno, "cannot note which sums of denials are told");
  }
  return {};
}

}  // namespace bpfwarden::loader
