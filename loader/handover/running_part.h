// The kernel part that decides now, of whichever version: what is known of each for good is the map
// `part`, and the map `successor`, by which another one takes over (docs/adr/0020).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "loader/kernel/part.h"

namespace bpfwarden::loader {

class RunningPart {
 public:
  // Nothing where none is. Errors: it is sealed; it is of a version that knows of no successor;
  // errno of bpf(2). For who holds the Lock.
  [[nodiscard]] static Result<std::optional<RunningPart>> open();

  [[nodiscard]] const Part& part() const { return part_; }
  // A descriptor that may write.
  [[nodiscard]] Result<Fd> map(const char* name) const;

  // What this process loads from now on it admits; as long as this process lives, or until
  // dismiss().
  [[nodiscard]] Status admit() const;
  [[nodiscard]] Status dismiss() const;
  // It refuses nothing, and tells nothing, any more.
  [[nodiscard]] Status put_to_sleep() const;

 private:
  RunningPart(Part part, Fd successor) : part_(std::move(part)), successor_(std::move(successor)) {}

  Part part_;
  Fd successor_;
};

// Of a kernel part that is loaded and not attached: `successor` is its map. Asleep it decides
// nothing, and notes what it will need.
[[nodiscard]] Status set_asleep(int successor, bool is_asleep);

}  // namespace bpfwarden::loader
