#include "loader/rollout/widening.h"

#include <algorithm>
#include <ctime>

#include "loader/policies/active_policy.h"
#include "loader/policies/policy_store.h"
#include "policy/diff/diff.h"

namespace bpfwarden::loader {
namespace {

// A tenth of what `diff` takes: about a second.
constexpr uint64_t kSteps = 400'000'000;
constexpr size_t kShownGroups = 3;

std::string group_line(const policy::DiffGroup& group) {
  std::string text = "`" + (group.places.empty() ? "*" : group.places.front()) + "`";
  const size_t more = group.places.size() + group.more_places - 1;
  if (!group.places.empty() && more > 0) text += " and " + std::to_string(more) + " more";
  for (const std::string& who : group.who) text += ", " + who;
  return text;
}

}  // namespace

std::string widening_line(const CompiledPolicy& next, const std::string& file) {
  const auto active = read_active_policy();
  if (!active || !*active) return {};
  const auto before = load_policy((*active)->generation.image->policy_digest);
  if (!before || !before->compiled) return {};
  const CompiledPolicy& old = *before->compiled;
  const auto diff =
      policy::diff_policies({policy::DiffSide{old.policy, *old.image}, {next.policy, *next.image}},
                            std::time(nullptr), {.steps = kSteps});
  std::string list;
  size_t count = 0;
  const auto add = [&](policy::Change change, const std::string& what) {
    if (change == policy::Change::widened && count++ < kShownGroups)
      list += (list.empty() ? "" : "; ") + what;
  };
  for (const policy::DiffGroup& group : diff.groups) add(group.change, group_line(group));
  for (const policy::DiffGroup& group : diff.threads)
    add(group.change, group_line(group) + ", by threads");
  for (const policy::SettingChange& one : diff.settings) add(one.change, "`" + one.setting + "`");
  const std::string see = "`bpfwarden diff --active " + file + "`";
  if (count == 0)
    return diff.not_asked > 0 ? "widens nothing, as far as was asked: " + see + " asks for longer\n"
                              : "widens nothing\n";
  if (count > kShownGroups) list += "; and " + std::to_string(count - kShownGroups) + " more";
  return "widens: " + list + " (" + see + ")\n";
}

}  // namespace bpfwarden::loader
