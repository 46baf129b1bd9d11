#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "policy/date.h"
#include "policy/diff_parts.h"
#include "policy/read_conditions.h"
#include "policy/wording.h"

namespace bpfwarden::policy {
namespace {

using std::string;

constexpr size_t kMaxClasses = 100'000;

RuleWords both(const RuleWords& left, const RuleWords& right) {
  RuleWords words;
  for (size_t i = 0; i < words.size(); i++) words[i] = left[i] & right[i];
  return words;
}

// What both images say about a load, beside where it goes.
struct Verdicts {
  std::array<RuleWords, 2> who, what, digest_sure, digest_may;
  std::array<uint8_t, 2> flags = {};  // 1: a signer that the policy knows; 2: a denied digest

  auto operator<=>(const Verdicts&) const = default;

  void narrow(const Verdicts& other) {
    for (size_t i = 0; i < 2; i++) {
      who[i] = both(who[i], other.who[i]);
      what[i] = both(what[i], other.what[i]);
      digest_sure[i] = both(digest_sure[i], other.digest_sure[i]);
      digest_may[i] = both(digest_may[i], other.digest_may[i]);
      flags[i] |= other.flags[i];
    }
  }
};

Verdicts everything() {
  Verdicts all;
  for (auto* part : {&all.who, &all.what, &all.digest_sure, &all.digest_may})
    for (RuleWords& rules : *part) rules.fill(~uint64_t{0});
  return all;
}

// A value of a property: what to say, what to do to a situation, what the images say to it.
struct Option {
  string text;
  std::function<void(Situation&, size_t side)> set;
  Verdicts verdicts = everything();
};

struct OptionList {
  string name;
  std::vector<Option> options;
};

RuleWords looked_up(const bw_image& image, const Situation& situation, bw_dimension dimension,
                    bool sure) {
  const bw_facts facts = facts_of(situation, BW_STAGE_LOAD);
  const bw_match_sets sets = bw_look_up(&image, &facts, dimension);
  return words_of(image.vectors[sure ? sets.sure : sets.may]);
}

// An option on one dimension of names.
Option named_option(const DiffSides& sides, bw_dimension dimension, string text,
                    std::function<void(Situation&, size_t)> set) {
  Option option = {std::move(text), std::move(set)};
  for (size_t i = 0; i < 2; i++) {
    Situation situation;
    option.set(situation, i);
    const bw_image& image = sides[i].image;
    if (dimension != BW_NAME_DIGEST) {
      option.verdicts.who[i] = looked_up(image, situation, dimension, true);
      continue;
    }
    option.verdicts.digest_sure[i] = looked_up(image, situation, dimension, true);
    option.verdicts.digest_may[i] = looked_up(image, situation, dimension, false);
    const bw_facts facts = facts_of(situation, BW_STAGE_LOAD);
    if (bw_is_denied_digest(&image, &facts) != 0) option.verdicts.flags[i] |= 2;
  }
  return option;
}

OptionList path_options(const DiffSides& sides, bw_dimension dimension, string name,
                        std::vector<PathPattern> Rule::* patterns,
                        std::optional<string> Situation::* fact) {
  std::map<string, string> found;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules)
      for (const PathPattern& pattern : rule.*patterns)
        found.emplace(pattern.is_prefix ? fresh_name(pattern.text) : pattern.text,
                      pattern.is_prefix ? pattern.text + "*" : pattern.text);
  OptionList list = {std::move(name), {}};
  if (found.empty()) return list;
  found.emplace(fresh_name("/"), "any other");
  for (const auto& [path, text] : found)
    list.options.push_back(named_option(
        sides, dimension, text, [fact, path = path](Situation& s, size_t) { s.*fact = path; }));
  return list;
}

OptionList uid_options(const DiffSides& sides) {
  std::set<uint32_t> uids;
  for (const DiffSide& side : sides)
    for (const Rule& rule : side.policy.rules) uids.insert(rule.uids.begin(), rule.uids.end());
  OptionList list = {"uid", {}};
  if (uids.empty()) return list;
  uint32_t other = 60'000;
  while (uids.contains(other)) other++;
  for (const uint32_t uid : uids)
    list.options.push_back(named_option(sides, BW_NAME_UID, std::to_string(uid),
                                        [uid](Situation& s, size_t) { s.uid = uid; }));
  list.options.push_back(named_option(sides, BW_NAME_UID, "any other",
                                      [other](Situation& s, size_t) { s.uid = other; }));
  return list;
}

OptionList digest_options(const DiffSides& sides) {
  std::set<ProgramDigest> digests;
  for (const DiffSide& side : sides) {
    digests.insert(side.policy.deny_digests.begin(), side.policy.deny_digests.end());
    for (const Rule& rule : side.policy.rules)
      digests.insert(rule.digests.begin(), rule.digests.end());
  }
  OptionList list = {"digest", {}};
  if (digests.empty()) return list;
  ProgramDigest other = {};
  while (digests.contains(other)) other.back()++;
  const auto add = [&](const ProgramDigest& digest, string text) {
    list.options.push_back(named_option(sides, BW_NAME_DIGEST, std::move(text),
                                        [digest](Situation& s, size_t) { s.digest = digest; }));
  };
  for (const ProgramDigest& digest : digests) add(digest, digest_text(digest));
  add(other, "any other");
  return list;
}

// Who may sign, the same for both images: by slot of each.
struct SignerOption {
  string name;
  std::array<uint32_t, 2> slots;
};

bool same_signer(const bw_signer& left, const bw_signer& right) {
  return left.kind == right.kind && left.keyring == right.keyring &&
         left.key_length == right.key_length &&
         std::memcmp(left.key, right.key, sizeof(left.key)) == 0 &&
         std::memcmp(left.algorithm, right.algorithm, sizeof(left.algorithm)) == 0;
}

// Where the image has no slot of its own for it: its keyring's, or that of unknown signers.
uint32_t slot_in(const bw_image& image, const bw_signer& signer) {
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++)
    if (same_signer(image.signers[slot], signer)) return slot;
  return signer.keyring;
}

std::vector<SignerOption> signer_options(const DiffSides& sides) {
  std::vector<SignerOption> found = {{"a key that neither policy knows", {0, 0}},
                                     {"any other key in keyring builtin", {1, 1}},
                                     {"any other key in keyring secondary", {2, 2}},
                                     {"any other key in keyring platform", {3, 3}}};
  for (const DiffSide& side : sides)
    for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < side.image.signer_count; slot++) {
      const bw_signer& signer = side.image.signers[slot];
      const std::array<uint32_t, 2> slots = {slot_in(sides[0].image, signer),
                                             slot_in(sides[1].image, signer)};
      const auto is_known = [&](const SignerOption& other) { return other.slots == slots; };
      if (signer.kind != BW_SIGNER_REVOKED && std::none_of(found.begin(), found.end(), is_known))
        found.push_back({signer.name, slots});
    }
  return found;
}

Option signer_option(const DiffSides& sides, Signature signature, const SignerOption& signer) {
  const bool is_signed = signature != Signature::unsigned_;
  Option option;
  option.text = is_signed ? string(signature_name(static_cast<bw_signature>(signature))) + " by " +
                                signer.name
                          : "unsigned";
  option.set = [signature, signer](Situation& s, size_t side) {
    s.signature = signature;
    s.signer = signer.slots[side];
  };
  for (size_t i = 0; i < 2; i++) {
    const bw_image& image = sides[i].image;
    option.verdicts.who[i] = both(words_of(image.signature[static_cast<size_t>(signature)]),
                                  words_of(image.signer[signer.slots[i]]));
    if (is_signed && signer.slots[i] != BW_SIGNER_UNKNOWN) option.verdicts.flags[i] |= 1;
  }
  return option;
}

OptionList signed_options(const DiffSides& sides) {
  OptionList list = {"", {}};
  const auto signers = signer_options(sides);
  list.options.push_back(signer_option(sides, Signature::unsigned_, signers.front()));
  for (const SignerOption& signer : signers)
    for (const Signature signature : {Signature::prog_only, Signature::prog_used_maps})
      list.options.push_back(signer_option(sides, signature, signer));
  return list;
}

OptionList origin_options(const DiffSides& sides) {
  OptionList list = {"origin", {}};
  for (const Origin origin : {Origin::user, Origin::loader}) {
    Option option = {string(origin_name(static_cast<bw_origin>(origin))),
                     [origin](Situation& s, size_t) { s.origin = origin; }};
    for (size_t i = 0; i < 2; i++)
      option.verdicts.what[i] = words_of(sides[i].image.origin[static_cast<size_t>(origin)]);
    list.options.push_back(std::move(option));
  }
  return list;
}

OptionList trait_options(const DiffSides& sides, bw_trait trait, string name,
                         std::function<void(Situation&, bool)> set) {
  OptionList list = {std::move(name), {}};
  for (const bool value : {false, true}) {
    Option option = {value ? "yes" : "no", [set, value](Situation& s, size_t) { set(s, value); }};
    for (size_t i = 0; i < 2; i++)
      option.verdicts.what[i] = words_of(sides[i].image.trait[trait][value]);
    list.options.push_back(std::move(option));
  }
  return list;
}

OptionList time_options(const DiffSides& sides, int64_t now) {
  std::set<int64_t> starts = {now};
  for (const DiffSide& side : sides)
    for (uint32_t i = 1; i < side.image.period_count; i++)
      if (side.image.periods[i].from > now) starts.insert(side.image.periods[i].from);
  OptionList list = {"date", {}};
  for (const int64_t start : starts) {
    Option option = {start == now ? "now" : "from " + date_text(start),
                     [start](Situation& s, size_t) { s.time = start; }};
    for (size_t i = 0; i < 2; i++)
      option.verdicts.who[i] = words_of(*bw_in_force(&sides[i].image, start));
    list.options.push_back(std::move(option));
  }
  return list;
}

std::vector<OptionList> all_options(const DiffSides& sides, int64_t now) {
  std::vector<OptionList> all = {
      signed_options(sides),
      origin_options(sides),
      trait_options(sides, BW_TRAIT_SLEEPABLE, "sleepable",
                    [](Situation& s, bool value) { s.sleepable = value; }),
      trait_options(sides, BW_TRAIT_DELEGATED, "delegated",
                    [](Situation& s, bool value) { s.delegated = value; }),
      trait_options(sides, BW_TRAIT_GPL_COMPATIBLE, "GPL-compatible",
                    [](Situation& s, bool value) {
                      s.license = value ? License::gpl_compatible : License::proprietary;
                    }),
      uid_options(sides),
      path_options(sides, BW_NAME_EXE, "exe", &Rule::exes, &Situation::exe),
      path_options(sides, BW_NAME_CGROUP, "cgroup", &Rule::cgroups, &Situation::cgroup),
      digest_options(sides),
      time_options(sides, now)};
  // A property that neither policy asks about is none.
  std::erase_if(all, [](const OptionList& list) {
    return std::all_of(list.options.begin(), list.options.end(), [&](const Option& option) {
      return option.verdicts == list.options.front().verdicts;
    });
  });
  return all;
}

// Takes `added` into a class about which the images say the same.
void unite(WhoClass& into, const WhoClass& added) {
  size_t different = 0;
  for (size_t i = 0; i < into.values.size(); i++) {
    different += into.values[i] != added.values[i];
    for (size_t n = 0; n < into.values[i].size(); n++)
      if (added.values[i][n]) into.values[i][n] = true;
  }
  into.is_exact = into.is_exact && added.is_exact && different <= 1;
}

Result<std::vector<WhoClass>> combine(const std::vector<OptionList>& lists, int64_t now) {
  std::map<Verdicts, WhoClass> classes;
  WhoClass first;
  for (Situation& situation : first.representatives) situation.time = now;
  classes.emplace(everything(), std::move(first));
  for (const OptionList& list : lists) {
    std::map<Verdicts, WhoClass> next;
    for (const auto& [verdicts, known] : classes)
      for (size_t n = 0; n < list.options.size(); n++) {
        Verdicts narrowed = verdicts;
        narrowed.narrow(list.options[n].verdicts);
        WhoClass one = known;
        one.values.emplace_back(list.options.size())[n] = true;
        for (size_t side = 0; side < 2; side++)
          list.options[n].set(one.representatives[side], side);
        const auto [entry, is_new] = next.try_emplace(narrowed, one);
        if (!is_new) unite(entry->second, one);
      }
    classes = std::move(next);
    if (classes.size() > kMaxClasses)
      return fail("the two policies tell more than " + std::to_string(kMaxClasses) +
                      " kinds of loads apart: too many to compare",
                  "compare with fewer names in uid, exe, cgroup and digests");
  }
  std::vector<WhoClass> result;
  for (auto& [verdicts, one] : classes) result.push_back(std::move(one));
  return result;
}

}  // namespace

Result<WhoSpace> who_classes(const DiffSides& sides, int64_t now) {
  const auto lists = all_options(sides, now);
  auto classes = combine(lists, now);
  if (!classes) return std::unexpected(std::move(classes.error()));
  WhoSpace space = {{}, std::move(*classes)};
  for (const OptionList& list : lists) {
    Property& property = space.properties.emplace_back(Property{list.name, {}});
    for (const Option& option : list.options) property.values.push_back(option.text);
  }
  return space;
}

}  // namespace bpfwarden::policy
