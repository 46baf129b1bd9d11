// Which programs of the inventory are asked for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "loader/inventory/inventory.h"

namespace bpfwarden::loader {

// Empty, or nothing: all. What is given must all be so.
struct InventoryFilter {
  std::optional<Standing> standing;
  std::string key;     // of the policy, that signed
  std::string attach;  // as a policy writes it: `*` at the end stands for anything
  std::string unit;    // of systemd, of a process that holds it
};

[[nodiscard]] bool is_asked_for(const ListedProgram& program, const InventoryFilter& filter);

// "admitted", "would-deny", "resident", "own", "unexplained"
[[nodiscard]] std::optional<Standing> standing_named(const std::string& word);

// "41 programs: 3 admitted, 2 resident, 36 bpfwarden"
[[nodiscard]] std::string inventory_summary(const std::vector<ListedProgram>& programs);

}  // namespace bpfwarden::loader
