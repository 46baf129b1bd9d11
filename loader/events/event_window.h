// What was decided from one moment on, without taking it from the stream: whoever reads `bpfwarden
// events` still gets all of it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/event.h"
#include "loader/events/ring_view.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

// Views of both ring buffers: of what was allowed, and of denials.
class EventWindow {
 public:
  // Opens at the present end of the stream. Errors: errno of mmap(2), or of bpf(2).
  [[nodiscard]] static Result<EventWindow> open(const PinnedMaps& pins);

  // In order. Of a ring buffer of which more has come since than it holds: nothing.
  [[nodiscard]] std::vector<bw_event> since_opened() const;

  // In order: all that the buffers hold, what was read included.
  [[nodiscard]] std::vector<bw_event> kept() const;

 private:
  struct Ring {
    RingView view;
    uint64_t start;
  };
  explicit EventWindow(std::array<Ring, 2> rings) : rings_(std::move(rings)) {}

  std::array<Ring, 2> rings_;
};

}  // namespace bpfwarden::loader
