#include <array>
#include <map>

#include "policy/image/situation.h"
#include "policy/lint/lint_parts.h"
#include "policy/lint/own_programs.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

// What libbpf and bpftool load to learn what the kernel can do; no target is known then.
struct Probe {
  string_view attach_point;
  string_view pattern;  // what admits it
};
constexpr auto kProbes = std::to_array<Probe>({
    {"socket", "socket"},
    {"kprobe/probe", "kprobe/*"},
    {"tp/probe/probe", "tp/*"},
});

// An unsigned load by root, of a program that no rule lists by its digest.
Result<bw_decision> decide_unsigned(const bw_image& image, string_view attach_point, int64_t now) {
  auto point = parse_attach_point(attach_point);
  if (!point) return std::unexpected(std::move(point.error()));
  Situation situation;
  situation.attach = std::move(*point);
  situation.digest = ProgramDigest{};
  situation.time = now;
  return decide_on(image, situation).load;
}

void append_quoted(string& list, string_view word, char quote) {
  list += (list.empty() ? "" : ", ") + (quote + string(word) + quote);
}

void lint_probes(const Policy& policy, const bw_image& image, int64_t now,
                 DiagnosticList& diagnostics) {
  string refused, missing;
  for (const Probe& probe : kProbes) {
    const auto decision = decide_unsigned(image, probe.attach_point, now);
    if (!decision || decision->allow != 0) continue;
    append_quoted(refused, probe.pattern, '`');
    append_quoted(missing, probe.pattern, '"');
  }
  if (refused.empty()) return;
  const bool is_trial = image.mode == BW_MODE_AUDIT;
  diagnostics.warning("no-probe-rule", place_of(policy.settings, "default", {}),
                      "unsigned " + refused + (is_trial ? " would be" : " are") +
                          " refused, and with them the tiny programs by which libbpf and "
                          "bpftool probe the kernel: ordinary loaders may fail",
                      "add a rule with load-only = [" + missing +
                          "] and signature = \"unsigned\", before any that denies these, or use "
                          "signed light skeletons, which need no probes");
}

// Only rules that name our attach points: that a default refuses them is what every host has.
void lint_own_programs(const Policy& policy, const bw_image& image, int64_t now,
                       DiagnosticList& diagnostics) {
  std::map<uint16_t, string> refused;
  for (const string_view attach_point : own_attach_points()) {
    const auto decision = decide_unsigned(image, attach_point, now);
    if (decision && bw_refused(&*decision) && decision->cause == BW_CAUSE_RULE)
      append_quoted(refused[decision->rule], attach_point, '`');
  }
  for (const auto& [index, list] : refused) {
    const Rule& rule = policy.rules[index];
    diagnostics.warning(
        "refuses-bpfwarden", place_of(rule.settings, "deny", rule.position),
        "rule `" + rule.name + "` refuses bpfwarden's own programs, which are unsigned: " + list,
        "programs that run keep running, and `apply` only replaces the policy; but run `bpfwarden "
        "off` "
        "before an upgrade of bpfwarden, which loads its programs anew");
  }
}

}  // namespace

void lint_loads(const Policy& policy, const bw_image& image, int64_t now,
                DiagnosticList& diagnostics) {
  lint_probes(policy, image, now, diagnostics);
  lint_own_programs(policy, image, now, diagnostics);
}

}  // namespace bpfwarden::policy
