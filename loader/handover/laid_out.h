// Values of one map as another version of bpfwarden lays them out: member for member, by their
// names (the types that the kernel keeps with a map). What only one of both has is left out, or 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"

struct btf;

namespace bpfwarden::loader {

class LaidOut {
 public:
  // Of one value: types of `before` and of `after`, by their ids.
  [[nodiscard]] static LaidOut by_names(const btf* before, uint32_t before_id, const btf* after,
                                        uint32_t after_id);

  // From values of the map `from` to those of the map `to`; both are borrowed. Errors: errno of
  // bpf(2); one of them has no types.
  [[nodiscard]] static Result<LaidOut> between(int from, int to);

  // Of whole values, as bpf(2) gives and takes them; of one for each CPU, all of them.
  [[nodiscard]] size_t size_before() const { return before_ * copies_; }
  [[nodiscard]] size_t size_after() const { return after_ * copies_; }
  void move(const std::byte* before, std::byte* after) const;

 private:
  struct Move {
    size_t from, to, size;
  };

  size_t before_ = 0, after_ = 0, copies_ = 1;
  std::vector<Move> moves_;
};

}  // namespace bpfwarden::loader
