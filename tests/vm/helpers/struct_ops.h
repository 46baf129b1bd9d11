// A congestion control of three programs, which become active as they are put in a map.
#pragma once

#include "base/fd.h"
#include "tests/vm/helpers/attach/attach_routes.h"

namespace bpfwarden::vm {

// The row's program is the last of the three; the others are loaded before there is a policy.
[[nodiscard]] Row congestion_row();

// Filled by the constructor, and not yet registered: a link does that.
class FilledOperations {
 public:
  FilledOperations();

  [[nodiscard]] Fd link() const;                   // none: errno says why
  [[nodiscard]] int update(const Fd& link) const;  // 0, or errno

 private:
  Fd map_;
};

}  // namespace bpfwarden::vm
