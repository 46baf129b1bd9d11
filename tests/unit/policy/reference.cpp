#include "reference.h"

#include <linux/bpf.h>

#include <algorithm>

namespace bpfwarden::policy::test {
namespace {

// What is known only at attach.
constexpr char kUnknown[] = "?";

// The attach points that a load may end up at. `declared`: those it is loaded for, else also those
// that the kernel does not keep it from.
std::vector<const AttachFamily*> destinations(const Load& load, bool declared) {
  std::vector<const AttachFamily*> found;
  const uint32_t known = load.prog_type == BPF_PROG_TYPE_STRUCT_OPS
                             ? 128
                             : static_cast<uint32_t>(__MAX_BPF_ATTACH_TYPE);
  if (load.attach_type >= known) return found;
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
    if (reached) found.push_back(&family);
  }
  return found;
}

std::string text_at_load(const AttachFamily& family, const Load& load) {
  std::string text(family.name);
  if (family.target == Target::load) text += "/" + load.name;
  if (family.target == Target::attach) text += std::string("/") + kUnknown;
  return text;
}

// A module's or a BPF program's target, `fentry/prog:x`, is meant by who names its owner, or all.
bool is_owned(const std::string& text) {
  constexpr std::string_view heads[] = {
      "fentry",       "fexit",       "fmod_ret",       "fsession", "tp_btf",  "struct_ops",
      "fentry.multi", "fexit.multi", "fsession.multi", "raw_tp",   "raw_tp.w"};
  return std::ranges::find(heads, text.substr(0, text.find('/'))) != std::end(heads) &&
         text.find(':') != std::string::npos;
}

bool is_meant(const std::string& pattern, const std::string& text) {
  if (!pattern.ends_with('*')) return pattern == text;
  const size_t slash = pattern.find('/');
  const bool names_target = slash != std::string::npos && slash + 2 < pattern.size();
  if (names_target && is_owned(pattern) != is_owned(text)) return false;
  return text.starts_with(pattern.substr(0, pattern.size() - 1));
}

// The pattern as the policy has it, cut at its `@`.
struct Written {
  std::string body, place;
};

Written cut(const std::string& text) {
  for (const AttachFamily& family : attach_families())
    if (family.target == Target::attach && text.starts_with(std::string(family.name) + "/"))
      return {text, ""};
  const size_t at = text.find('@');
  if (at == std::string::npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 1)};
}

enum class Match { no, may, yes };

// Whether the body leaves a target open that only the attachment names.
bool asks_for_target(const Written& written, const AttachFamily& family) {
  const std::string head = std::string(family.name) + "/";
  return family.target == Target::attach && written.body.starts_with(head) &&
         written.body != head + "*";
}

Match match_at_load(const Written& written, const Rule& rule, const Load& load) {
  Match best = Match::no;
  const bool denies = rule.action == Action::deny;
  const auto declared = destinations(load, true);
  for (const AttachFamily* family : destinations(load, false)) {
    const bool is_home = std::find(declared.begin(), declared.end(), family) != declared.end();
    if (asks_for_target(written, *family)) {
      if (is_home) best = std::max(best, Match::may);
    } else if (is_meant(written.body, text_at_load(*family, load))) {
      if (!written.place.empty() && is_home) best = std::max(best, Match::may);
      if (written.place.empty() && (is_home || denies)) best = Match::yes;
    }
  }
  return best;
}

// A probe of a system call is attached as one of its function.
bool is_meant_as_syscall(const Written& written, const Rule& rule, const AttachPoint& attach) {
  constexpr std::string_view prefixes[] = {
      "__x64_sys_",          "__arm64_sys_",     "__ia32_sys_",
      "__se_sys_",           "__do_sys_",        "__ia32_compat_sys_",
      "__arm64_compat_sys_", "__se_compat_sys_", "__do_compat_sys_"};
  const std::string_view family = attach_families()[attach.family].name;
  if (family != "kprobe" && family != "kretprobe") return false;
  const std::string head = family == "kprobe" ? "ksyscall/" : "kretsyscall/";
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) {
    const bool is_probed = prefix == "__x64_sys_" || prefix == "__arm64_sys_";
    return (is_probed || rule.action != Action::allow) && attach.target.starts_with(prefix) &&
           is_meant(written.body, head + attach.target.substr(prefix.size()));
  });
}

bool may_be_usdt(std::string_view family) { return family == "uprobe" || family == "uprobe.multi"; }

// A USDT probe is attached as a uprobe somewhere in its file; where, only the file tells.
bool is_meant_as_usdt(const Written& written, const Rule& rule, const AttachPoint& attach) {
  constexpr std::string_view head = "usdt/";
  if (!may_be_usdt(attach_families()[attach.family].name)) return false;
  const bool is_whole = written.body.ends_with('*') && written.body.size() <= head.size() + 1;
  if (is_whole) return is_meant(written.body, "usdt/x");
  if (rule.action == Action::allow || !written.body.starts_with(head)) return false;
  const std::string_view target = std::string_view(written.body).substr(head.size());
  const size_t end = target.find_first_of(":*");
  const bool is_whole_file = end != std::string_view::npos && target[end] == ':';
  return attach.target.starts_with(target.substr(0, is_whole_file ? end + 1 : end));
}

// A target that cannot be found out is what rules that refuse are about, and rules about all.
bool is_meant_unknown(const Written& written, const Rule& rule, const AttachPoint& attach) {
  const AttachFamily& family = attach_families()[attach.family];
  const std::string head = std::string(family.name) + "/";
  if (is_meant(written.body, head + kUnknown)) return true;
  const bool is_usdt = may_be_usdt(family.name) && is_meant(written.body, "usdt/?");
  if (is_usdt || rule.action == Action::allow) return is_usdt;
  const auto names = [&](std::string_view other) {
    return written.body.starts_with(other) || is_meant(written.body, std::string(other) + kUnknown);
  };
  // `__se_sys_` is the shortest beginning of a call's function, and no function's name is longer.
  const auto names_call = [&](std::string_view other) {
    const size_t target = written.body.size() - std::min(written.body.size(), other.size());
    return names(other) && target - written.body.ends_with('*') + 9 <= 127;
  };
  return written.body.starts_with(head) || (family.name == "kprobe" && names_call("ksyscall/")) ||
         (family.name == "kretprobe" && names_call("kretsyscall/")) ||
         (may_be_usdt(family.name) && names("usdt/"));
}

bool match_at_attach(const Written& written, const Rule& rule, const AttachPoint& attach) {
  if (attach.target.empty() && attach_families()[attach.family].target == Target::attach)
    return is_meant_unknown(written, rule, attach);
  AttachPoint plain = attach;
  plain.place.clear();
  if (!is_meant(written.body, attach_point_text(plain)) &&
      !is_meant_as_syscall(written, rule, attach) && !is_meant_as_usdt(written, rule, attach))
    return false;
  if (written.place.empty()) return true;
  return attach.place.empty() ? rule.action != Action::allow
                              : is_meant(written.place, attach.place);
}

Match match_attach_point(const Rule& rule, const Load& load) {
  Match best = Match::no;
  for (const AttachEntry& entry : rule.attach) {
    const Written written = cut(entry.pattern.text);
    if (!load.attach)
      best = std::max(best, match_at_load(written, rule, load));
    else if (match_at_attach(written, rule, *load.attach))
      best = Match::yes;
  }
  return best;
}

// ---- Who, which, when ---------------------------------------------------------------------------

// A revoked key is nobody's, and vouches for nobody.
bool is_revoked(const Policy& policy, const Load& load) {
  const auto is_in_use = [&](const std::vector<uint8_t>& key) {
    return key == load.public_key ||
           (load.issued && std::ranges::find(load.below, key) != load.below.end());
  };
  return std::ranges::any_of(policy.keys, [&](const Key& key) {
    return std::ranges::any_of(key.revoked, [&](const Certificate& certificate) {
      return is_in_use(certificate.public_key);
    });
  });
}

// Every certificate above the signer's must be that of a CA; a key that the policy names as an
// issuer is known to be.
bool names_key(const Key& key, const Load& load) {
  if (key.keyring != load.keyring) return false;
  if (key.certificates.empty() && key.issuers.empty()) return !load.issued || load.may_issue;
  for (const Certificate& certificate : load.issued ? key.issuers : key.certificates)
    if (!load.public_key.empty() && certificate.public_key == load.public_key)
      return !load.issued || certificate.is_ca;
  return false;
}

bool vouched(const Policy& policy, const Rule& rule, const Load& load) {
  if (load.signature < rule.signature) return false;
  if (rule.signed_by.empty()) return true;
  if (is_revoked(policy, load)) return false;
  return std::any_of(rule.signed_by.begin(), rule.signed_by.end(), [&](const KeyReference& name) {
    return names_key(policy.keys[name.key], load);
  });
}

bool knows_signer(const Policy& policy, const Load& load) {
  if (is_revoked(policy, load)) return false;
  if (load.keyring && (!load.issued || load.may_issue)) return true;
  return std::any_of(policy.keys.begin(), policy.keys.end(),
                     [&](const Key& key) { return names_key(key, load); });
}

bool path_fits(const std::vector<PathPattern>& patterns, const std::optional<std::string>& path,
               bool denies) {
  if (patterns.empty()) return true;
  if (!path) return denies;
  return std::any_of(patterns.begin(), patterns.end(), [&](const PathPattern& pattern) {
    return pattern.is_prefix ? path->starts_with(pattern.text) : *path == pattern.text;
  });
}

template <class T>
bool holds(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_in_force(const Rule& rule, const Load& load) {
  return (!rule.not_before || load.time >= *rule.not_before) &&
         (!rule.expires || load.time < *rule.expires);
}

bool subject_fits(const Rule& rule, const Load& load) {
  // What cannot be read refuses where the rule does.
  const bool denies =
      rule.action == Action::deny || (rule.action == Action::load_only && load.attach.has_value());
  if (!rule.uids.empty() && !holds(rule.uids, load.uid)) return false;
  return path_fits(rule.exes, load.exe, denies) && path_fits(rule.cgroups, load.cgroup, denies);
}

bool program_fits(const Rule& rule, const Load& load) {
  return rule.origin.value_or(load.origin) == load.origin &&
         rule.sleepable.value_or(load.sleepable) == load.sleepable &&
         rule.delegated.value_or(load.delegated) == load.delegated &&
         rule.license.value_or(load.license) == load.license;
}

// A digest that is not yet known may turn out to be any.
Match match_digest(const Rule& rule, const Load& load) {
  if (rule.digests.empty()) return Match::yes;
  if (!load.digest) return load.attach ? Match::no : Match::may;
  return holds(rule.digests, *load.digest) ? Match::yes : Match::no;
}

bool admits_children(const Rule& rule) {
  return rule.action != Action::deny && !rule.signed_by.empty() &&
         rule.origin.value_or(Origin::loader) == Origin::loader;
}

// The mode of denials that no rule makes.
Mode fixed_mode(const Policy& policy, const Load& load) {
  const bool enforces = std::any_of(
      policy.rules.begin(), policy.rules.end(),
      [&](const Rule& rule) { return rule.mode == Mode::enforce && is_in_force(rule, load); });
  return enforces ? Mode::enforce : policy.mode;
}

}  // namespace

std::vector<AttachPoint> seen_by_the_kernel(const AttachPoint& point) {
  const std::string_view family = attach_families()[point.family].name;
  std::vector<AttachPoint> seen = {point};
#ifdef __aarch64__
  const std::string function = "__arm64_sys_" + point.target;
#else
  const std::string function = "__x64_sys_" + point.target;
#endif
  if (family == "ksyscall") seen = {{*find_family("kprobe"), function, {}}};
  if (family == "kretsyscall") seen = {{*find_family("kretprobe"), function, {}}};
  if (family == "usdt") {
    const std::string target = point.target.substr(0, point.target.find(':')) + ":0x…";
    seen = {{*find_family("uprobe"), target, {}}, {*find_family("uprobe.multi"), target, {}}};
  }
  for (AttachPoint& one : seen)
    if (one.target.size() > 127) one.target.clear();
  return seen;
}

std::vector<Load> seen_by_the_kernel(const Load& load) {
  if (!load.attach) return {load};
  std::vector<Load> ways;
  for (AttachPoint& point : seen_by_the_kernel(*load.attach)) {
    Load& way = ways.emplace_back(load);
    if (&way != &ways.front()) way.attach_type = attach_families()[point.family].attach_type;
    way.attach = std::move(point);
  }
  return ways;
}

Verdict judge(const Policy& policy, const Load& said) {
  const Load load = seen_by_the_kernel(said).front();
  const Mode fixed = fixed_mode(policy, load);
  if (load.guard != BW_CAUSE_RULE) return {false, fixed, load.guard, {}};
  if (destinations(load, true).empty()) return {false, fixed, BW_CAUSE_UNKNOWN_ATTACH, {}};
  if (load.digest && holds(policy.deny_digests, *load.digest))
    return {false, fixed, BW_CAUSE_DENIED_DIGEST, {}};

  const bool signed_loader = load.prog_type == BPF_PROG_TYPE_SYSCALL &&
                             load.signature != Signature::unsigned_ && knows_signer(policy, load);
  std::optional<Mode> trial;
  for (size_t i = 0; i < policy.rules.size(); i++) {
    const Rule& rule = policy.rules[i];
    if (!is_in_force(rule, load)) continue;
    const Match attach = match_attach_point(rule, load);
    if (attach != Match::no && rule.mode && !trial) trial = rule.mode;
    if (!vouched(policy, rule, load) || !subject_fits(rule, load)) continue;
    // What may match admits; only what surely matches refuses.
    const Match needed = rule.action == Action::deny ? Match::yes : Match::may;
    const bool matches =
        attach >= needed && match_digest(rule, load) >= needed && program_fits(rule, load);
    if (!matches && !(signed_loader && admits_children(rule))) continue;
    // What a rule loads only may not run; a signed loader of such programs may.
    const bool allows = rule.action == Action::allow ||
                        (rule.action == Action::load_only && (!load.attach || !matches));
    return {allows, rule.mode.value_or(policy.mode), BW_CAUSE_RULE, i};
  }
  return {
      policy.default_action == Action::allow, trial.value_or(policy.mode), BW_CAUSE_DEFAULT, {}};
}

}  // namespace bpfwarden::policy::test
