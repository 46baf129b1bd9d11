#include "policy/answers/probes.h"

#include <algorithm>
#include <array>

namespace bpfwarden::policy {

using std::string_view;

// The names are those of tools/lib/bpf/features.c and libbpf_probes.c, and of bpftool's feature.c.
bool is_feature_probe(const RecordedLoad& load) {
  static constexpr auto names = std::to_array<string_view>({"libbpf_nametest", "det_arg_ctx"});
  static constexpr auto bare =
      std::to_array<string_view>({"socket", "kprobe/…", "tp/…", "xdp", "cgroup/sock_create"});
  if (load.program.empty()) return std::ranges::find(bare, load.attach) != bare.end();
  return std::ranges::find(names, load.program) != names.end();
}

bool is_in_probe_rule(const RecordedLoad& load) {
  return load.attach == "socket" || load.attach.starts_with("kprobe/") ||
         load.attach.starts_with("tp/");
}

}  // namespace bpfwarden::policy
