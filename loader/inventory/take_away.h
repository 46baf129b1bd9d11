// How each attachment of a program is taken away: by the commands of whoever can.
#pragma once

#include <string>
#include <vector>

#include "loader/inventory/inventory.h"

namespace bpfwarden::loader {

// Commands, and where there is none, what to end: in the order in which they help. At least one.
[[nodiscard]] std::vector<std::string> ways_to_take_away(const ListedProgram& program);

}  // namespace bpfwarden::loader
