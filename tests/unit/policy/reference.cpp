#include "reference.h"

#include <linux/bpf.h>

#include <algorithm>

namespace bpfwarden::policy::test {
namespace {

// The full texts of the attach points that a load may end up at. `declared`: those it is loaded
// for, else also those that the kernel does not keep it from.
std::vector<std::string> destinations(const Load& load, bool declared) {
  std::vector<std::string> texts;
  const uint32_t known = load.prog_type == BPF_PROG_TYPE_STRUCT_OPS
                             ? 128
                             : static_cast<uint32_t>(__MAX_BPF_ATTACH_TYPE);
  if (load.attach_type >= known) return texts;
  const auto is_declared = [&](const AttachFamily& family) {
    return family.prog_type == load.prog_type && family.scope == Scope::exact &&
           family.attach_type == load.attach_type;
  };
  const bool claimed = std::any_of(attach_families().begin(), attach_families().end(), is_declared);
  for (const AttachFamily& family : attach_families()) {
    bool reached = is_declared(family);
    if (family.prog_type == load.prog_type && family.scope == Scope::rest) reached = !claimed;
    if (family.prog_type == load.prog_type && family.scope == Scope::always)
      reached = !claimed || !declared;
    if (!reached) continue;
    std::string text(family.name);
    if (family.target == Target::load) text += "/" + load.name;
    if (family.target == Target::attach) text += "/whatever-it-will-be";
    texts.push_back(text);
  }
  return texts;
}

bool is_meant(const std::string& pattern, const std::string& attach_point) {
  if (!pattern.ends_with('*')) return pattern == attach_point;
  return attach_point.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool names(const Rule& rule, const Load& load) {
  for (const std::string& text : destinations(load, rule.action == Action::allow))
    for (const AttachEntry& entry : rule.attach)
      if (is_meant(entry.pattern.text, text)) return true;
  return false;
}

bool vouched(const Policy& policy, const Rule& rule, const Load& load) {
  if (load.signature < rule.signature) return false;
  if (rule.signed_by.empty()) return true;
  for (const KeyReference& reference : rule.signed_by) {
    const Key& key = policy.keys[reference.key];
    if (load.keyring && key.keyring == load.keyring) return true;
    for (const CertificateInfo& certificate : key.certificates)
      if (!load.public_key.empty() && certificate.public_key == load.public_key) return true;
  }
  return false;
}

bool knows_signer(const Policy& policy, const Load& load) {
  if (load.keyring) return true;
  for (const Key& key : policy.keys)
    for (const CertificateInfo& certificate : key.certificates)
      if (!load.public_key.empty() && certificate.public_key == load.public_key) return true;
  return false;
}

}  // namespace

Verdict judge(const Policy& policy, const Load& load) {
  if (load.guard != BW_CAUSE_RULE) return {false, policy.mode, load.guard, {}};
  if (destinations(load, true).empty()) return {false, policy.mode, BW_CAUSE_UNKNOWN_ATTACH, {}};

  const bool signed_loader = load.prog_type == BPF_PROG_TYPE_SYSCALL &&
                             load.signature != Signature::unsigned_ && knows_signer(policy, load);
  std::optional<Mode> trial;
  for (size_t i = 0; i < policy.rules.size(); i++) {
    const Rule& rule = policy.rules[i];
    const bool named = names(rule, load);
    if (named && rule.mode && !trial) trial = rule.mode;
    if (!vouched(policy, rule, load)) continue;
    const bool for_children =
        signed_loader && rule.action == Action::allow && !rule.signed_by.empty();
    if (named || for_children)
      return {rule.action == Action::allow, rule.mode.value_or(policy.mode), BW_CAUSE_RULE, i};
  }
  return {
      policy.default_action == Action::allow, trial.value_or(policy.mode), BW_CAUSE_DEFAULT, {}};
}

}  // namespace bpfwarden::policy::test
