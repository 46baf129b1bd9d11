#include "loader/rollout/applied_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/rollout/initramfs.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {

std::string duration_text(uint64_t seconds) {
  constexpr uint64_t minute = 60, hour = 3600;
  const auto count = [](uint64_t number, const char* unit) {
    return std::to_string(number) + " " + unit + (number == 1 ? "" : "s");
  };
  if (seconds >= hour && seconds % hour == 0) return count(seconds / hour, "hour");
  if (seconds >= minute && seconds % minute == 0) return count(seconds / minute, "minute");
  return count(seconds, "second");
}

std::string policy_line(const CompiledPolicy& compiled) {
  const auto mode = policy::mode_name(static_cast<bw_mode>(compiled.image->mode));
  return "policy '" + compiled.policy.name + "' version " +
         std::to_string(compiled.policy.version) + ", " + std::string(mode);
}

void print_applied(const CompiledPolicy& compiled, const Applied& applied, bool as_json) {
  const policy::Policy& policy = compiled.policy;
  const std::string mode(policy::mode_name(static_cast<bw_mode>(compiled.image->mode)));
  if (as_json) {
    const nlohmann::json whole = {{"policy", policy.name},
                                  {"version", policy.version},
                                  {"mode", mode},
                                  {"generation", applied.generation},
                                  {"keyring", applied.ring},
                                  {"first", applied.first},
                                  {"unchanged", applied.unchanged},
                                  {"confirm_within", applied.confirm_within}};
    std::puts(whole.dump(2).c_str());
    return;
  }
  std::printf("%s: '%s' version %llu, mode %s, %zu rules, generation %llu, keyring %d\n",
              applied.unchanged ? "already active" : "active", policy.name.c_str(),
              static_cast<unsigned long long>(policy.version), mode.c_str(), policy.rules.size(),
              static_cast<unsigned long long>(applied.generation), applied.ring);
  if (applied.confirm_within != 0)
    std::printf(
        "next: `bpfwarden confirm` within %s keeps it; without, the kernel goes back to what was "
        "there before\n",
        duration_text(applied.confirm_within).c_str());
}

void print_stale_initramfs() {
  const auto stale = stale_initramfs(read_initramfs_facts());
  if (!stale) return;
  std::printf("initramfs: %s; bpfwarden-initramfs.path makes it anew, or `%s`\n",
              stale_initramfs_text(*stale).c_str(), stale->command.c_str());
}

}  // namespace bpfwarden::loader
