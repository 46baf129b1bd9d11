// The tables that the kernel part keeps, of which each denies when it is full: how full they are,
// and who holds the one that has a program's record in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

struct Table {
  std::string name;  // that of the map: "programs"
  uint64_t entries = 0;
  uint64_t room = 0;

  // "uid 1000 (65,200)": who has loaded most of what the table `programs` notes, and how many.
  uint32_t uid = 0;
  uint64_t of_uid = 0;  // 0: nobody, or another table

  [[nodiscard]] bool is_nearly_full() const { return entries * 10 >= room * 9; }
};

// Costs a call for each entry. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<Table>> read_tables(const PinnedMaps& pins);

// "programs 65536 of 65536, 65200 loaded by uid 1000"
[[nodiscard]] std::string table_text(const Table& table);

}  // namespace bpfwarden::loader
