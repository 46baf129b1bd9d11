#include "loader/events/event_window.h"

#include <linux/bpf.h>

#include <algorithm>
#include <utility>

namespace bpfwarden::loader {
namespace {

struct Placed {
  uint64_t at;
  bw_event event;
};

void copy_from(const RingView& view, uint64_t start, std::vector<bw_event>& to) {
  std::vector<Placed> events;
  for (uint64_t at = start, last = view.end(); at < last;) {
    const auto record = view.at(at);
    if (!record) break;
    if (record->event) events.push_back({at, *record->event});
    at = record->next;
  }
  // What came meanwhile may have been written over what was copied.
  const uint64_t now = view.end();
  const uint64_t oldest = now > view.size() ? now - view.size() : 0;
  for (const Placed& one : events)
    if (one.at >= oldest) to.push_back(one.event);
}

void sort_by_number(std::vector<bw_event>& events) {
  std::ranges::stable_sort(events, {}, &bw_event::sequence);
}

}  // namespace

Result<EventWindow> EventWindow::open(const PinnedMaps& pins) {
  auto events = RingView::open(pins.events.get()), denials = RingView::open(pins.denials.get());
  if (!events) return std::unexpected(std::move(events).error());
  if (!denials) return std::unexpected(std::move(denials).error());
  const uint64_t end = events->end(), end_of_denials = denials->end();
  return EventWindow({Ring{std::move(*events), end}, Ring{std::move(*denials), end_of_denials}});
}

std::vector<bw_event> EventWindow::since_opened() const {
  std::vector<bw_event> events;
  for (const Ring& ring : rings_)
    if (ring.view.end() - ring.start <= ring.view.size()) copy_from(ring.view, ring.start, events);
  sort_by_number(events);
  return events;
}

// The kernel part writes records of one size only, so that each begins at a multiple of it.
std::vector<bw_event> EventWindow::kept() const {
  constexpr uint64_t size = (sizeof(bw_event) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  std::vector<bw_event> events;
  for (const Ring& ring : rings_) {
    const uint64_t last = ring.view.end();
    const uint64_t oldest = last > ring.view.size() ? last - ring.view.size() : 0;
    copy_from(ring.view, (oldest + size - 1) / size * size, events);
  }
  sort_by_number(events);
  return events;
}

}  // namespace bpfwarden::loader
