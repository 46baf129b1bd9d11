#include "loader/text/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace bpfwarden::loader {

namespace {

// The manager must have read it while this process is there to be known as the unit's.
constexpr uint64_t kPatienceUs = 5'000'000;

}  // namespace

void tell_service_manager(const std::string& status) {
  if (sd_notifyf(0, "STATUS=%s", status.c_str()) > 0) (void)sd_notify_barrier(0, kPatienceUs);
}

void have_service_manager_keep(const std::string& name, std::span<const Fd> descriptors) {
  std::vector<int> numbers;
  std::ranges::transform(descriptors, std::back_inserter(numbers),
                         [](const Fd& one) { return one.get(); });
  (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name.c_str());
  const std::string text = "FDSTORE=1\nFDNAME=" + name;
  if (sd_pid_notify_with_fds(0, 0, text.c_str(), numbers.data(),
                             static_cast<unsigned>(numbers.size())) > 0)
    (void)sd_notify_barrier(0, kPatienceUs);
}

}  // namespace bpfwarden::loader
