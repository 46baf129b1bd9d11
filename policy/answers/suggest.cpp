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
                  load.digest, seen.by, seen.unit, seen.origin, seen.fate, seen.runs_now,
                  seen.objection);
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

const string& loader_of(const SeenLoad& seen) { return seen.unit.empty() ? seen.by : seen.unit; }

// In whose rule a program is listed: the unit, or the executable, that loaded it most often.
string group_of(const Loads& loads) {
  if (std::ranges::all_of(loads, is_probe)) return string(kProbesComment);
  std::map<string, uint64_t> counts;
  for (const SeenLoad& seen : loads) counts[loader_of(seen)] += seen.count;
  string best;
  uint64_t most = 0;
  for (const auto& [by, count] : counts) {
    if (by.empty() || (!best.empty() && count <= most)) continue;
    best = by;
    most = count;
  }
  return best;
}

// ---- Programs that differ from boot to boot -----------------------------------------------------

// Programs of one name that one executable loads for the same.
struct Series {
  string attach, program, exe;
  auto operator<=>(const Series&) const = default;
};

// The beginnings of boots are a minute apart where clocks are set.
size_t count_boots(const std::set<int64_t>& boots) {
  size_t count = 0;
  int64_t last = -1;
  for (const int64_t boot : boots) {
    if (count == 0 || boot > last + 1) count++;
    last = boot;
  }
  return count;
}

bool may_be_series(const SeenLoad& seen) {
  return !seen.is_signed && seen.fate == Fate::ran && !seen.load.program.empty() &&
         !seen.load.digest.empty() && seen.by.starts_with('/') && seen.by.size() < BW_NAME_SIZE;
}

// Those that come again at each boot, and never with the instructions of another. Where one digest
// was seen in two boots, or several in one, they are different programs of one name.
std::set<Series> recorded_series(const std::vector<SeenLoad>& loads) {
  struct Seen {
    std::map<string, std::set<int64_t>> boots_of;  // by digest
    std::set<int64_t> boots;
  };
  std::map<Series, Seen> all;
  for (const SeenLoad& seen : loads) {
    if (!may_be_series(seen) || seen.boots.empty()) continue;
    Seen& here = all[{seen.load.attach, seen.load.program, seen.by}];
    here.boots_of[seen.load.digest].insert(seen.boots.begin(), seen.boots.end());
    here.boots.insert(seen.boots.begin(), seen.boots.end());
  }
  std::set<Series> changing;
  for (const auto& [series, seen] : all) {
    const size_t boots = count_boots(seen.boots);
    const bool once_each = std::ranges::all_of(
        seen.boots_of, [](const auto& one) { return count_boots(one.second) == 1; });
    if (boots > 1 && once_each && seen.boots_of.size() == boots) changing.insert(series);
  }
  return changing;
}

// Symbols whose addresses are in them, by series; none where only the recording tells.
using Changing = std::map<Series, std::set<string>>;

Changing changing_series(const std::vector<SeenLoad>& loads, const SuggestOptions& options) {
  Changing changing;
  for (const Series& series : recorded_series(loads)) changing[series];
  for (const SeenLoad& seen : loads) {
    const auto found = options.addresses_in.find(seen.load.digest);
    if (!may_be_series(seen) || found == options.addresses_in.end()) continue;
    changing[{seen.load.attach, seen.load.program, seen.by}].insert(found->second.begin(),
                                                                   found->second.end());
  }
  return changing;
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
  explicit RuleNames(std::set<string> taken) : taken_(std::move(taken)) {}

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
  Suggester(const SuggestOptions& options, const std::vector<SeenLoad>& loads)
      : options_(options),
        changing_(changing_series(loads, options)),
        names_(options.taken_names) {
    for (const SeenLoad& seen : loads)
      if (is_changing(seen)) changing_digests_.insert(seen.load.digest);
  }

  void take(const SeenLoad& seen);
  Suggestion finish();

 private:
  void leave(const SeenLoad& seen, string why) { result_.left.push_back({seen, std::move(why)}); }
  void take_signed(const SeenLoad& seen, const Patterns& point);
  void take_unsigned(const SeenLoad& seen, const Patterns& point);
  void drop_redundant();
  void add_signed_rules(const string& signer, const SignedPoints& points);
  void add_digest_rules();
  void add_changing_rules();
  [[nodiscard]] string changing_comment(const Loads& loads) const;
  void note_short_lived(const Loads& loads, string& comment) const;
  void add_rule(RuleText text, const Loads& loads);
  [[nodiscard]] bool admits(const SeenLoad& seen) const;
  [[nodiscard]] bool has_known_twin(const SeenLoad& seen) const;
  [[nodiscard]] std::vector<const SeenLoad*> attachments_of(const SeenLoad& seen) const;
  [[nodiscard]] Result<Patterns> point_of(const SeenLoad& seen) const;
  [[nodiscard]] Loads at_their_places(const Loads& loads) const;
  [[nodiscard]] bool is_changing(const SeenLoad& seen) const {
    return !seen.is_signed && changing_.contains({seen.load.attach, seen.load.program, seen.by});
  }

  // It runs now, and its load was recorded, with who did it.
  [[nodiscard]] bool is_twin_of_changing(const SeenLoad& seen) const {
    return seen.runs_now && !seen.is_signed && !is_changing(seen) &&
           changing_digests_.contains(seen.load.digest);
  }

  const SuggestOptions& options_;
  const Changing changing_;
  std::set<string> changing_digests_;
  SignedBy signed_;
  Programs programs_;
  std::map<string, std::map<Patterns, Loads>> changing_by_;  // by executable
  RuleNames names_;
  Suggestion result_;
};

// Of the same program, by what a load tells of it.
std::vector<const SeenLoad*> Suggester::attachments_of(const SeenLoad& seen) const {
  std::vector<const SeenLoad*> found;
  const auto wide = patterns_for(seen.load.attach);
  if (!wide || seen.load.digest.empty()) return found;
  for (const SeenLoad& one : options_.attachments) {
    if (one.load.digest != seen.load.digest || one.load.signer != seen.load.signer ||
        one.fate != Fate::ran || !parse_attach_pattern(one.load.attach) ||
        one.load.attach.find(kUnknownTarget) != string::npos)
      continue;
    const auto point = patterns_for(one.load.attach);
    if (point && *point == *wide) found.push_back(&one);
  }
  return found;
}

// Where it went, if that was seen; else all that its load may be for.
Result<Patterns> Suggester::point_of(const SeenLoad& seen) const {
  std::set<string> places;
  for (const SeenLoad* one : attachments_of(seen)) places.insert(one->load.attach);
  if (places.empty()) return patterns_for(seen.load.attach);
  return Patterns(places.begin(), places.end());
}

// For tests: each place is a load of its own.
Loads Suggester::at_their_places(const Loads& loads) const {
  Loads all;
  for (const SeenLoad& seen : loads) {
    const auto places = attachments_of(seen);
    if (places.empty()) all.push_back(seen);
    for (const SeenLoad* place : places) {
      all.push_back(seen);
      all.back().load.attach = place->load.attach;
    }
  }
  return all;
}

void Suggester::take(const SeenLoad& seen) {
  if (seen.fate == Fate::barred || seen.fate == Fate::failed)
    return leave(seen, seen.fate == Fate::failed ? "the verifier rejected it" : seen.objection);
  if (seen.fate == Fate::refused && !options_.include_refused)
    return leave(seen, "refused by " + seen.objection);
  const auto digest = parse_digest("sha256:" + seen.load.digest);
  if (digest && std::ranges::find(options_.deny_digests, *digest) != options_.deny_digests.end())
    return leave(seen, "`deny-digests` names it");
  const auto point = point_of(seen);
  if (!point) return leave(seen, point.error().message);
  if (is_twin_of_changing(seen)) return;
  if (is_changing(seen))
    changing_by_[seen.by][*point].push_back(seen);
  else if (seen.is_signed)
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

// Why the programs of that executable differ from boot to boot.
string Suggester::changing_comment(const Loads& loads) const {
  std::set<string> symbols;
  for (const SeenLoad& seen : loads) {
    const auto& here = changing_.at({seen.load.attach, seen.load.program, seen.by});
    symbols.insert(here.begin(), here.end());
  }
  const string why =
      symbols.empty() ? "as where addresses of kernel symbols\nare put into a program."
                      : "for their loader puts addresses of\nkernel symbols into them: " +
                            joined_points({symbols.begin(), symbols.end()}) + ".";
  return "By its executable: the digests of these differ from boot to boot, " + why +
         " Sign it where you can.\n";
}

void Suggester::add_changing_rules() {
  for (const auto& [exe, points] : changing_by_) {
    RuleText rule;
    Loads loads;
    for (const auto& [point, seen] : points) {
      rule.allow.insert(rule.allow.end(), point.begin(), point.end());
      loads.insert(loads.end(), seen.begin(), seen.end());
    }
    rule.comment = changing_comment(loads);
    rule.name = names_.take(printable(exe + ", which differs from boot to boot"));
    rule.exes = {exe};
    rule.accept = {"exempt-by-subject: the digests differ from boot to boot"};
    add_rule(std::move(rule), loads);
  }
}

void Suggester::add_rule(RuleText text, const Loads& loads) {
  constexpr size_t longest = 24;  // lines
  std::set<string> lines;
  for (const SeenLoad& seen : loads) lines.insert(comment_line(seen));
  size_t shown = 0;
  for (const string& line : lines)
    if (shown++ < longest) text.comment += printable(line) + "\n";
  if (lines.size() > longest)
    text.comment += "and " + std::to_string(lines.size() - longest) + " more\n";
  std::set<string> once;
  std::erase_if(text.allow, [&](const string& pattern) { return !once.insert(pattern).second; });
  result_.keys.insert(text.signed_by.begin(), text.signed_by.end());
  result_.rules.push_back({std::move(text), at_their_places(loads)});
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
    add_rule(std::move(rule), loads);
  }
}

// Where nobody knows whose program it is, its digest has to do.
void Suggester::note_short_lived(const Loads& loads, string& comment) const {
  const auto holds_addresses = [&](const SeenLoad& seen) {
    return options_.addresses_in.contains(seen.load.digest);
  };
  if (!std::ranges::any_of(loads, holds_addresses)) return;
  comment +=
      "Until the next boot only: addresses of kernel symbols are in it, so that its digest will be\n"
      "another one. Record its load (`bpfwarden events`), and suggest again: then its executable is "
      "known.\n";
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
    note_short_lived(rule.second, rule.first.comment);
    rule.first.name = names_.take(std::move(rule.first.name));
    add_rule(std::move(rule.first), rule.second);
  }
}

bool Suggester::admits(const SeenLoad& seen) const {
  const auto point = point_of(seen);
  if (!point) return false;
  if (is_changing(seen)) return changing_by_.contains(seen.by);
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
  add_changing_rules();
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
    merged.back().boots.merge(seen.boots);
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
  const std::vector<SeenLoad> kinds = merge_loads(loads);
  Suggester suggester(options, kinds);
  for (const SeenLoad& seen : kinds) suggester.take(seen);
  return suggester.finish();
}

}  // namespace bpfwarden::policy
