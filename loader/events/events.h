// The stream of decisions: reads the kernel's ring buffers, and gives each record its names.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "base/result.h"
#include "loader/events/event.h"
#include "loader/events/event_ring.h"
#include "loader/kernel/pins.h"
#include "loader/policies/publish.h"

namespace bpfwarden::loader {

// Gives rules and keys their names, from the images that are still in the kernel. Borrows the pins.
class PolicyNames {
 public:
  explicit PolicyNames(const PinnedMaps& pins) : pins_(&pins) {}

  // Null if the generation is no longer there.
  [[nodiscard]] const bw_image* image(uint64_t generation);

 private:
  const PinnedMaps* pins_;
  std::map<uint64_t, std::unique_ptr<bw_image>> images_;
};

// Consumes what is in the ring buffers: of what was allowed, and of denials. Both are one stream,
// by their numbers; sums of denials follow. An event is read once.
class EventReader {
 public:
  // Borrows the pins.
  [[nodiscard]] static Result<EventReader> open(const PinnedMaps& pins, EventHandler handler);

  // Handles everything that is there; waits up to timeout_ms for the first (0: not at all).
  [[nodiscard]] Status read(int timeout_ms);

 private:
  EventReader(const PinnedMaps& pins, EventHandler handler, EventRing events, EventRing denials)
      : pins_(&pins),
        names_(pins),
        handler_(std::move(handler)),
        events_(std::move(events)),
        denials_(std::move(denials)) {}
  [[nodiscard]] Status wait(int timeout_ms) const;
  void handle(const bw_event& record) {
    handler_(from_record(record, names_.image(record.generation)));
  }

  const PinnedMaps* pins_;
  PolicyNames names_;
  EventHandler handler_;
  EventRing events_, denials_;
};

}  // namespace bpfwarden::loader
