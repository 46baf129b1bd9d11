#include <algorithm>

#include "policy/lint/lint_parts.h"

namespace bpfwarden::policy {
namespace {

using std::string;

bool has_setting(const std::vector<SettingPlace>& settings, std::string_view name) {
  return std::ranges::find(settings, name, &SettingPlace::name) != settings.end();
}

// What makes the policy decide at attach: the first of its attach points that does.
const AttachEntry* first_at_attach(const Rule& rule) {
  if (rule.action == Action::load_only) return &rule.attach.front();
  const auto found = std::ranges::find_if(
      rule.attach, [](const AttachEntry& entry) { return falls_at_attach(entry.pattern); });
  return found == rule.attach.end() ? nullptr : &*found;
}

// Whether callers with threads are refused what the rule admits, and nobody has said so.
bool shuts_out_threads(const Rule& rule) {
  return rule.action == Action::allow && !rule.multithreaded_attach;
}

void lint_threads(const Policy& policy, DiagnosticList& diagnostics) {
  if (has_setting(policy.settings, "multithreaded-attach")) return;
  if (policy.default_action != Action::allow &&
      std::ranges::none_of(policy.rules, shuts_out_threads))
    return;
  const Rule* first = nullptr;
  size_t more = 0;
  for (const Rule& rule : policy.rules) {
    if (first_at_attach(rule) == nullptr) continue;
    if (first == nullptr)
      first = &rule;
    else
      more++;
  }
  if (first == nullptr) return;
  const AttachEntry& entry = *first_at_attach(*first);
  diagnostics.warning(
      "threads-cannot-attach", entry.position,
      "`" + entry.pattern.text + "` of rule `" + first->name + "`" +
          (more == 0 ? "" : " and " + std::to_string(more) + " more") +
          (first->action == Action::load_only ? ", being load-only," : "") +
          " is decided at attach, where programs with threads may then attach nothing at all, as "
          "loaders in Go and most daemons have them",
      "say which is meant: `multithreaded-attach = \"detect\"` of the policy lets them, and looks "
      "again afterwards; \"deny\" refuses them");
}

// `[` and `?` are patterns in a shell, and nothing here.
void lint_wildcards(const Rule& rule, DiagnosticList& diagnostics) {
  for (const AttachEntry& entry : rule.attach) {
    const size_t found = entry.pattern.text.find_first_of("[?");
    if (found == string::npos) continue;
    diagnostics.warning("not-a-wildcard", entry.position,
                        "`" + string(1, entry.pattern.text[found]) + "` in `" + entry.pattern.text +
                            "` stands for itself",
                        "only a `*` at the end is a wildcard: list the names one by one, or `" +
                            entry.pattern.text.substr(0, found) + "*`");
  }
}

void lint_wildcards(const Rule& rule, std::string_view setting,
                    const std::vector<PathPattern>& paths, DiagnosticList& diagnostics) {
  for (const PathPattern& path : paths) {
    const size_t found = path.text.find_first_of("[?");
    if (found == string::npos) continue;
    diagnostics.warning(
        "not-a-wildcard", place_of(rule.settings, setting, rule.position),
        "`" + string(1, path.text[found]) + "` in `" + path.text + "` stands for itself",
        "only a `*` at the end is a wildcard: list the paths one by one, or `" +
            path.text.substr(0, found) + "*`");
  }
}

}  // namespace

void lint_attach(const Policy& policy, DiagnosticList& diagnostics) {
  lint_threads(policy, diagnostics);
  for (const Rule& rule : policy.rules) {
    lint_wildcards(rule, diagnostics);
    lint_wildcards(rule, "exe", rule.exes, diagnostics);
    lint_wildcards(rule, "cgroup", rule.cgroups, diagnostics);
  }
}

}  // namespace bpfwarden::policy
