#include "loader/inventory/places.h"

#include <map>
#include <string>

namespace bpfwarden::loader {
namespace {

using Attachments = std::vector<std::pair<uint32_t, Attachment>>;
using Places = std::multimap<std::string, Sighting>;

Attachment take_words(Sighting&& place, uint32_t link_id, const std::string& kind) {
  return {.link_id = link_id,
          .kind = kind,
          .attach = std::move(place.attach),
          .detail = std::move(place.detail),
          .network = std::move(place.network)};
}

// Returns whether the link's place was among them.
bool take_places(const HeldByLink& link, Places& places, Attachments& attachments) {
  bool taken = false;
  for (auto [place, end] = places.equal_range(link.target.key); place != end;) {
    if (link.program_id != 0 && place->second.program_id != link.program_id) {
      ++place;
      continue;
    }
    const uint32_t program = place->second.program_id;
    attachments.emplace_back(program,
                             take_words(std::move(place->second), link.link_id, link.target.kind));
    place = places.erase(place);
    taken = true;
    if (link.program_id != 0) break;
  }
  return taken;
}

}  // namespace

Attachments join(std::vector<HeldByLink> links, std::vector<Sighting> places) {
  Places by_key;
  for (Sighting& place : places) by_key.emplace(place.key, std::move(place));
  Attachments attachments;
  for (HeldByLink& link : links)
    if (!take_places(link, by_key, attachments) && link.program_id != 0)
      attachments.emplace_back(link.program_id, Attachment{.link_id = link.link_id,
                                                           .kind = std::move(link.target.kind),
                                                           .attach = std::move(link.target.attach),
                                                           .detail = {},
                                                           .network = {}});
  for (auto& [key, place] : by_key) {
    if (place.needs_link) continue;
    const uint32_t program = place.program_id;
    const std::string kind = place.kind;
    attachments.emplace_back(program, take_words(std::move(place), 0, kind));
  }
  return attachments;
}

}  // namespace bpfwarden::loader
