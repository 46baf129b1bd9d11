// The names of attach targets, on their way into bw_image.patterns and bw_image.vectors.
//
// decide.h takes the first pattern it finds: the exact name, else the longest prefix. So what is
// written carries the bits of every shorter prefix, and an exact name those of all its prefixes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/image.h"

namespace bpfwarden::policy {

class PatternTable {
 public:
  struct Match {
    bool sure = false;  // the rule matches for certain
    bool may = false;   // it may, once all is known at attach
  };

  // `name` is shorter than BW_NAME_SIZE; the empty prefix stands for the whole class.
  void add(uint8_t attach_class, bool is_prefix, std::string_view name, uint32_t rule, Match match);

  // Fills hash_seed, patterns and vectors of a zeroed image; the same patterns always give the same
  // bytes. Errors: more patterns or different vectors than fit.
  [[nodiscard]] Status write(bw_image& image) const;

 private:
  struct Bits {
    bw_vector sure = {};
    bw_vector may = {};
  };
  using Names = std::map<std::pair<uint8_t, std::string>, Bits>;

  [[nodiscard]] Bits with_prefixes(const Names::value_type& entry, bool is_prefix) const;
  [[nodiscard]] Status collect(bw_image& image, std::vector<bw_pattern>& patterns) const;

  Names prefixes_;
  Names exact_;
};

}  // namespace bpfwarden::policy
