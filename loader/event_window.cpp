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

std::vector<bw_event> EventWindow::since_opened() const {
  const auto* data = static_cast<const std::byte*>(view_) + page_size();
  std::vector<bw_event> events;
  const uint64_t last = end();
  for (uint64_t at = start_; at < last;) {
    const std::byte* record = data + (at & (data_size_ - 1));
    uint32_t header = 0;
    std::memcpy(&header, record, sizeof(header));
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;  // still being written
    const uint64_t length = header & ~BPF_RINGBUF_DISCARD_BIT;
    bw_event event = {};
    if (length == sizeof(event)) std::memcpy(&event, record + BPF_RINGBUF_HDR_SZ, sizeof(event));
    const bool is_event = event.abi == BW_EVENT_ABI && header == length;
    if (is_event) events.push_back(event);
    at += (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
  }
  if (end() - start_ > data_size_) events.clear();  // overwritten, perhaps while it was copied
  return events;
}

}  // namespace bpfwarden::loader
