#include "policy/diff/diff_who.h"

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

using Set = std::function<void(Situation&, size_t side)>;

Verdicts every_rule() {
  Verdicts all;
  for (RulePair* part : {&all.load, &all.attach})
    for (RuleWords& rules : *part) rules = all_rules();
  return all;
}

// Collects the values of one property.
class Collector {
 public:
  Collector(Property::Kind kind, string name) {
    property_.kind = kind;
    property_.name = std::move(name);
  }

  void add(string text, Set set, const Verdicts& verdicts) {
    const auto [entry, is_new] = known_.emplace(verdicts, property_.classes.size());
    if (is_new) property_.classes.push_back({verdicts, {}});
    property_.classes[entry->second].values.push_back(
        static_cast<uint32_t>(property_.values.size()));
    property_.values.push_back({std::move(text), std::move(set)});
  }

  Property take() { return std::move(property_); }

 private:
  Property property_;
  std::map<Verdicts, size_t> known_;
};

bw_match_sets looked_up(const bw_image& image, const Situation& situation, bw_stage stage,
                        bw_dimension dimension) {
  const bw_facts facts = facts_of(situation, stage);
  return bw_look_up(&image, &facts, dimension);
}

// A value on one dimension of names. Who cannot be identified at load meets no condition that is
// left open: bw_match() asks for those that surely match.
Verdicts named_verdicts(const DiffSides& sides, bw_dimension dimension, const Set& set) {
  Verdicts verdicts;
  for (size_t i = 0; i < 2; i++) {
    Situation situation;
    set(situation, i);
    const bw_image& image = sides[i].image;
    const bw_match_sets at_load = looked_up(image, situation, BW_STAGE_LOAD, dimension);
    verdicts.load[i] = dimension == BW_NAME_DIGEST ? deciding_at_load(image, at_load)
                                                   : words_of(image.vectors[at_load.sure]);
    verdicts.attach[i] =
        words_of(image.vectors[looked_up(image, situation, BW_STAGE_ATTACH, dimension).sure]);
    const bw_facts facts = facts_of(situation, BW_STAGE_LOAD);
    verdicts.is_denied_digest[i] =
        static_cast<uint8_t>(dimension == BW_NAME_DIGEST && bw_is_denied_digest(&image, &facts));
  }
  return verdicts;
}

void add_named(const DiffSides& sides, bw_dimension dimension, string text, const Set& set,
               Collector& into) {
  into.add(std::move(text), set, named_verdicts(sides, dimension, set));
}

Property path_values(const DiffSides& sides, bw_dimension dimension, string name,
                     std::vector<PathPattern> Rule::* patterns,
                     std::optional<string> Situation::* fact) {
  std::set<string> exact, prefixes;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const PathPattern& pattern : rule.*patterns)
        (pattern.is_prefix ? prefixes : exact).insert(pattern.text);
  std::set<string> taken = exact;
  taken.insert(prefixes.begin(), prefixes.end());
  std::map<string, string> found;
  for (const string& path : exact) found.emplace(path, path);
  for (const string& prefix : prefixes)
    found.emplace(fresh_name(prefix, taken, BW_NAME_SIZE - 1), prefix + "*");
  Collector values(Property::Kind::subject, std::move(name));
  if (found.empty()) return values.take();
  found.emplace(fresh_name("/", taken, BW_NAME_SIZE - 1), "any other");
  for (const auto& [path, text] : found)
    add_named(
        sides, dimension, text, [fact, value = path](Situation& s, size_t) { s.*fact = value; },
        values);
  add_named(
      sides, dimension, "one that cannot be read",
      [fact](Situation& s, size_t) { (s.*fact).reset(); }, values);
  Property property = values.take();
  const Verdicts unsaid = named_verdicts(sides, dimension, [](Situation&, size_t) {});
  property.must_be_said = std::ranges::none_of(
      property.classes, [&](const ValueClass& one) { return one.verdicts == unsaid; });
  return property;
}

Property uid_values(const DiffSides& sides) {
  std::set<uint32_t> uids;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules) uids.insert(rule.uids.begin(), rule.uids.end());
  Collector values(Property::Kind::subject, "uid");
  if (uids.empty()) return values.take();
  uint32_t other = 60'000;
  while (uids.contains(other)) other++;
  for (const uint32_t uid : uids)
    add_named(
        sides, BW_NAME_UID, std::to_string(uid), [uid](Situation& s, size_t) { s.uid = uid; },
        values);
  add_named(
      sides, BW_NAME_UID, "any other", [other](Situation& s, size_t) { s.uid = other; }, values);
  return values.take();
}

Property digest_values(const DiffSides& sides) {
  std::set<ProgramDigest> digests;
  for (const DiffSide& side : sides) {
    digests.insert(side.policy.deny_digests.begin(), side.policy.deny_digests.end());
    for (const Rule& rule : side.policy.rules)
      digests.insert(rule.digests.begin(), rule.digests.end());
  }
  Collector values(Property::Kind::digest, "digest");
  if (digests.empty()) return values.take();
  ProgramDigest other = {};
  while (digests.contains(other)) other.back()++;
  const auto add = [&](const ProgramDigest& digest, string text) {
    add_named(
        sides, BW_NAME_DIGEST, std::move(text),
        [digest](Situation& s, size_t) { s.digest = digest; }, values);
  };
  for (const ProgramDigest& digest : digests) add(digest, digest_text(digest));
  add(other, "any other");
  add_named(
      sides, BW_NAME_DIGEST, "one that is not known",
      [](Situation& s, size_t) { s.digest.reset(); }, values);
  return values.take();
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

Verdicts signer_verdicts(const DiffSides& sides, Signature signature, const SharedSigner& signer) {
  Verdicts verdicts;
  for (size_t i = 0; i < 2; i++) {
    const bw_image& image = sides[i].image;
    verdicts.load[i] = both(words_of(image.signature[static_cast<size_t>(signature)]),
                            words_of(image.signer[signer.slots[i]]));
    verdicts.is_known_signer[i] = static_cast<uint8_t>(signature != Signature::unsigned_ &&
                                                       signer.slots[i] != BW_SIGNER_UNKNOWN);
  }
  verdicts.attach = verdicts.load;
  return verdicts;
}

Property signed_values(const DiffSides& sides) {
  Collector values(Property::Kind::signer, "");
  const auto add = [&](string text, Signature signature, const SharedSigner& signer) {
    values.add(
        std::move(text),
        [signature, slots = signer.slots](Situation& s, size_t side) {
          s.signature = signature;
          s.signer = slots[side];
        },
        signer_verdicts(sides, signature, signer));
  };
  add("unsigned", Signature::unsigned_, {{}, {BW_SIGNER_UNKNOWN, BW_SIGNER_UNKNOWN}});
  for (const SharedSigner& signer : signer_values(sides))
    for (const Signature signature : {Signature::prog_only, Signature::prog_used_maps})
      add(string(signature_name(static_cast<bw_signature>(signature))) + " by " + signer.name,
          signature, signer);
  return values.take();
}

Property origin_values(const DiffSides& sides) {
  Collector values(Property::Kind::program, "origin");
  for (const Origin origin : {Origin::user, Origin::loader}) {
    Verdicts verdicts = every_rule();
    for (size_t i = 0; i < 2; i++)
      verdicts.load[i] = words_of(sides[i].image.origin[static_cast<size_t>(origin)]);
    verdicts.attach = verdicts.load;
    values.add(
        string(origin_name(static_cast<bw_origin>(origin))),
        [origin](Situation& s, size_t) { s.origin = origin; }, verdicts);
  }
  return values.take();
}

Property trait_values(const DiffSides& sides, bw_trait trait, string name,
                      const std::function<void(Situation&, bool)>& set) {
  Collector values(Property::Kind::program, std::move(name));
  for (const bool truth : {false, true}) {
    Verdicts verdicts = every_rule();
    for (size_t i = 0; i < 2; i++)
      verdicts.load[i] = words_of(sides[i].image.trait[trait][static_cast<size_t>(truth)]);
    verdicts.attach = verdicts.load;
    values.add(
        truth ? "yes" : "no", [set, truth](Situation& s, size_t) { set(s, truth); }, verdicts);
  }
  return values.take();
}

Property time_values(const DiffSides& sides, int64_t now) {
  std::set<int64_t> starts = {now};
  for (const DiffSide& side : sides)
    for (uint32_t i = 1; i < side.image.period_count; i++)
      if (side.image.periods[i].from > now) starts.insert(side.image.periods[i].from);
  Collector values(Property::Kind::date, "date");
  for (const int64_t start : starts) {
    Verdicts verdicts;
    for (size_t i = 0; i < 2; i++) {
      verdicts.load[i] = words_of(*bw_in_force(&sides[i].image, start));
      verdicts.enforces[i] = static_cast<uint8_t>(bw_enforces_at(&sides[i].image, start));
    }
    verdicts.attach = verdicts.load;
    values.add(
        start == now ? "now" : "from " + moment_text(start),
        [start](Situation& s, size_t) { s.time = start; }, verdicts);
  }
  return values.take();
}

}  // namespace

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
  std::erase_if(all, [](const Property& property) { return property.values.empty(); });
  return all;
}

}  // namespace bpfwarden::policy
