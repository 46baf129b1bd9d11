#include "loader/text/service_manager.h"

#include <systemd/sd-daemon.h>

namespace bpfwarden::loader {

void tell_service_manager(const std::string& status) {
  constexpr uint64_t patience_us = 5'000'000;
  // The manager must have read it while this process is there to be known as the unit's.
  if (sd_notifyf(0, "STATUS=%s", status.c_str()) > 0) (void)sd_notify_barrier(0, patience_us);
}

}  // namespace bpfwarden::loader
