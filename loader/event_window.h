// What was decided from one moment on, without taking it from the stream: whoever reads `bpfwarden
// events` still gets all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/event.h"
#include "loader/pins.h"

namespace bpfwarden::loader {

// Owns a read-only view of the ring buffer (BPF_MAP_TYPE_RINGBUF, kernel/bpf/ringbuf.c), which
// keeps records that were read until newer ones take their place.
class EventWindow {
 public:
  // Opens at the present end of the stream. Errors: errno of mmap(2), or of bpf(2).
  [[nodiscard]] static Result<EventWindow> open(const PinnedMaps& pins);

  EventWindow(EventWindow&& other) noexcept;
  EventWindow& operator=(EventWindow&&) = delete;
  ~EventWindow();

  // In order. Empty where more than the buffer holds has come since.
  [[nodiscard]] std::vector<bw_event> since_opened() const;

  // In order: all that the buffer holds, what was read included.
  [[nodiscard]] std::vector<bw_event> kept() const;

 private:
  EventWindow(void* view, size_t view_size, size_t data_size);
  [[nodiscard]] uint64_t end() const;
  struct Placed {
    uint64_t at;
    bw_event event;
  };
  [[nodiscard]] std::vector<Placed> copy_from(uint64_t start) const;

  void* view_;  // one page with the producer's position, then the data, twice
  size_t view_size_;
  size_t data_size_;  // a power of two
  uint64_t start_;
};

}  // namespace bpfwarden::loader
