// Feature probes: the tiny programs by which libraries of loaders find out what a kernel can do.
// They are known by their names and by what they are, so this is for people: it decides nothing.
#pragma once

#include <string>
#include <string_view>

#include "policy/answers/rule_text.h"

namespace bpfwarden::policy {

// Of libbpf (tools/lib/bpf/features.c, libbpf_probes.c) and bpftool (feature.c). Signed programs
// are none.
[[nodiscard]] bool is_feature_probe(const RecordedLoad& load);

// The one rule that lets probes be loaded, and nothing of it run, as TOML; with the attach point of
// this one, if it is an unusual one. Empty: no policy could name that.
[[nodiscard]] std::string probe_rule(std::string_view attach);

}  // namespace bpfwarden::policy
