#include "loader/rollout/boot.h"

#include <algorithm>

#include "base/file.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/host_names.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/policy_store.h"

namespace bpfwarden::loader {
namespace {

constexpr size_t kMostCommandLine = 1 << 16;
constexpr std::string_view kParameter = "bpfwarden=";

BootWord word_of(std::string_view value) {
  if (value == "off") return BootWord::off;
  if (value == "audit") return BootWord::audit;
  return value.empty() ? BootWord::none : BootWord::unknown;
}

Result<std::string> command_line() {
  const auto bytes = read_file("/proc/cmdline", kMostCommandLine);
  if (!bytes)
    return std::unexpected(Error(bytes.error()).within("the kernel's command line cannot be read"));
  return std::string(bytes->begin(), bytes->end());
}

Result<Applied> apply_saved(CheckedPolicy& checked, BootWord word, const std::string& next_root) {
  const ApplyOptions options = {
      .confirm_within = 0, .progress = {}, .at_boot = true, .next_root = next_root};
  if (word == BootWord::audit) checked.compiled->image = in_audit_mode(*checked.compiled->image);
  return apply(checked, options);
}

// By an initramfs that is older than this host's last word.
Result<std::string> active_policy() {
  const auto active = read_active_policy();
  if (!active) return std::unexpected(active.error());
  if (!*active) return std::string();
  const bw_image& image = *(*active)->generation.image;
  return std::string("policy '") + image.policy_name + "' version " +
         std::to_string(image.policy_version);
}

Result<Boot> with_none_saved(Boot boot) {
  auto active = active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  boot.forgotten = std::move(*active);
  return boot;
}

// What this kernel cannot hold of it comes back as far as it can, and is told.
void tell_unfit(const CompiledPolicy& compiled, std::string& warning) {
  for (const policy::Diagnostic& found :
       held_against(compiled, abilities_of_kernel(), Occasion::boot))
    warning += (warning.empty() ? "" : "; ") + place_and_message(found);
}

}  // namespace

BootWord boot_word(std::string_view line) {
  BootWord word = BootWord::none;
  while (!line.empty()) {
    const size_t end = std::min(line.find_first_of(" \n"), line.size());
    const std::string_view one = line.substr(0, end);
    if (one == "--") break;  // what follows is for init
    if (one.starts_with(kParameter)) word = word_of(one.substr(kParameter.size()));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return word;
}

Result<BootWord> word_of_this_boot() {
  const auto line = command_line();
  return line ? boot_word(*line) : Result<BootWord>(std::unexpected(line.error()));
}

Result<Boot> apply_at_boot(const std::string& next_root) {
  const auto word = word_of_this_boot();
  if (!word) return std::unexpected(word.error());
  Boot boot = {.word = *word, .is_saved = has_saved_for_boot()};
  if (!boot.is_saved) return with_none_saved(std::move(boot));
  if (boot.word == BootWord::off) return boot;
  auto checked = load_for_boot();
  if (!checked) return std::unexpected(std::move(checked).error());
  // What the real root has may be missing in an initramfs: no reason to come up without a policy.
  if (const auto found = find_on_host(*checked->compiled); !found)
    boot.warning = found.error().message;
  tell_unfit(*checked->compiled, boot.warning);
  auto applied = apply_saved(*checked, boot.word, next_root);
  if (!applied) return std::unexpected(std::move(applied).error());
  boot.policy = std::move(*checked);
  boot.applied = *applied;
  return boot;
}

}  // namespace bpfwarden::loader
