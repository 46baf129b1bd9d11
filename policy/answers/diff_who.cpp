#include "policy/answers/diff_who.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/language/words.h"
#include "policy/text/date.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

RuleWords looked_up(const bw_image& image, const Situation& situation, bw_dimension dimension,
                    bool sure) {
  const bw_facts facts = facts_of(situation, BW_STAGE_LOAD);
  const bw_match_sets sets = bw_look_up(&image, &facts, dimension);
  return words_of(image.vectors[sure ? sets.sure : sets.may]);
}

// A value on one dimension of names.
PropertyValue named_value(const DiffSides& sides, bw_dimension dimension, string text,
                          std::function<void(Situation&, size_t)> set) {
  PropertyValue value = {std::move(text), std::move(set)};
  for (size_t i = 0; i < 2; i++) {
    Situation situation;
    value.set(situation, i);
    const bw_image& image = sides[i].image;
    if (dimension != BW_NAME_DIGEST) {
      value.verdicts.who[i] = looked_up(image, situation, dimension, true);
      value.verdicts.at_attach[i] = looked_up(image, situation, dimension, false);
      continue;
    }
    value.verdicts.digest_sure[i] = looked_up(image, situation, dimension, true);
    value.verdicts.digest_may[i] = looked_up(image, situation, dimension, false);
    const bw_facts facts = facts_of(situation, BW_STAGE_LOAD);
    value.verdicts.is_denied_digest[i] = bw_is_denied_digest(&image, &facts) != 0;
  }
  return value;
}

Property path_values(const DiffSides& sides, bw_dimension dimension, string name,
                     std::vector<PathPattern> Rule::* patterns,
                     std::optional<string> Situation::* fact) {
  std::map<string, string> found;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const PathPattern& pattern : rule.*patterns)
        found.emplace(pattern.is_prefix ? fresh_name(pattern.text) : pattern.text,
                      pattern.is_prefix ? pattern.text + "*" : pattern.text);
  Property property = {std::move(name), {}};
  if (found.empty()) return property;
  found.emplace(fresh_name("/"), "any other");
  for (const auto& [path, text] : found)
    property.values.push_back(named_value(
        sides, dimension, text, [fact, value = path](Situation& s, size_t) { s.*fact = value; }));
  property.values.push_back(named_value(sides, dimension, "one that cannot be read",
                                        [fact](Situation& s, size_t) { (s.*fact).reset(); }));
  return property;
}

Property uid_values(const DiffSides& sides) {
  std::set<uint32_t> uids;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules) uids.insert(rule.uids.begin(), rule.uids.end());
  Property property = {"uid", {}};
  if (uids.empty()) return property;
  uint32_t other = 60'000;
  while (uids.contains(other)) other++;
  for (const uint32_t uid : uids)
    property.values.push_back(named_value(sides, BW_NAME_UID, std::to_string(uid),
                                          [uid](Situation& s, size_t) { s.uid = uid; }));
  property.values.push_back(named_value(sides, BW_NAME_UID, "any other",
                                        [other](Situation& s, size_t) { s.uid = other; }));
  return property;
}

Property digest_values(const DiffSides& sides) {
  std::set<ProgramDigest> digests;
  for (const DiffSide& side : sides) {
    digests.insert(side.policy.deny_digests.begin(), side.policy.deny_digests.end());
    for (const Rule& rule : side.policy.rules)
      digests.insert(rule.digests.begin(), rule.digests.end());
  }
  Property property = {"digest", {}};
  if (digests.empty()) return property;
  ProgramDigest other = {};
  while (digests.contains(other)) other.back()++;
  const auto add = [&](const ProgramDigest& digest, string text) {
    property.values.push_back(named_value(sides, BW_NAME_DIGEST, std::move(text),
                                          [digest](Situation& s, size_t) { s.digest = digest; }));
  };
  for (const ProgramDigest& digest : digests) add(digest, digest_text(digest));
  add(other, "any other");
  property.values.push_back(named_value(sides, BW_NAME_DIGEST, "one that is not known",
                                        [](Situation& s, size_t) { s.digest.reset(); }));
  return property;
}

// Who may sign, the same for both images: by slot of each.
struct SharedSigner {
  string name;
  std::array<uint32_t, 2> slots;
};

bw_key key_of(const bw_signer& signer) {
  bw_key key = {};
  key.length = signer.key_length;
  std::copy(std::begin(signer.key), std::end(signer.key), key.bytes);
  std::copy(std::begin(signer.algorithm), std::end(signer.algorithm), key.algorithm);
  return key;
}

// A signature by `key` (nullptr: one that neither policy names), whose certificate `issuer` issued
// (nullptr: nobody that either names). Verified against a keyring that has both, the key comes
// first.
uint32_t slot_of(const bw_image& image, const bw_signer* key, const bw_signer* issuer,
                 uint32_t keyring) {
  const bw_signed_by alone = signed_by(key ? key_of(*key) : bw_key());
  const uint32_t slot = bw_find_signer(&image, &alone, keyring);
  if (!issuer || slot >= BW_SIGNER_FIRST_KEY) return slot;
  bw_signed_by issued = issued_by(key_of(*issuer), true);
  if (key) issued.chain[issued.chain_length++] = key->key_hash;
  return bw_find_signer(&image, &issued, keyring);
}

// The keys that either policy names, the issuers among them apart; first none at all.
std::vector<const bw_signer*> named_keys(const DiffSides& sides, bool issuers) {
  std::vector<const bw_signer*> keys = {nullptr};
  for (const DiffSide& side : sides)
    for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < side.image.signer_count; slot++)
      if ((side.image.signers[slot].kind == BW_SIGNER_ISSUER) == issuers)
        keys.push_back(&side.image.signers[slot]);
  return keys;
}

string signer_text(const bw_signer* key, const bw_signer* issuer, uint32_t keyring) {
  string text = "a key that neither policy knows";
  if (key)
    text = key->kind == BW_SIGNER_REVOKED ? "one that `" + string(key->name) + "` revokes"
                                          : string(key->name);
  if (issuer) text = (key ? text + ", issued by " : "") + string(issuer->name);
  if (keyring == 0 || key || issuer) return text;
  return "any other key in keyring " +
         string(spelling_of(kKeyringWords, static_cast<SystemKeyring>(keyring)));
}

// One for each pair of slots that one signer can have in the two images.
std::vector<SharedSigner> signer_values(const DiffSides& sides) {
  std::vector<SharedSigner> found;
  std::set<std::array<uint32_t, 2>> known;
  for (const bw_signer* issuer : named_keys(sides, true))
    for (const bw_signer* key : named_keys(sides, false))
      for (uint32_t keyring = 0; keyring < BW_SIGNER_FIRST_KEY; keyring++) {
        const std::array<uint32_t, 2> slots = {slot_of(sides[0].image, key, issuer, keyring),
                                               slot_of(sides[1].image, key, issuer, keyring)};
        if (known.insert(slots).second) found.push_back({signer_text(key, issuer, keyring), slots});
      }
  return found;
}

PropertyValue signer_value(const DiffSides& sides, Signature signature,
                           const SharedSigner& signer) {
  const bool is_signed = signature != Signature::unsigned_;
  PropertyValue value;
  value.text = is_signed ? string(signature_name(static_cast<bw_signature>(signature))) + " by " +
                               signer.name
                         : "unsigned";
  value.set = [signature, signer](Situation& s, size_t side) {
    s.signature = signature;
    s.signer = signer.slots[side];
  };
  for (size_t i = 0; i < 2; i++) {
    const bw_image& image = sides[i].image;
    value.verdicts.who[i] = both(words_of(image.signature[static_cast<size_t>(signature)]),
                                 words_of(image.signer[signer.slots[i]]));
    value.verdicts.is_known_signer[i] = is_signed && signer.slots[i] != BW_SIGNER_UNKNOWN;
  }
  return value;
}

Property signed_values(const DiffSides& sides) {
  Property property = {"", {}};
  const auto signers = signer_values(sides);
  property.values.push_back(signer_value(sides, Signature::unsigned_, signers.front()));
  for (const SharedSigner& signer : signers)
    for (const Signature signature : {Signature::prog_only, Signature::prog_used_maps})
      property.values.push_back(signer_value(sides, signature, signer));
  return property;
}

Property origin_values(const DiffSides& sides) {
  Property property = {"origin", {}};
  for (const Origin origin : {Origin::user, Origin::loader}) {
    PropertyValue value = {string(origin_name(static_cast<bw_origin>(origin))),
                           [origin](Situation& s, size_t) { s.origin = origin; }};
    for (size_t i = 0; i < 2; i++)
      value.verdicts.what[i] = words_of(sides[i].image.origin[static_cast<size_t>(origin)]);
    property.values.push_back(std::move(value));
  }
  return property;
}

Property trait_values(const DiffSides& sides, bw_trait trait, string name,
                      const std::function<void(Situation&, bool)>& set) {
  Property property = {std::move(name), {}};
  for (const bool truth : {false, true}) {
    PropertyValue value = {truth ? "yes" : "no",
                           [set, truth](Situation& s, size_t) { set(s, truth); }};
    for (size_t i = 0; i < 2; i++)
      value.verdicts.what[i] = words_of(sides[i].image.trait[trait][truth]);
    property.values.push_back(std::move(value));
  }
  return property;
}

// Where no rule matches, the mode is that of the first in force with one of its own.
void set_in_force(const bw_image& image, int64_t time, RuleWords& who, RuleWords& with_mode) {
  who = words_of(*bw_in_force(&image, time));
  with_mode = both(who, either(words_of(image.audit), words_of(image.enforce)));
}

Property time_values(const DiffSides& sides, int64_t now) {
  std::set<int64_t> starts = {now};
  for (const DiffSide& side : sides)
    for (uint32_t i = 1; i < side.image.period_count; i++)
      if (side.image.periods[i].from > now) starts.insert(side.image.periods[i].from);
  Property property = {"date", {}};
  for (const int64_t start : starts) {
    PropertyValue value = {start == now ? "now" : "from " + date_text(start),
                           [start](Situation& s, size_t) { s.time = start; }};
    for (size_t i = 0; i < 2; i++) {
      set_in_force(sides[i].image, start, value.verdicts.who[i], value.verdicts.with_mode[i]);
      value.verdicts.enforces[i] = bw_enforces_at(&sides[i].image, start) != 0;
    }
    property.values.push_back(std::move(value));
  }
  return property;
}

// A property that neither policy asks about is none.
bool tells_nothing(const Property& property) {
  return std::all_of(property.values.begin(), property.values.end(),
                     [&](const PropertyValue& value) {
                       return value.verdicts == property.values.front().verdicts;
                     });
}

}  // namespace

Verdicts every_rule() {
  Verdicts all;
  for (RulePair* part :
       {&all.who, &all.what, &all.at_attach, &all.with_mode, &all.digest_sure, &all.digest_may})
    for (RuleWords& rules : *part) rules.fill(~uint64_t{0});
  return all;
}

std::vector<Property> properties_of(const DiffSides& sides, int64_t now) {
  std::vector<Property> all = {
      signed_values(sides),
      origin_values(sides),
      trait_values(sides, BW_TRAIT_SLEEPABLE, "sleepable",
                   [](Situation& s, bool value) { s.sleepable = value; }),
      trait_values(sides, BW_TRAIT_DELEGATED, "delegated",
                   [](Situation& s, bool value) { s.delegated = value; }),
      trait_values(sides, BW_TRAIT_GPL_COMPATIBLE, "GPL-compatible",
                   [](Situation& s, bool value) {
                     s.license = value ? License::gpl_compatible : License::proprietary;
                   }),
      uid_values(sides),
      path_values(sides, BW_NAME_EXE, "exe", &Rule::exes, &Situation::exe),
      path_values(sides, BW_NAME_CGROUP, "cgroup", &Rule::cgroups, &Situation::cgroup),
      digest_values(sides),
      time_values(sides, now)};
  std::erase_if(all, tells_nothing);
  return all;
}

}  // namespace bpfwarden::policy
