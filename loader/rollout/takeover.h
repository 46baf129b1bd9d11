// A kernel part of this version takes over from the one that is active, of whichever version,
// without a gap: docs/adr/0020. Until it decides itself the one before does, and then both, until
// that is gone. Of a host that is not sealed.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "loader/kernel/part.h"

namespace bpfwarden::loader {

// Told what is being done; may be empty.
using Progress = std::function<void(const std::string&)>;

// For those who hold the Lock. By the very policy that is active, its deadline and what is staged
// included; of another ABI by the one that is confirmed. Errors: no policy is active; the host is
// sealed; the kernel has no room for both. Until the new one decides, all is as it was.
[[nodiscard]] Status take_over(bool with_guard, const Progress& progress = {});

struct Upgraded {
  Part before;
  bool unchanged = false;  // it is this binary's already
};

[[nodiscard]] Result<Upgraded> upgrade(const Progress& progress);

}  // namespace bpfwarden::loader
