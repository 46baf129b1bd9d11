// What systemd shows of a unit (sd_notify(3)).
#pragma once

#include <span>
#include <string>

#include "base/fd.h"

namespace bpfwarden::loader {

// The line `Status:` of `systemctl status`. Does nothing where no unit runs this process.
void tell_service_manager(const std::string& status);

// Gives it descriptors to keep under this name, in the place of those that it has of it
// (FDSTORE=1, sd_pid_notify_with_fds(3)); the unit says how many it may have. Does nothing where no
// unit runs this process.
void have_service_manager_keep(const std::string& name, std::span<const Fd> descriptors);

// Before a line on standard error: the journal takes it at level "warning" (sd-daemon(3)).
inline constexpr const char* kWarningLevel = "<4>";

}  // namespace bpfwarden::loader
