#include "loader/events/events.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "loader/events/denial_summaries.h"

namespace bpfwarden::loader {

const bw_image* PolicyNames::image(uint64_t generation) {
  const auto known = images_.find(generation);
  if (known != images_.end()) return known->second.get();
  auto found = read_generation(pins_->generations.get(), generation);
  auto& slot = images_[generation];
  if (found && *found) slot = std::move((*found)->image);
  return slot.get();
}

Result<EventReader> EventReader::open(ReaderLock lock, const PinnedMaps& pins, EventTaker taker) {
  auto events = EventRing::open(pins.events.get()), denials = EventRing::open(pins.denials.get());
  if (!events) return std::unexpected(std::move(events).error());
  if (!denials) return std::unexpected(std::move(denials).error());
  return EventReader(std::move(lock), pins, std::move(taker), std::move(*events),
                     std::move(*denials));
}

Status EventReader::wait(int timeout_ms) const {
  std::array<pollfd, 2> rings = {{{.fd = pins_->events.get(), .events = POLLIN, .revents = 0},
                                  {.fd = pins_->denials.get(), .events = POLLIN, .revents = 0}}};
  if (::poll(rings.data(), rings.size(), timeout_ms) < 0 && errno != EINTR)
    return fail_errno(errno, "cannot read the event stream");
  return {};
}

Status EventReader::read(int timeout_ms) {
  if (timeout_ms != 0)
    if (Status waited = wait(timeout_ms); !waited) return waited;
  for (;;) {
    const bw_event *event = events_.peek(), *denial = denials_.peek();
    if (event == nullptr && denial == nullptr) break;
    const bool is_denial =
        event == nullptr || (denial != nullptr && denial->sequence < event->sequence);
    if (Status taken = hand_on(is_denial ? *denial : *event); !taken) return taken;
    (is_denial ? denials_ : events_).take();
  }
  return tell_summed_denials(*pins_, [this](const bw_event& sum) { return hand_on(sum); });
}

}  // namespace bpfwarden::loader
