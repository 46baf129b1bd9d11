#include "policy/answers/probes.h"

#include <algorithm>
#include <array>
#include <vector>

#include "policy/language/format.h"

namespace bpfwarden::policy {
namespace {

// What libbpf asks for each object that it loads.
constexpr auto kUsual =
    std::to_array<std::string_view>({"socket", "tp/*", "kprobe/*", "cgroup/sock_create"});

}  // namespace

bool is_feature_probe(const RecordedLoad& load) {
  static constexpr auto names = std::to_array<std::string_view>({"libbpf_nametest", "det_arg_ctx"});
  static constexpr auto nameless =
      std::to_array<std::string_view>({"socket", "kprobe/…", "tp/…", "xdp", "cgroup/sock_create"});
  if (load.signature != Signature::unsigned_) return false;
  if (load.program.empty()) return std::ranges::find(nameless, load.attach) != nameless.end();
  return std::ranges::find(names, load.program) != names.end();
}

std::string probe_rule(std::string_view attach) {
  const auto pattern = pattern_for(attach);
  if (!pattern) return {};
  std::string points;
  for (const std::string_view usual : kUsual)
    points += (points.empty() ? "" : ", ") + toml_string(usual);
  if (std::ranges::find(kUsual, *pattern) == kUsual.end()) points += ", " + toml_string(*pattern);
  const std::string text = "[[rules]]\nname = \"feature probes\"\nload-only = [" + points +
                           "]\nsignature = \"unsigned\"\n";
  DiagnosticList diagnostics({"rule"});
  return format_policy({"rule", text}, 0, diagnostics).value_or(text);
}

}  // namespace bpfwarden::policy
