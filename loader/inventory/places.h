// Links and the places where programs were found become one list, in which nothing is told twice.
#pragma once

#include <utility>
#include <vector>

#include "loader/inventory/inventory.h"
#include "loader/inventory/link_target.h"
#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

struct HeldByLink {
  uint32_t link_id = 0;
  uint32_t program_id = 0;  // 0: the kernel tells none (struct_ops); those at its place are it
  LinkTarget target;
};

// With the program's id. A link takes the words of the place that has its key and its program,
// since the device and its namespace are known there; a place that no link takes has link_id 0.
// Each place is taken once, so that one program attached there twice, with a link and without, is
// told twice.
[[nodiscard]] std::vector<std::pair<uint32_t, Attachment>> join(std::vector<HeldByLink> links,
                                                                std::vector<Sighting> places);

}  // namespace bpfwarden::loader
