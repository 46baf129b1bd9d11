#include "loader/events/event_ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace bpfwarden::loader {
namespace {

size_t bytes_of_page() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

Result<EventRing> EventRing::open(int map) {
  auto view = RingView::open(map);
  if (!view) return std::unexpected(std::move(view).error());
  void* reader = ::mmap(nullptr, bytes_of_page(), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (reader == MAP_FAILED) return fail_errno(errno, "cannot read the event stream");
  return EventRing(std::move(*view), reader);
}

EventRing::EventRing(EventRing&& other) noexcept
    : view_(std::move(other.view_)),
      reader_(std::exchange(other.reader_, nullptr)),
      shown_(other.shown_) {}

EventRing::~EventRing() {
  if (reader_ != nullptr) ::munmap(reader_, bytes_of_page());
}

uint64_t EventRing::position() const {
  return std::atomic_ref(*static_cast<uint64_t*>(reader_)).load(std::memory_order_acquire);
}

void EventRing::move_to(uint64_t position) {
  std::atomic_ref(*static_cast<uint64_t*>(reader_)).store(position, std::memory_order_release);
}

const bw_event* EventRing::peek() {
  if (shown_) return &*shown_->event;
  for (uint64_t at = position(); at < view_.end(); at = shown_->next, move_to(at)) {
    shown_ = view_.at(at);
    if (!shown_) return nullptr;
    if (shown_->event) return &*shown_->event;
  }
  shown_.reset();
  return nullptr;
}

void EventRing::take() {
  if (shown_) move_to(shown_->next);
  shown_.reset();
}

}  // namespace bpfwarden::loader
