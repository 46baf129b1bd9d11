// Programs that maps hold: sk_msg and sk_skb programs of sockmaps (BPF_PROG_QUERY), tail calls of a
// prog_array, programs of devmap and cpumap entries, and the members of a struct_ops that is
// registered, with a link or without.
#pragma once

#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

[[nodiscard]] Sightings sightings_on_maps();

}  // namespace bpfwarden::loader
