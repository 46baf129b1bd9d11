#include "loader/rollout/applied_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "loader/rollout/initramfs.h"
#include "loader/text/json_members.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {

namespace {

using nlohmann::json;

// A sentence, or several.
std::string trimmed(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

json to_json(const std::vector<WouldRefuse>& list) {
  json all = json::array();
  for (const WouldRefuse& one : list)
    all.push_back(object_of({{"program_id", one.program_id == 0 ? json() : json(one.program_id)},
                             {"program", one.name},
                             {"attach", text_or_null(one.attach)},
                             {"signer", text_or_null(one.signer)},
                             {"reason", one.why},
                             {"by", text_or_null(one.by)},
                             {"count", one.count},
                             {"last", time_or_null(one.last)}}));
  return all;
}

}  // namespace

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

std::string_view sealed_word(Sealed sealed) {
  switch (sealed) {
    case Sealed::now:
      return "now";
    case Sealed::at_confirm:
      return "at-confirm";
    case Sealed::no:
      break;
  }
  return "no";
}

void print_sealed(Sealed sealed) {
  if (sealed == Sealed::now)
    std::puts("sealed: until the next boot nobody changes the policy, nor takes it away");
  if (sealed == Sealed::at_confirm) std::puts("sealed: not yet; the host is once it is confirmed");
}

json applied_json(const CompiledPolicy& compiled, const Applied& applied,
                  const AppliedNotes& notes) {
  return object_of({{"policy", compiled.policy.name},
                    {"policy_version", compiled.policy.version},
                    {"mode", policy::mode_name(static_cast<bw_mode>(compiled.image->mode))},
                    {"rule_count", compiled.policy.rules.size()},
                    {"generation", applied.generation},
                    {"keyring", applied.ring},
                    {"hooks_loaded", applied.first},
                    {"unchanged", applied.unchanged},
                    {"confirm_within", applied.confirm_within},
                    {"widening", text_or_null(trimmed(notes.widening))},
                    {"taken_away", text_or_null(trimmed(notes.taken_away))},
                    {"sealed", sealed_word(applied.sealed)}});
}

json preflight_json(const CompiledPolicy& next, const Preflight& found) {
  json notes = json::array();
  if (!found.unreadable.empty()) notes.push_back(found.unreadable);
  return object_of({{"policy", next.policy.name},
                    {"policy_version", next.policy.version},
                    {"clean", found.is_clean()},
                    {"running", to_json(found.running)},
                    {"recorded", to_json(found.recorded)},
                    {"feature_probes", to_json(found.probes)},
                    {"attached", to_json(found.attached)},
                    {"revoked", to_json(found.revoked)},
                    {"resident_count", found.residents},
                    {"notes", notes}});
}

void print_applied(const CompiledPolicy& compiled, const Applied& applied) {
  const policy::Policy& policy = compiled.policy;
  const std::string mode(policy::mode_name(static_cast<bw_mode>(compiled.image->mode)));
  std::printf("%s: '%s' version %llu, mode %s, %zu rules, generation %llu, keyring %d\n",
              applied.unchanged ? "already active" : "active", policy.name.c_str(),
              static_cast<unsigned long long>(policy.version), mode.c_str(), policy.rules.size(),
              static_cast<unsigned long long>(applied.generation), applied.ring);
  if (applied.confirm_within != 0)
    std::printf(
        "next: `bpfwarden confirm` within %s keeps it; without, the kernel goes back to what was "
        "there before\n",
        duration_text(applied.confirm_within).c_str());
  print_sealed(applied.sealed);
}

void print_stale_initramfs() {
  const auto stale = stale_initramfs(read_initramfs_facts());
  if (!stale) return;
  std::printf("initramfs: %s; bpfwarden-initramfs.path makes it anew, or `%s`\n",
              stale_initramfs_text(*stale).c_str(), stale->command.c_str());
}

}  // namespace bpfwarden::loader
