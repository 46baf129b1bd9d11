#include "policy/read_policy.h"

#include <algorithm>
#include <array>

#include "policy/fields.h"
#include "policy/read_keys.h"
#include "policy/read_rule.h"
#include "policy/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;

constexpr auto kPolicyNames =
    std::to_array<string_view>({"schema", "name", "version", "mode", "default", "keys", "rules"});
constexpr auto kDefaults = std::to_array<std::pair<string_view, Action>>({
    {"deny", Action::deny},
    {"allow", Action::allow},
});

void read_schema(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  const Entry* entry = fields.require("schema", "add schema = 1");
  const auto schema = entry ? fields.integer(*entry) : std::nullopt;
  if (!schema) return;
  if (*schema != 1)
    diagnostics.error(entry->value.position,
                      "schema " + std::to_string(*schema) + " is not known to this version",
                      "this version reads schema 1");
  policy.schema = 1;
}

void read_version(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  const Entry* entry = fields.require("version", "add version = 1, and raise it with every change");
  const auto version = entry ? fields.integer(*entry) : std::nullopt;
  if (!version) return;
  if (*version < 1)
    diagnostics.error(entry->value.position, "`version` begins with 1",
                      "write version = 1, and raise it with every change");
  policy.version = static_cast<uint64_t>(*version);
}

void read_header(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  read_schema(fields, policy, diagnostics);
  if (const Entry* entry = fields.require("name", "add name = \"…\""))
    if (const string* name = fields.label(*entry, BW_POLICY_NAME_SIZE - 1)) policy.name = *name;
  read_version(fields, policy, diagnostics);
  if (const Entry* entry = fields.require("mode", "add mode = \"audit\" to try the policy first"))
    policy.mode = fields.word<Mode>(*entry, kModeWords).value_or(Mode::audit);
  const Entry* entry = fields.require("default", "add default = \"deny\"");
  if (!entry) return;
  policy.default_action = fields.word<Action>(*entry, kDefaults).value_or(Action::deny);
  if (policy.default_action == Action::allow)
    diagnostics.warning("default-allow", entry->value.position, "whatever no rule names is allowed",
                        "`default = \"deny\"` names what is allowed instead");
}

void warn_of_unused_keys(const Policy& policy, DiagnosticList& diagnostics) {
  std::vector<bool> used(policy.keys.size());
  for (const Rule& rule : policy.rules)
    for (const KeyReference& reference : rule.signed_by) used[reference.key] = true;
  for (size_t i = 0; i < policy.keys.size(); i++)
    if (!used[i])
      diagnostics.warning("unused-key", policy.keys[i].position,
                          "no rule's `signed-by` names key `" + policy.keys[i].name + "`");
}

}  // namespace

Policy read_policy(const Table& document, const ReadContext& context, DiagnosticList& diagnostics) {
  Policy policy;
  policy.file = context.file;
  const Fields fields(document, {}, "the policy", {kPolicyNames, {}}, diagnostics);
  read_header(fields, policy, diagnostics);
  if (const Entry* keys = fields.find("keys")) policy.keys = read_keys(*keys, context, diagnostics);
  if (const Entry* rules = fields.find("rules"))
    policy.rules = read_rules(*rules, policy.keys, diagnostics);
  else
    diagnostics.warning("no-rules", {}, "the policy has no rules", "a rule begins with [[rules]]");
  // A misspelt reference also leaves its key unused: first things first.
  if (!diagnostics.has_errors()) warn_of_unused_keys(policy, diagnostics);
  return policy;
}

}  // namespace bpfwarden::policy
