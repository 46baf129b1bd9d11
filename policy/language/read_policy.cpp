#include "policy/language/read_policy.h"

#include <algorithm>

#include "policy/language/fields.h"
#include "policy/language/language.h"
#include "policy/language/read_conditions.h"
#include "policy/language/read_keys.h"
#include "policy/language/read_rule.h"
#include "policy/language/read_succession.h"
#include "policy/language/warnings.h"
#include "policy/language/words.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr size_t kMaxDescription = 500;

void read_schema(const Entry* entry, const Fields& fields, DiagnosticList& diagnostics) {
  const auto schema = entry ? fields.integer(*entry) : std::nullopt;
  if (schema && *schema != 1)
    diagnostics.error(entry->value.position,
                      "schema " + std::to_string(*schema) + " is not known to this version",
                      "this version reads schema 1");
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

// Both say how many events of what is allowed there may be.
void read_log(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  const Entry* wanted = fields.find("log-allowed");
  const Entry* limit = fields.find("log-allowed-per-second");
  const bool is_off = wanted && fields.boolean(*wanted) == false;
  if (is_off) policy.log_allowed = 0;
  const auto count = limit ? fields.integer(*limit) : std::nullopt;
  if (!count) return;
  if (is_off)
    return diagnostics.error(limit->position,
                             "`log-allowed-per-second` contradicts `log-allowed = false`",
                             "take one of them out");
  if (*count < 1 || *count >= BW_LOG_ALL)
    return diagnostics.error(
        limit->value.position,
        "`log-allowed-per-second` is from 1 to " + std::to_string(BW_LOG_ALL - 1),
        "for no events of what is allowed write log-allowed = false");
  policy.log_allowed = static_cast<uint32_t>(*count);
}

void read_header(const Fields& fields, Policy& policy, DiagnosticList& diagnostics) {
  read_schema(fields.require("schema", "add schema = 1"), fields, diagnostics);
  if (const Entry* entry = fields.require("name", "add name = \"…\""))
    if (const string* name = fields.label(*entry, BW_POLICY_NAME_SIZE - 1)) policy.name = *name;
  policy.description = read_description(fields);
  read_version(fields, policy, diagnostics);
  if (const Entry* entry = fields.require("mode", "add mode = \"audit\" to try the policy first"))
    policy.mode = fields.word<Mode>(*entry, kModeWords).value_or(Mode::audit);
  if (const Entry* entry = fields.require("default", "add default = \"deny\""))
    policy.default_action = fields.word<Action>(*entry, kDefaultWords).value_or(Action::deny);
  if (const Entry* entry = fields.find("multithreaded-attach"))
    policy.multithreaded_attach =
        fields.word<SharedAttach>(*entry, kSharedAttachWords).value_or(SharedAttach::deny);
  if (const Entry* entry = fields.find("bpf-tokens"))
    policy.bpf_tokens = fields.word<Tokens>(*entry, kTokenWords).value_or(Tokens::allow);
  read_log(fields, policy, diagnostics);
  policy.accept = read_accept(fields, diagnostics);
}

// Only the policy itself has settings that hold for the whole.
void refuse_settings(const Fields& fields, const Table& document, const std::vector<string>& files,
                     DiagnosticList& diagnostics) {
  for (const std::string_view name :
       {"name", "description", "version", "mode", "default", "multithreaded-attach", "bpf-tokens",
        "seal", "policy-signed-by", "policy-signatures-needed", "log-allowed",
        "log-allowed-per-second", "accept"}) {
    const Entry* entry = fields.find(name);
    if (!entry) continue;
    const auto first =
        std::find_if(document.begin(), document.end(), [&](auto& e) { return e.key == name; });
    string place = files.front();
    if (first != document.end()) place += ":" + std::to_string(first->position.line);
    diagnostics.error(entry->position, "`" + entry->key + "` of the policy is set in " + place,
                      "a drop-in adds keys, rules and deny-digests; take it out here");
  }
}

void merge_keys(std::vector<Key> added, Policy& policy, DiagnosticList& diagnostics) {
  for (Key& key : added) {
    const auto first = std::find_if(policy.keys.begin(), policy.keys.end(),
                                    [&](const Key& known) { return known.name == key.name; });
    if (first != policy.keys.end())
      diagnostics.error(key.position, "two keys are called `" + key.name + "`",
                        "the first one is at " + place_text(policy.files, first->position));
    policy.keys.push_back(std::move(key));
  }
}

}  // namespace

string read_description(const Fields& fields) {
  const Entry* entry = fields.find("description");
  const string* text = entry ? fields.label(*entry, kMaxDescription) : nullptr;
  return text ? *text : string();
}

string place_text(const std::vector<string>& files, SourceRange where) {
  const string file = where.file < files.size() ? files[where.file] : string();
  return file + ":" + std::to_string(where.line);
}

SourceRange place_of(const std::vector<SettingPlace>& settings, std::string_view name,
                     SourceRange otherwise) {
  for (const SettingPlace& setting : settings)
    if (setting.name == name) return setting.position;
  return otherwise;
}

Policy read_policy(std::span<const Table> documents, const ReadContext& context,
                   DiagnosticList& diagnostics) {
  Policy policy;
  policy.files = context.files;
  std::vector<Fields> all;
  for (const Table& document : documents) {
    const auto number = static_cast<uint32_t>(all.size());
    all.emplace_back(document, SourceRange{1, 1, 1, number}, number ? "a drop-in" : "the policy",
                     names_of(TableKind::policy), diagnostics);
    if (number == 0) {
      policy.settings = all.front().places();
      read_header(all.front(), policy, diagnostics);
    } else {
      read_schema(all.back().find("schema"), all.back(), diagnostics);
      refuse_settings(all.back(), documents.front(), context.files, diagnostics);
    }
    if (const Entry* entry = all.back().find("deny-digests")) {
      read_digests(all.back(), *entry, policy.deny_digests, diagnostics);
      policy.deny_digests_at = entry->position;
    }
    if (const Entry* keys = all.back().find("keys"))
      merge_keys(read_keys(*keys, context, diagnostics), policy, diagnostics);
  }
  check_signers(policy.keys, diagnostics);
  if (!all.empty()) read_succession(all.front(), policy, diagnostics);
  for (const Fields& fields : all)
    if (const Entry* rules = fields.find("rules")) read_rules(*rules, policy, diagnostics);
  return policy;
}

}  // namespace bpfwarden::policy
