// The parts of lint(), by what they look at. Internal to policy/lint/lint*.cpp and its tests.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "bpf-lsm/abi/image.h"
#include "policy/language/attach_point.h"
#include "policy/language/model.h"
#include "policy/text/diagnostic.h"

namespace bpfwarden::policy {

// Whom the policy trusts: the certificates and keyrings of its keys.
void lint_keys(const Policy& policy, int64_t now, DiagnosticList& diagnostics);

// Each rule for itself, as it is written.
void lint_rules(const Policy& policy, int64_t now, DiagnosticList& diagnostics);

// What the rules leave for each other, by the bits of the image.
void lint_reach(const Policy& policy, const bw_image& image, int64_t now,
                DiagnosticList& diagnostics);

// What is decided at attach, and what looks like a wildcard and is none.
void lint_attach(const Policy& policy, DiagnosticList& diagnostics);

// Loads that nearly every host sees: feature probes, and bpfwarden's own programs.
void lint_loads(const Policy& policy, const bw_image& image, int64_t now,
                DiagnosticList& diagnostics);

// "`tc`, `tcx/ingress`"
[[nodiscard]] std::string list_families(const FamilySet& families);

// Where a diagnostic about one of the policy's files stands.
[[nodiscard]] SourceRange place_of(const Diagnostic& diagnostic, const Policy& policy);

// By file and position; those of one position stay as they were found.
void sort_by_place(std::vector<Diagnostic>& found, const Policy& policy);

}  // namespace bpfwarden::policy
