// The one reader of the stream of events. The kernel keeps one position for all who read a ring
// buffer: two readers would take events from each other, and none would have all of them.
//
// The lock is a flock(2) on the folder of the pins: it is the same one in whichever mount
// namespace the pins are seen, it ends with the process, and `off` followed by `apply` makes
// another, of other ring buffers.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace bpfwarden::loader {

class ReaderLock {
 public:
  // Nothing: somebody else reads. Errors: errno of open(2) or flock(2); ENOENT: there are no pins.
  [[nodiscard]] static Result<std::optional<ReaderLock>> try_take();

  // Whether these pins are still there: not after `off`.
  [[nodiscard]] bool is_current() const;

 private:
  explicit ReaderLock(Fd folder) : folder_(std::move(folder)) {}
  Fd folder_;
};

struct StreamReader {
  pid_t pid = 0;              // 0: not of this PID namespace
  std::string comm;           // empty: not known
  std::string file;           // to which it appends what it reads; empty: to none that is known
  bool is_file_seen = false;  // by that name, from here
};

// Who holds the lock. Nothing: nobody does any more.
[[nodiscard]] std::optional<StreamReader> find_stream_reader();

// "bpfwarden (pid 71)"
[[nodiscard]] std::string reader_text(const StreamReader& reader);

}  // namespace bpfwarden::loader
