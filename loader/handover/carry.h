// What one kernel part knows, carried over into another one that is attached beside it and asleep:
// who signed the programs that are there, whose maps are a signed loader's, what was counted
// (docs/adr/0020). Both are of whichever versions; hooks of both note meanwhile.
#pragma once

#include "base/result.h"
#include "loader/handover/running_part.h"
#include "loader/kernel/warden.h"

namespace bpfwarden::loader {

// Of what is there: programs, maps, file systems. What they know differently is as `from` has it.
// May be run again, and is: what changed under way comes with the next time.
[[nodiscard]] Status carry_records(const RunningPart& from, const Warden& to);

// What was carried over while its object went away. Takes a second, within which who notes an
// object in both has done so; nothing is carried over after it.
[[nodiscard]] Status forget_gone(const RunningPart& from, const Warden& to);

// Counts, and the number of the last event.
[[nodiscard]] Status carry_counts(const RunningPart& from, const Warden& to);

// Until the loaders that run now have ended: what they load belongs to their run, which `to` has
// not seen begin. Errors: one runs on.
[[nodiscard]] Status await_loaders(const RunningPart& from, const Warden& to);

// One value of an array of `from`, as this version lays it out. Errors: errno of bpf(2).
template <class T>
[[nodiscard]] Result<T> read_as_here(const RunningPart& from, const Warden& to, const char* name,
                                     uint32_t key = 0);

}  // namespace bpfwarden::loader
