#include "loader/event_window.h"

#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace bpfwarden::loader {
namespace {

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

Result<EventWindow> EventWindow::open(const PinnedMaps& pins) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(pins.events.get(), &info, &size) != 0)
    return fail_errno(errno, "cannot look at the event stream");
  const size_t data = info.max_entries, view = page_size() + 2 * data;
  // The first page, which this leaves out, is the reader's.
  void* mapped = ::mmap(nullptr, view, PROT_READ, MAP_SHARED, pins.events.get(),
                        static_cast<off_t>(page_size()));
  if (mapped == MAP_FAILED) return fail_errno(errno, "cannot map the event stream");
  return EventWindow(mapped, view, data);
}

EventWindow::EventWindow(void* view, size_t view_size, size_t data_size)
    : view_(view), view_size_(view_size), data_size_(data_size), start_(end()) {}

EventWindow::EventWindow(EventWindow&& other) noexcept
    : view_(std::exchange(other.view_, nullptr)),
      view_size_(other.view_size_),
      data_size_(other.data_size_),
      start_(other.start_) {}

EventWindow::~EventWindow() {
  if (view_ != nullptr) ::munmap(view_, view_size_);
}

uint64_t EventWindow::end() const {
  return std::atomic_ref(*static_cast<uint64_t*>(view_)).load(std::memory_order_acquire);
}

std::vector<EventWindow::Placed> EventWindow::copy_from(uint64_t start) const {
  const auto* data = static_cast<const std::byte*>(view_) + page_size();
  std::vector<Placed> events;
  const uint64_t last = end();
  for (uint64_t at = start; at < last;) {
    const std::byte* record = data + (at & (data_size_ - 1));
    uint32_t header = 0;
    std::memcpy(&header, record, sizeof(header));
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;  // still being written
    const uint64_t length = header & ~BPF_RINGBUF_DISCARD_BIT;
    Placed found = {at, {}};
    if (length == sizeof(bw_event))
      std::memcpy(&found.event, record + BPF_RINGBUF_HDR_SZ, sizeof(bw_event));
    const bool is_event = found.event.abi == BW_EVENT_ABI && header == length;
    if (is_event) events.push_back(found);
    at += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  }
  // What came meanwhile may have been written over what was copied.
  const uint64_t now = end();
  const uint64_t oldest = now > data_size_ ? now - data_size_ : 0;
  std::erase_if(events, [&](const Placed& one) { return one.at < oldest; });
  return events;
}

std::vector<bw_event> EventWindow::since_opened() const {
  std::vector<bw_event> events;
  for (const Placed& one : copy_from(start_)) events.push_back(one.event);
  if (end() - start_ > data_size_) events.clear();
  return events;
}

// The kernel part writes records of one size only, so that each begins at a multiple of it.
std::vector<bw_event> EventWindow::kept() const {
  constexpr uint64_t size = (sizeof(bw_event) + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  const uint64_t last = end();
  const uint64_t oldest = last > data_size_ ? last - data_size_ : 0;
  std::vector<bw_event> events;
  for (const Placed& one : copy_from((oldest + size - 1) / size * size))
    events.push_back(one.event);
  return events;
}

}  // namespace bpfwarden::loader
