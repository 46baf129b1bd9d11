// The names of an image: which rules speak about which name, and about names that no rule gives.
//
// One open-addressed table holds the names of all classes (bw_class of the ABI); the compiler
// searches a hash seed under which every probe is short. Owns what it is given; adding never fails.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/image.h"

namespace bpfwarden::policy {

enum class NameKind : uint8_t {
  exact,    // this name
  prefix,   // names that begin so; not empty
  any,      // every name, and where the name is not known
  unknown,  // only where the name is not known
};

class PatternTable {
 public:
  struct Match {
    bool sure = false;  // the rule matches for certain
    bool may = false;   // it may, once all is known at attach
  };

  // `name` is shorter than BW_NAME_SIZE; empty for the two kinds that have none.
  void add(uint16_t name_class, NameKind kind, std::string_view name, uint32_t rule, Match match);

  // Fills hash_seed, classes, patterns and vectors of an image whose classes say all of names that
  // are in no table; the same names always give the same bytes. Errors: more names or different
  // sets of rules than fit.
  [[nodiscard]] Status write(bw_image& image) const;

 private:
  struct Bits {
    bw_vector sure = {};
    bw_vector may = {};
  };
  using Names = std::map<std::pair<uint16_t, std::string>, Bits>;

  [[nodiscard]] Bits with_prefixes(const Names::value_type& entry, bool is_prefix) const;
  [[nodiscard]] Bits bits_of_any(uint16_t name_class) const;

  friend class TableWriter;

  Names prefixes_;
  Names exact_;
  std::map<uint16_t, Bits> any_;
  std::map<uint16_t, Bits> unknown_;
};

}  // namespace bpfwarden::policy
