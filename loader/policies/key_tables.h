// The tables [keys.…] of one policy, written for another file.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

struct KeyTables {
  std::string text;
  std::map<std::string, std::string> files;  // PEM, by path: certificates to be written out
  // What an entry of a file's keys is in the text, by the file's name and the entry.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> entries;
  PolicySnapshot certificates;  // what the text names, for check_snapshot()
};

// Those of `base` that `names` has, in their order. Paths become absolute. A file that is no longer
// there, or holds other certificates than the base was made from, is replaced by one in `folder`;
// an empty folder is none, and such a path stays as it is. Errors: `base` cannot be read again.
[[nodiscard]] Result<KeyTables> key_tables(const CheckedPolicy& base,
                                           const std::set<std::string>& names,
                                           const std::string& folder);

}  // namespace bpfwarden::loader
