// What systemd shows of a unit (sd_notify(3)).
#pragma once

#include <string>

namespace bpfwarden::loader {

// The line `Status:` of `systemctl status`. Does nothing where no unit runs this process.
void tell_service_manager(const std::string& status);

// Before a line on standard error: the journal takes it at level "warning" (sd-daemon(3)).
inline constexpr const char* kWarningLevel = "<4>";

}  // namespace bpfwarden::loader
