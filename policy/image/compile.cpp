#include "policy/image/compile.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "bpf-lsm/decide.h"
#include "policy/image/coverage.h"
#include "policy/image/family_table.h"
#include "policy/image/pattern_table.h"
#include "policy/image/signers.h"

namespace bpfwarden::policy {
namespace {

void set_bit(bw_vector& vector, size_t bit) { vector.words[bit / 64] |= uint64_t{1} << bit % 64; }

// The rest of `to` is already zero, and stays so: a terminating NUL is left.
template <size_t size>
[[nodiscard]] bool copy_text(char (&to)[size], const std::string& from) {
  if (from.size() >= size) return false;
  std::memcpy(to, from.data(), from.size());
  return true;
}

Status write_header(const Policy& policy, std::span<const uint8_t, 32> digest, bw_image& image) {
  image.magic = BW_IMAGE_MAGIC;
  image.abi = BW_IMAGE_ABI;
  image.size = sizeof(bw_image);
  image.policy_version = policy.version;
  image.rule_count = static_cast<uint32_t>(policy.rules.size());
  image.mode = static_cast<uint32_t>(policy.mode);
  image.default_allow = policy.default_action == Action::allow;
  image.log_allowed = policy.log_allowed;
  std::copy(digest.begin(), digest.end(), image.policy_digest);
  if (!copy_text(image.policy_name, policy.name)) return fail("the policy's name is too long");
  return {};
}

void write_classes(bw_image& image) {
  for (uint32_t prog_type = 0; prog_type < BW_PROG_TYPES; prog_type++)
    for (uint32_t attach_type = 0; attach_type < BW_ATTACH_TYPES; attach_type++)
      image.class_of[prog_type][attach_type] = load_class_of(prog_type, attach_type);
  for (size_t i = 0; i < load_classes().size(); i++)
    image.classes[i].flags = load_classes()[i].flags;
  // Where no rule names a place or a subject, none is asked for.
  constexpr bw_match_sets all = {BW_VECTOR_ALL, BW_VECTOR_ALL};
  for (size_t i = BW_CLASS_PLACE; i < size_t{BW_CLASS_SUBJECT} + BW_NAMES; i++)
    image.classes[i].other = image.classes[i].unknown = all;
}

// ---- Signers ------------------------------------------------------------------------------------

struct Signers {
  std::vector<std::set<size_t>> slots_of_key;  // by index into Policy::keys
};

// What a slot stands for, beside the public key.
struct SlotKind {
  uint16_t kind;     // BW_SIGNER_*
  uint16_t keyring;  // slot of the system keyring, or 0
};

// The slot of a public key, a new one where needed.
Result<size_t> slot_for(const Certificate& certificate, SlotKind kind, const std::string& name,
                        bw_image& image) {
  const bw_key key = kernel_key(certificate);
  if (key.length == 0) return fail("the public key of " + certificate.path + " does not fit");
  const uint32_t known = bw_slot_of_key(&image, &key, kind.kind, kind.keyring);
  if (known != BW_SIGNER_UNKNOWN) {
    image.signers[known].not_after =
        std::max<int64_t>(image.signers[known].not_after, certificate.not_after);
    return known;
  }
  if (image.signer_count == BW_MAX_SIGNERS) return fail("the policy has too many public keys");
  bw_signer& signer = image.signers[image.signer_count];
  if (!copy_text(signer.name, name)) return fail("the name of key `" + name + "` is too long");
  signer.not_after = certificate.not_after;
  std::ranges::copy(certificate.key_digest, signer.key_digest);
  signer.kind = kind.kind;
  signer.keyring = kind.keyring;
  signer.key_length = key.length;
  std::memcpy(signer.key, key.bytes, sizeof(signer.key));
  signer.key_hash = bw_hash_of_key(&key);
  std::memcpy(signer.algorithm, key.algorithm, sizeof(signer.algorithm));
  return image.signer_count++;
}

Status write_key(const Key& key, std::set<size_t>& slots, bw_image& image) {
  const auto keyring = static_cast<uint16_t>(key.keyring ? static_cast<int>(*key.keyring) : 0);
  const auto add = [&](const std::vector<Certificate>& certificates, SlotKind kind) -> Status {
    for (const Certificate& certificate : certificates) {
      if (kind.kind == BW_SIGNER_ISSUER && !certificate.is_ca) continue;  // may not issue
      const auto slot = slot_for(certificate, kind, key.name, image);
      if (!slot) return std::unexpected(slot.error());
      if (kind.kind != BW_SIGNER_REVOKED) slots.insert(*slot);
    }
    return {};
  };
  if (Status added = add(key.certificates, {BW_SIGNER_KEY, keyring}); !added) return added;
  if (Status added = add(key.issuers, {BW_SIGNER_ISSUER, keyring}); !added) return added;
  return add(key.revoked, {BW_SIGNER_REVOKED, 0});
}

// A whole keyring: its own slot, and the slots of single keys that are said to be in it.
Status write_keyring(const Key& key, std::set<size_t>& slots, bw_image& image) {
  const auto own = static_cast<size_t>(*key.keyring);
  if (image.signers[own].name[0] == 0 && !copy_text(image.signers[own].name, key.name))
    return fail("the name of key `" + key.name + "` is too long");
  slots.insert(own);
  for (size_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++)
    if (image.signers[slot].keyring == own && image.signers[slot].kind != BW_SIGNER_REVOKED)
      slots.insert(slot);
  return {};
}

Result<Signers> write_signers(const Policy& policy, bw_image& image) {
  Signers signers;
  signers.slots_of_key.resize(policy.keys.size());
  image.signer_count = BW_SIGNER_FIRST_KEY;
  for (const bool whole : {false, true})
    for (size_t i = 0; i < policy.keys.size(); i++) {
      const Key& key = policy.keys[i];
      if (is_whole_keyring(key) != whole) continue;
      std::set<size_t>& slots = signers.slots_of_key[i];
      Status written = whole ? write_keyring(key, slots, image) : write_key(key, slots, image);
      if (!written) return std::unexpected(std::move(written.error()));
    }
  return signers;
}

// Who may sign the next policy. What another key of this one revokes counts nowhere.
void write_succession(const Policy& policy, const Signers& signers, bw_image& image) {
  if (policy.seal) image.flags |= BW_IMAGE_SEAL;
  for (const KeyReference& reference : policy.policy_signers.keys)
    for (const size_t slot : signers.slots_of_key[reference.key])
      if (slot >= BW_SIGNER_FIRST_KEY &&
          bw_unless_revoked(&image, static_cast<uint32_t>(slot)) != BW_SIGNER_UNKNOWN)
        image.policy_signers |= uint64_t{1} << slot;
  image.policy_signatures = image.policy_signers != 0 ? policy.policy_signers.needed : 0;
}

// ---- Rules --------------------------------------------------------------------------------------

void write_who(const Rule& rule, size_t index, const Signers& signers, bw_image& image) {
  for (auto least = static_cast<size_t>(rule.signature); least < BW_SIGNATURES; least++)
    set_bit(image.signature[least], index);
  if (rule.signed_by.empty()) {
    for (bw_vector& signer : image.signer) set_bit(signer, index);
    return;
  }
  set_bit(image.keyed, index);
  for (const KeyReference& reference : rule.signed_by)
    for (const size_t slot : signers.slots_of_key[reference.key])
      set_bit(image.signer[slot], index);
}

NameKind kind_of(TargetMatch match) {
  return match == TargetMatch::exact    ? NameKind::exact
         : match == TargetMatch::prefix ? NameKind::prefix
                                        : NameKind::any;
}

// What a load says about an entry that is not about whole families.
void add_narrow_at_load(const AttachEntry& entry, const LoadClass& load, uint16_t number,
                        uint32_t index, PatternTable& patterns) {
  const AttachPattern& pattern = entry.pattern;
  if (is_whole(pattern) || (pattern.families & load.home).none()) return;
  if ((load.flags & BW_CLASS_NAMED) == 0)
    return patterns.add(number, NameKind::unknown, "", index, {false, true});
  const bool sure = pattern.place.match == TargetMatch::all;
  patterns.add(number, kind_of(pattern.target.match), target_in_facts(pattern), index,
               {sure, true});
}

void add_at_load(const Rule& rule, uint32_t index, PatternTable& patterns) {
  const FamilySet named = named_families(rule);
  for (size_t i = 1; i < load_classes().size(); i++) {
    const LoadClass& load = load_classes()[i];
    const auto number = static_cast<uint16_t>(i);
    const Coverage coverage = coverage_of(rule.action, named, load);
    // A deny rule about whole families decides for all that a load may become.
    const bool sure = coverage.others.none() || rule.action == Action::deny;
    if (coverage.matches) patterns.add(number, NameKind::any, "", index, {sure, true});
    for (const AttachEntry& entry : rule.attach)
      add_narrow_at_load(entry, load, number, index, patterns);
  }
}

// A name that cannot be found out at attach meets the conditions of rules that refuse there, and of
// no others.
void add_exactly(const TextMatch& text, uint16_t name_class, const Rule& rule, uint32_t index,
                 PatternTable& patterns) {
  patterns.add(name_class, kind_of(text.match), text.text, index, {true, true});
  if (rule.action != Action::allow)
    patterns.add(name_class, NameKind::unknown, "", index, {true, true});
}

void add_at_attach(const Rule& rule, uint32_t index, const FamilySet& with_places,
                   PatternTable& patterns) {
  for (const AttachEntry& entry : rule.attach) {
    const AttachPattern& pattern = entry.pattern;
    for (size_t i = 0; i < attach_families().size(); i++) {
      if (!pattern.families.test(i)) continue;
      if (attach_families()[i].target != Target::load)
        add_exactly({pattern.target.match, target_in_facts(i, pattern.target.text)},
                    static_cast<uint16_t>(BW_CLASS_ATTACH + i), rule, index, patterns);
      for (const SeenAs& seen : seen_as(i, pattern.target, rule.action))
        if (!pattern.families.test(seen.family))
          add_exactly(seen.target, static_cast<uint16_t>(BW_CLASS_ATTACH + seen.family), rule,
                      index, patterns);
      if (with_places.test(i))
        add_exactly(pattern.place, static_cast<uint16_t>(BW_CLASS_PLACE + i), rule, index,
                    patterns);
    }
  }
}

FamilySet families_with_places(const Policy& policy) {
  FamilySet found;
  for (const Rule& rule : policy.rules)
    for (const AttachEntry& entry : rule.attach)
      if (entry.pattern.place.match != TargetMatch::all) found |= entry.pattern.families;
  return found;
}

// ---- Subjects and programs ----------------------------------------------------------------------

// The names that rules put on one dimension; empty for a rule without such a condition.
using NamesOf = std::vector<PathPattern> (*)(const Rule&);

std::vector<PathPattern> exes_of(const Rule& rule) { return rule.exes; }

std::vector<PathPattern> cgroups_of(const Rule& rule) { return rule.cgroups; }

std::vector<PathPattern> uids_of(const Rule& rule) {
  std::vector<PathPattern> names;
  for (const uint32_t uid : rule.uids) {
    std::string bytes(sizeof(uid), 0);
    std::memcpy(bytes.data(), &uid, sizeof(uid));
    names.push_back({std::move(bytes), false});
  }
  return names;
}

std::vector<PathPattern> digests_of(const Rule& rule) {
  std::vector<PathPattern> names;
  for (const ProgramDigest& digest : rule.digests)
    names.push_back({std::string(digest.begin(), digest.end()), false});
  return names;
}

// True if any rule has such a condition. Who could not be identified meets the conditions of rules
// that refuse, and of no others: load-only ones do so at attach. A digest that is not yet known
// leaves the question open.
bool add_condition(const Policy& policy, bw_dimension dimension, NamesOf names_of,
                   PatternTable& patterns) {
  const auto name_class = static_cast<uint16_t>(BW_CLASS_SUBJECT + int{dimension});
  const auto has_names = [&](const Rule& rule) { return !names_of(rule).empty(); };
  if (std::none_of(policy.rules.begin(), policy.rules.end(), has_names)) return false;
  for (uint32_t i = 0; i < policy.rules.size(); i++) {
    const Rule& rule = policy.rules[i];
    const auto names = names_of(rule);
    if (names.empty()) patterns.add(name_class, NameKind::any, "", i, {true, true});
    for (const PathPattern& name : names)
      patterns.add(name_class, name.is_prefix ? NameKind::prefix : NameKind::exact, name.text, i,
                   {true, true});
    if (names.empty()) continue;
    if (dimension == BW_NAME_DIGEST)
      patterns.add(name_class, NameKind::unknown, "", i, {false, true});
    else if (rule.action != Action::allow)
      patterns.add(name_class, NameKind::unknown, "", i, {rule.action == Action::deny, true});
  }
  return true;
}

void add_names(const Policy& policy, PatternTable& patterns, bw_image& image) {
  const FamilySet with_places = families_with_places(policy);
  for (uint32_t i = 0; i < policy.rules.size(); i++) {
    add_at_load(policy.rules[i], i, patterns);
    add_at_attach(policy.rules[i], i, with_places, patterns);
  }
  if (add_condition(policy, BW_NAME_EXE, exes_of, patterns)) image.flags |= BW_IMAGE_EXE;
  if (add_condition(policy, BW_NAME_CGROUP, cgroups_of, patterns)) image.flags |= BW_IMAGE_CGROUP;
  (void)add_condition(policy, BW_NAME_UID, uids_of, patterns);  // always gathered
  if (add_condition(policy, BW_NAME_DIGEST, digests_of, patterns)) image.flags |= BW_IMAGE_DIGEST;
  for (const ProgramDigest& digest : policy.deny_digests) {
    patterns.add(BW_CLASS_DENIED_DIGEST, NameKind::exact, std::string(digest.begin(), digest.end()),
                 0, {});
    image.flags |= BW_IMAGE_DIGEST;
  }
}

// ---- Dates --------------------------------------------------------------------------------------

bool is_in_force(const Rule& rule, int64_t time) {
  return time >= rule.not_before.value_or(INT64_MIN) && (!rule.expires || time < *rule.expires);
}

Status write_periods(const Policy& policy, bw_image& image) {
  std::set<int64_t> starts = {INT64_MIN};
  for (const Rule& rule : policy.rules)
    for (const auto& date : {rule.not_before, rule.expires})
      if (date) starts.insert(*date);
  if (starts.size() > BW_MAX_TIMES)
    return fail("the rules have " + std::to_string(starts.size() - 1) + " different dates; " +
                    std::to_string(BW_MAX_TIMES - 1) + " fit",
                "let rules expire on common days");
  for (const int64_t start : starts) {
    bw_period& period = image.periods[image.period_count++];
    period.from = start;
    for (size_t i = 0; i < policy.rules.size(); i++)
      if (is_in_force(policy.rules[i], start)) set_bit(period.rules, i);
  }
  return {};
}

void write_traits(const Rule& rule, size_t index, bw_image& image) {
  for (size_t origin = 0; origin < BW_ORIGINS; origin++)
    if (!rule.origin || static_cast<size_t>(*rule.origin) == origin)
      set_bit(image.origin[origin], index);
  const auto add = [&](bw_trait trait, std::optional<bool> wanted) {
    for (const bool value : {false, true})
      if (wanted.value_or(value) == value) set_bit(image.trait[trait][value], index);
  };
  add(BW_TRAIT_SLEEPABLE, rule.sleepable);
  add(BW_TRAIT_DELEGATED, rule.delegated);
  add(BW_TRAIT_GPL_COMPATIBLE,
      rule.license ? std::optional(*rule.license == License::gpl_compatible) : std::nullopt);
}

// By rule, and for what no rule decides.
void write_multithreaded_attach(const Policy& policy, bw_image& image) {
  if (policy.multithreaded_attach == SharedAttach::detect)
    image.flags |= BW_IMAGE_DETECT | BW_IMAGE_DETECT_SOME;
  for (size_t i = 0; i < policy.rules.size(); i++) {
    const auto setting = policy.rules[i].multithreaded_attach;
    if (setting.value_or(policy.multithreaded_attach) != SharedAttach::detect) continue;
    set_bit(image.detect, i);
    image.flags |= BW_IMAGE_DETECT_SOME;
  }
}

Status write_rule(const Rule& rule, size_t index, const Signers& signers, bw_image& image) {
  if (!copy_text(image.rules[index].name, rule.name))
    return fail("the name of rule `" + rule.name + "` is too long");
  image.rules[index].line = rule.position.line;
  image.rules[index].file = rule.position.file;
  if (rule.action != Action::deny) set_bit(image.allow, index);
  if (rule.action == Action::load_only) set_bit(image.load_only, index);
  if (rule.mode == Mode::audit) set_bit(image.audit, index);
  if (rule.mode == Mode::enforce) set_bit(image.enforce, index);
  if (!rule.log) set_bit(image.quiet, index);
  write_who(rule, index, signers, image);
  write_traits(rule, index, image);
  return {};
}

}  // namespace

bool decides_at_attach(const Policy& policy) {
  return std::any_of(policy.rules.begin(), policy.rules.end(), [](const Rule& rule) {
    return rule.action == Action::load_only ||
           std::any_of(rule.attach.begin(), rule.attach.end(),
                       [](const AttachEntry& entry) { return falls_at_attach(entry.pattern); });
  });
}

Result<std::unique_ptr<bw_image>> compile(const Policy& policy,
                                          std::span<const uint8_t, 32> digest) {
  if (policy.rules.size() > BW_MAX_RULES) return fail("the policy has too many rules");
  auto image = std::make_unique<bw_image>();
  if (Status header = write_header(policy, digest, *image); !header)
    return std::unexpected(std::move(header.error()));
  write_classes(*image);
  write_families(*image);
  const auto signers = write_signers(policy, *image);
  if (!signers) return std::unexpected(signers.error());
  for (size_t i = 0; i < policy.rules.size(); i++)
    if (Status rule = write_rule(policy.rules[i], i, *signers, *image); !rule)
      return std::unexpected(std::move(rule.error()));
  write_succession(policy, *signers, *image);
  write_multithreaded_attach(policy, *image);
  if (policy.bpf_tokens == Tokens::deny) image->flags |= BW_IMAGE_NO_TOKENS;
  image->harden = policy.harden;
  if (Status periods = write_periods(policy, *image); !periods)
    return std::unexpected(std::move(periods.error()));
  PatternTable patterns;
  add_names(policy, patterns, *image);
  if (decides_at_attach(policy)) image->flags |= BW_IMAGE_ATTACH;
  if (Status written = patterns.write(*image); !written)
    return std::unexpected(std::move(written.error()));
  return image;
}

}  // namespace bpfwarden::policy
