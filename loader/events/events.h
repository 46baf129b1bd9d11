// The stream of decisions: reads the kernel's ring buffers, and gives each record its names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/result.h"
#include "loader/events/event.h"
#include "loader/events/event_ring.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/reader_lock.h"
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

// Takes an event, or says why it could not: then the event has not been read.
using EventTaker = std::function<Status(const Event&)>;

// Consumes what is in the ring buffers: of what was allowed, and of denials. Both are one stream,
// by their numbers; sums of denials follow. An event is read once it has been taken.
class EventReader {
 public:
  // Borrows the pins, which are those that the lock is of.
  [[nodiscard]] static Result<EventReader> open(ReaderLock lock, const PinnedMaps& pins,
                                                EventTaker taker);

  // Hands on everything that is there; waits up to timeout_ms for the first (0: not at all).
  // Errors: of the taker, which is given the same event again by the next call; errno of bpf(2).
  [[nodiscard]] Status read(int timeout_ms);

  // False: after `off`, nothing more will come.
  [[nodiscard]] bool is_current() const { return lock_.is_current(); }

 private:
  EventReader(ReaderLock lock, const PinnedMaps& pins, EventTaker taker, EventRing events,
              EventRing denials)
      : lock_(std::move(lock)),
        pins_(&pins),
        names_(pins),
        taker_(std::move(taker)),
        events_(std::move(events)),
        denials_(std::move(denials)) {}
  [[nodiscard]] Status wait(int timeout_ms) const;
  [[nodiscard]] Status hand_on(const bw_event& record) {
    return taker_(from_record(record, names_.image(record.generation)));
  }

  ReaderLock lock_;
  const PinnedMaps* pins_;
  PolicyNames names_;
  EventTaker taker_;
  EventRing events_, denials_;
};

}  // namespace bpfwarden::loader
