#include "policy/answers/suggest.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "policy/answers/probes.h"
#include "policy/language/read_conditions.h"
#include "policy/text/date.h"

namespace bpfwarden::policy {
namespace {

using std::string;
using std::string_view;
using Patterns = std::vector<string>;
using Loads = std::vector<SeenLoad>;

constexpr string_view kProbesComment = "feature probes of libbpf and bpftool";

auto load_kind(const SeenLoad& seen) {
  const RecordedLoad& load = seen.load;
  return std::tie(load.signer, seen.is_signed, load.signature, load.attach, load.program,
                  load.digest, seen.by, seen.origin, seen.fate, seen.runs_now, seen.objection);
}

// ---- Attach points ------------------------------------------------------------------------------

const LoadClass& class_of(size_t family) {
  const auto classes = load_classes();
  return *std::ranges::find_if(classes, [&](const LoadClass& one) { return one.home[family]; });
}

// `tcx/*` for `tcx/ingress` and `tcx/egress`, where all that begins so is meant.
string shortest(const AttachFamily& family, const FamilySet& meant) {
  string name(family.name);
  if (family.target == Target::attach) return name + "/*";
  const size_t slash = name.find('/');
  if (slash == string::npos) return name;
  const string wide = name.substr(0, slash) + "/*";
  const auto pattern = parse_attach_pattern(wide);
  return pattern && (pattern->families & ~meant).none() ? wide : name;
}

// ---- Signed -------------------------------------------------------------------------------------

// What one key has signed: the least signature at each attach point, and the loads there.
struct Signed {
  Signature least = Signature::prog_used_maps;
  Loads loads;
};
using SignedPoints = std::map<Patterns, Signed>;
using SignedBy = std::map<string, SignedPoints>;

const Key* find_key(const std::vector<Key>& keys, const string& name) {
  const auto found = std::ranges::find(keys, name, &Key::name);
  return found == keys.end() ? nullptr : &*found;
}

// A rule that names `wide` admits what `narrow` signed as well.
bool stands_for(const std::vector<Key>& keys, const string& wide, const string& narrow) {
  const Key *all = find_key(keys, wide), *one = find_key(keys, narrow);
  return all != nullptr && one != nullptr && is_whole_keyring(*all) && !is_whole_keyring(*one) &&
         all->keyring == one->keyring;
}

const Patterns& loader_point() {
  static const Patterns point = {"syscall"};
  return point;
}

// Whether a rule about another attach point, with a key that stands for this one, lets it run its
// loaders (docs/adr/0004).
bool loads_otherwise(const SignedBy& all, const std::vector<Key>& keys, const string& signer,
                     Signature signature) {
  return std::ranges::any_of(all, [&](const auto& entry) {
    const auto& [other, points] = entry;
    if (other != signer && !stands_for(keys, other, signer)) return false;
    return std::ranges::any_of(points, [&](const auto& point) {
      return point.first != loader_point() && point.second.least <= signature;
    });
  });
}

bool admitted_for_another(const SignedBy& all, const std::vector<Key>& keys, const string& signer,
                          const Patterns& point, Signature signature) {
  return std::ranges::any_of(all, [&](const auto& entry) {
    const auto found = entry.second.find(point);
    return stands_for(keys, entry.first, signer) && found != entry.second.end() &&
           found->second.least <= signature;
  });
}

// ---- Exact programs -----------------------------------------------------------------------------

struct Program {
  Patterns point;
  string digest;
  auto operator<=>(const Program&) const = default;
};
using Programs = std::map<Program, Loads>;

// It decides only where they are listed: what admits them is their digest, as for any other.
bool is_probe(const SeenLoad& seen) { return is_feature_probe(seen.load); }

// In whose rule a program is listed: who loaded it most often.
string group_of(const Loads& loads) {
  if (std::ranges::all_of(loads, is_probe)) return string(kProbesComment);
  std::map<string, uint64_t> counts;
  for (const SeenLoad& seen : loads) counts[seen.by] += seen.count;
  string best;
  uint64_t most = 0;
  for (const auto& [by, count] : counts) {
    if (by.empty() || (!best.empty() && count <= most)) continue;
    best = by;
    most = count;
  }
  return best;
}

// ---- Names and comments -------------------------------------------------------------------------

string joined_points(const Patterns& points) {
  constexpr size_t shown = 3;
  string text;
  for (size_t i = 0; i < points.size() && i < shown; i++) text += (i ? ", " : "") + points[i];
  return points.size() > shown ? text + " and " + std::to_string(points.size() - shown) + " more"
                               : text;
}

// Distinct names that fit; the end of a long one counts less than its number.
class RuleNames {
 public:
  string take(string wanted) {
    constexpr size_t room_for_number = 8;
    if (wanted.size() > BW_RULE_NAME_SIZE - room_for_number)
      wanted.resize(BW_RULE_NAME_SIZE - room_for_number);
    string name = wanted;
    for (unsigned number = 2; !taken_.insert(name).second; number++)
      name = wanted + " (" + std::to_string(number) + ")";
    return name;
  }

 private:
  std::set<string> taken_;
};

string times(uint64_t count) { return count == 1 ? "once" : std::to_string(count) + " times"; }

string comment_line(const SeenLoad& seen) {
  string line = seen.load.signer.empty() && !seen.load.digest.empty()
                    ? seen.load.digest.substr(0, kDigestHead) + " "
                    : "";
  line += seen.load.program.empty() ? "a program without a name" : seen.load.program;
  if (seen.count != 0) line += ": seen " + times(seen.count);
  if (seen.last != 0) line += ", last " + date_text(seen.last);
  if (seen.runs_now) line += seen.count != 0 ? ", runs now" : ": runs now";
  if (!seen.by.empty()) line += ", by " + seen.by;
  if (!seen.objection.empty()) line += "; denied then by " + seen.objection;
  return line;
}

// ---- The work -----------------------------------------------------------------------------------

class Suggester {
 public:
  explicit Suggester(const SuggestOptions& options) : options_(options) {}

  void take(const SeenLoad& seen);
  Suggestion finish();

 private:
  void leave(const SeenLoad& seen, string why) { result_.left.push_back({seen, std::move(why)}); }
  void take_signed(const SeenLoad& seen, const Patterns& point);
  void take_unsigned(const SeenLoad& seen, const Patterns& point);
  void drop_redundant();
  void add_signed_rules(const string& signer, const SignedPoints& points);
  void add_digest_rules();
  void add_rule(RuleText text, Loads loads);
  [[nodiscard]] bool admits(const SeenLoad& seen) const;
  [[nodiscard]] bool has_known_twin(const SeenLoad& seen) const;

  const SuggestOptions& options_;
  SignedBy signed_;
  Programs programs_;
  RuleNames names_;
  Suggestion result_;
};

void Suggester::take(const SeenLoad& seen) {
  if (seen.fate == Fate::barred || seen.fate == Fate::failed)
    return leave(seen, seen.fate == Fate::failed ? "the verifier rejected it" : seen.objection);
  if (seen.fate == Fate::refused && !options_.include_refused)
    return leave(seen, "refused by " + seen.objection);
  const auto digest = parse_digest("sha256:" + seen.load.digest);
  if (digest && std::ranges::find(options_.deny_digests, *digest) != options_.deny_digests.end())
    return leave(seen, "`deny-digests` names it");
  const auto point = patterns_for(seen.load.attach);
  if (!point) return leave(seen, point.error().message);
  if (seen.is_signed)
    take_signed(seen, *point);
  else
    take_unsigned(seen, *point);
}

void Suggester::take_signed(const SeenLoad& seen, const Patterns& point) {
  const string& signer = seen.load.signer;
  if (signer.empty()) return leave(seen, "signed by a key that the policy does not know");
  if (find_key(options_.keys, signer) == nullptr)
    return leave(seen,
                 "signed by `" + signer + "`, a key that the policy does not have, or revokes");
  Signed& here = signed_[signer][point];
  here.least = std::min(here.least, seen.load.signature);
  here.loads.push_back(seen);
}

void Suggester::take_unsigned(const SeenLoad& seen, const Patterns& point) {
  if (seen.load.digest.empty())
    return leave(seen, seen.fate == Fate::refused ? "refused before its digest was known"
                                                  : "its digest is not known");
  programs_[{point, seen.load.digest}].push_back(seen);
}

// What another rule admits anyway has none of its own.
void Suggester::drop_redundant() {
  SignedBy kept = signed_;
  for (const auto& [signer, points] : signed_)
    for (const auto& [point, here] : points) {
      const bool is_loader =
          point == loader_point() && loads_otherwise(signed_, options_.keys, signer, here.least);
      if (!is_loader && !admitted_for_another(signed_, options_.keys, signer, point, here.least))
        continue;
      kept[signer].erase(point);
      result_.others.insert(result_.others.end(), here.loads.begin(), here.loads.end());
    }
  signed_ = std::move(kept);
}

void Suggester::add_rule(RuleText text, Loads loads) {
  constexpr size_t longest = 24;  // lines
  std::set<string> lines;
  for (const SeenLoad& seen : loads) lines.insert(comment_line(seen));
  size_t shown = 0;
  for (const string& line : lines)
    if (shown++ < longest) text.comment += printable(line) + "\n";
  if (lines.size() > longest)
    text.comment += "and " + std::to_string(lines.size() - longest) + " more\n";
  result_.keys.insert(text.signed_by.begin(), text.signed_by.end());
  result_.rules.push_back({std::move(text), std::move(loads)});
}

void Suggester::add_signed_rules(const string& signer, const SignedPoints& points) {
  for (const Signature level : {Signature::prog_only, Signature::prog_used_maps}) {
    RuleText rule;
    Loads loads;
    for (const auto& [point, here] : points) {
      if (here.least != level) continue;
      rule.allow.insert(rule.allow.end(), point.begin(), point.end());
      loads.insert(loads.end(), here.loads.begin(), here.loads.end());
    }
    if (rule.allow.empty()) continue;
    rule.name = names_.take(printable(signer + ": " + joined_points(rule.allow)));
    rule.signed_by = {signer};
    rule.signature = level;
    add_rule(std::move(rule), std::move(loads));
  }
}

// One rule for those of a group that the same programs were loaded for: a digest of one attach
// point must not be admitted at another.
void Suggester::add_digest_rules() {
  std::map<std::pair<string, Patterns>, std::set<string>> digests;
  for (const auto& [program, loads] : programs_)
    digests[{group_of(loads), program.point}].insert(program.digest);
  std::map<std::pair<string, std::set<string>>, std::vector<Patterns>> rules;
  for (const auto& [where, listed] : digests) rules[{where.first, listed}].push_back(where.second);
  std::map<std::pair<string, Patterns>, std::pair<RuleText, Loads>> sorted;
  for (const auto& [what, points] : rules) {
    RuleText rule;
    Loads loads;
    for (const Patterns& point : points) {
      rule.allow.insert(rule.allow.end(), point.begin(), point.end());
      for (const string& digest : what.second)
        std::ranges::copy(programs_[{point, digest}], std::back_inserter(loads));
    }
    for (const string& digest : what.second) rule.digests.push_back("sha256:" + digest);
    const string who = what.first.empty() ? "unsigned" : what.first;
    rule.name = printable(who + ": " + joined_points(rule.allow));
    sorted.emplace(std::pair(what.first, rule.allow), std::pair(rule, std::move(loads)));
  }
  for (auto& [where, rule] : sorted) {
    rule.first.name = names_.take(std::move(rule.first.name));
    add_rule(std::move(rule.first), std::move(rule.second));
  }
}

bool Suggester::admits(const SeenLoad& seen) const {
  const auto point = patterns_for(seen.load.attach);
  if (!point) return false;
  if (!seen.is_signed) return programs_.contains({*point, seen.load.digest});
  const auto signer = signed_.find(seen.load.signer);
  if (signer == signed_.end()) return false;
  const auto here = signer->second.find(*point);
  return here != signer->second.end() && here->second.least <= seen.load.signature;
}

// An event of the same program that tells its digest: one load may have two events.
bool Suggester::has_known_twin(const SeenLoad& seen) const {
  if (seen.is_signed || !seen.load.digest.empty() || seen.fate == Fate::barred) return false;
  return std::ranges::any_of(programs_, [&](const auto& entry) {
    return std::ranges::any_of(entry.second, [&](const SeenLoad& other) {
      return other.load.attach == seen.load.attach && other.load.program == seen.load.program &&
             other.by == seen.by;
    });
  });
}

Suggestion Suggester::finish() {
  std::erase_if(result_.left, [&](const NotAdmitted& one) {
    return one.load.fate != Fate::barred && (admits(one.load) || has_known_twin(one.load));
  });
  drop_redundant();
  for (const auto& [signer, points] : signed_) add_signed_rules(signer, points);
  add_digest_rules();
  return std::move(result_);
}

}  // namespace

string printable(string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  return text;
}

bool SeenLoad::same_kind(const SeenLoad& other) const {
  return load_kind(*this) == load_kind(other);
}

std::vector<SeenLoad> merge_loads(std::vector<SeenLoad> loads) {
  std::ranges::sort(loads, {}, load_kind);
  std::vector<SeenLoad> merged;
  for (SeenLoad& seen : loads) {
    if (merged.empty() || !merged.back().same_kind(seen)) {
      merged.push_back(std::move(seen));
      continue;
    }
    merged.back().count += seen.count;
    merged.back().last = std::max(merged.back().last, seen.last);
  }
  return merged;
}

Result<std::vector<string>> patterns_for(const string& attach) {
  const auto point = parse_attach_point(attach);
  if (!point) return std::unexpected(point.error());
  if (attach_families()[point->family].target == Target::load) return std::vector{attach};
  const LoadClass& load = class_of(point->family);
  std::vector<string> patterns;
  for (size_t i = 0; i < attach_families().size(); i++) {
    if (!load.home[i]) continue;
    string pattern = shortest(attach_families()[i], load.home);
    if (std::ranges::find(patterns, pattern) == patterns.end())
      patterns.push_back(std::move(pattern));
  }
  return patterns;
}

Suggestion suggest(const std::vector<SeenLoad>& loads, const SuggestOptions& options) {
  Suggester suggester(options);
  for (const SeenLoad& seen : merge_loads(loads)) suggester.take(seen);
  return suggester.finish();
}

}  // namespace bpfwarden::policy
