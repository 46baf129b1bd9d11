// Feature probes: the tiny programs that libbpf and bpftool load to find out what a kernel can do,
// before they load what they were asked to.
#pragma once

#include <string_view>

#include "policy/answers/rule_text.h"

namespace bpfwarden::policy {

// By its name and attach point, which anybody may choose: good for advice and lists, not for a
// decision.
[[nodiscard]] bool is_feature_probe(const RecordedLoad& load);

// The rule that lets probes of every loader through, as `bpfwarden fmt` would write it.
inline constexpr std::string_view kProbeRule =
    "[[rules]]\n"
    "name      = \"feature probes\"\n"
    "load-only = [\"socket\", \"kprobe/*\", \"tp/*\"]\n"
    "signature = \"unsigned\"\n";

// Whether that rule names the load's attach point.
[[nodiscard]] bool is_in_probe_rule(const RecordedLoad& load);

}  // namespace bpfwarden::policy
