// Where a person can be asked: the controlling terminal, never the standard input, which may be a
// file in somebody's pipeline. Private to keyring/.
#pragma once

#include <fcntl.h>

#include "base/fd.h"

namespace bpfwarden::keyring {

inline bool has_terminal() {
  return static_cast<bool>(Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)));
}

}  // namespace bpfwarden::keyring
