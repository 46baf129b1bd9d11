// The stream of decisions: reads the kernel's ring buffer and says each record in words.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "bpf-lsm/abi/event.h"
#include "loader/pins.h"
#include "loader/publish.h"

struct ring_buffer;

namespace bpfwarden::loader {

// Gives rules and keys their names, from the images that are still in the kernel. Borrows the pins.
class PolicyNames {
 public:
  explicit PolicyNames(const PinnedMaps& pins) : pins_(pins) {}

  // Null if the generation is no longer there.
  [[nodiscard]] const bw_image* image(uint64_t generation);

 private:
  const PinnedMaps& pins_;
  std::map<uint64_t, std::unique_ptr<bw_image>> images_;
};

// `image` may be null: rules are then numbers.
[[nodiscard]] nlohmann::json event_to_json(const bw_event& event, const bw_image* image);
// One line: what happened, and why.
[[nodiscard]] std::string event_sentence(const bw_event& event, const bw_image* image);
// Several lines: what happened, why, and what to do next.
[[nodiscard]] std::string event_to_text(const bw_event& event, const bw_image* image);

using EventHandler = std::function<void(const bw_event&)>;

// Consumes what is in the ring buffer. There is one stream: an event is read once.
class EventReader {
 public:
  [[nodiscard]] static Result<EventReader> open(const PinnedMaps& pins, EventHandler handler);

  // Handles everything that is there; waits up to timeout_ms for the first (0: not at all).
  [[nodiscard]] Status read(int timeout_ms);

 private:
  struct Free {
    void operator()(ring_buffer* owned) const;
  };
  EventReader() = default;
  std::unique_ptr<EventHandler> handler_;  // its address is known to the ring buffer
  std::unique_ptr<ring_buffer, Free> ring_;
};

}  // namespace bpfwarden::loader
