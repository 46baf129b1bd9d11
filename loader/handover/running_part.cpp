#include "loader/handover/running_part.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include "bpf-lsm/abi/part.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/seal.h"

namespace bpfwarden::loader {
namespace {

constexpr uint32_t kOnlySuccessor = 0;

std::string pin_of(const char* map) { return std::string(kPinFolder) + "/map_" + map; }

// In ticks since boot: the 20th word behind the name, which may have any characters in it.
Result<uint64_t> start_of_this_process() {
  constexpr int before = 19;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line.substr(line.rfind(')') + 1));
  std::string skipped;
  uint64_t ticks = 0;
  for (int i = 0; i < before; i++) words >> skipped;
  if (!(words >> ticks)) return fail("/proc/self/stat does not say when this process began");
  return ticks;
}

Status write_successor(int map, const bw_successor& successor) {
  if (bpf_map_update_elem(map, &kOnlySuccessor, &successor, BPF_ANY) == 0) return {};
  return fail_errno(errno, "cannot write who takes over");
}

Status require_open() {
  const Fd control = open_pin_to_read(pin_of("control"));
  if (!control) return unopened_pin(errno, pin_of("control"));
  if (!is_frozen(control.get())) return {};
  return fail("the host is sealed: its kernel part stays until the next boot",
              "reboot: this version comes up with the confirmed policy");
}

}  // namespace

Result<std::optional<RunningPart>> RunningPart::open() {
  auto part = read_active_part();
  if (!part) return std::unexpected(std::move(part).error());
  if (!*part) return std::nullopt;
  if (auto unsealed = require_open(); !unsealed) return std::unexpected(unsealed.error());
  Fd successor(bpf_obj_get(pin_of("successor").c_str()));
  if (!successor && errno == ENOENT)
    return fail("the active kernel part is of a bpfwarden that is taken over from by a reboot",
                "it goes on deciding; reboot, and this version comes up with the confirmed policy");
  if (!successor) return unopened_pin(errno, pin_of("successor"));
  return RunningPart(std::move(**part), std::move(successor));
}

Result<Fd> RunningPart::map(const char* name) const {
  Fd map(bpf_obj_get(pin_of(name).c_str()));
  if (!map) return unopened_pin(errno, pin_of(name));
  return map;
}

Status RunningPart::admit() const {
  const auto started = start_of_this_process();
  if (!started) return std::unexpected(started.error());
  return write_successor(
      successor_.get(),
      {.started = *started, .process = static_cast<uint32_t>(::getpid()), .is_asleep = 0});
}

Status RunningPart::dismiss() const { return write_successor(successor_.get(), {}); }
Status RunningPart::put_to_sleep() const { return set_asleep(successor_.get(), true); }

Status set_asleep(int successor, bool is_asleep) {
  return write_successor(successor, {.started = 0, .process = 0, .is_asleep = is_asleep});
}

}  // namespace bpfwarden::loader
