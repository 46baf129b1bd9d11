#include "loader/events/ring_view.h"

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

Result<RingView> RingView::open(int map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map, &info, &size) != 0)
    return fail_errno(errno, "cannot look at the event stream");
  const size_t data = info.max_entries, view = page_size() + 2 * data;
  // The first page, which this leaves out, is the reader's.
  void* mapped = ::mmap(nullptr, view, PROT_READ, MAP_SHARED, map, static_cast<off_t>(page_size()));
  if (mapped == MAP_FAILED) return fail_errno(errno, "cannot map the event stream");
  return RingView(mapped, view, data);
}

RingView::RingView(RingView&& other) noexcept
    : view_(std::exchange(other.view_, nullptr)),
      view_size_(other.view_size_),
      data_size_(other.data_size_) {}

RingView::~RingView() {
  if (view_ != nullptr) ::munmap(view_, view_size_);
}

uint64_t RingView::end() const {
  return std::atomic_ref(*static_cast<uint64_t*>(view_)).load(std::memory_order_acquire);
}

std::optional<RingView::Record> RingView::at(uint64_t position) const {
  const auto* data = static_cast<const std::byte*>(view_) + page_size();
  const std::byte* record = data + (position & (data_size_ - 1));
  uint32_t header = 0;
  std::memcpy(&header, record, sizeof(header));
  if ((header & BPF_RINGBUF_BUSY_BIT) != 0) return std::nullopt;
  std::atomic_thread_fence(std::memory_order_acquire);
  const uint64_t length = header & ~BPF_RINGBUF_DISCARD_BIT;
  Record found = {.event = std::nullopt,
                  .next = position + (length + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8};
  if (header != sizeof(bw_event)) return found;
  bw_event& event = found.event.emplace();
  std::memcpy(&event, record + BPF_RINGBUF_HDR_SZ, sizeof(bw_event));
  if (event.abi != BW_EVENT_ABI) found.event.reset();
  return found;
}

}  // namespace bpfwarden::loader
