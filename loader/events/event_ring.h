// Takes events from a ring buffer, one at a time, so that two of them can be read as one stream.
#pragma once

#include "loader/events/ring_view.h"

namespace bpfwarden::loader {

// Is the reader: there is one at a time.
class EventRing {
 public:
  // Errors: errno of mmap(2), or of bpf(2).
  [[nodiscard]] static Result<EventRing> open(int map);

  EventRing(EventRing&& other) noexcept;
  EventRing& operator=(EventRing&&) = delete;
  ~EventRing();

  // The oldest that was not taken; null: there is none, or it is still being written. Good until
  // take().
  [[nodiscard]] const bw_event* peek();
  // Gives back the room of what peek() has shown: whoever ends before has not read it.
  void take();

 private:
  EventRing(RingView view, void* reader) : view_(std::move(view)), reader_(reader) {}
  [[nodiscard]] uint64_t position() const;
  void move_to(uint64_t position);

  RingView view_;
  void* reader_;  // one page with the reader's position
  std::optional<RingView::Record> shown_;
};

}  // namespace bpfwarden::loader
