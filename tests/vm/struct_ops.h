// A congestion control of three programs, which become active as they are put in a map.
#pragma once

#include "tests/vm/attach_routes.h"

namespace bpfwarden::vm {

// The row's program is the last of the three; the others are loaded before there is a policy.
[[nodiscard]] Row congestion_row();

}  // namespace bpfwarden::vm
