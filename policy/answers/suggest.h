// From what was loaded to the smallest policy that admits it again: by signer where a key of the
// policy signed, else by the exact programs.
//
// Smallest: without any of its rules, attach points (those that a load cannot tell apart count as
// one) or digests something that was seen would be refused, or, if signed, no longer be admitted
// for its signer. Plain data, sorted: the same loads give the same policy. Nothing fails; what
// cannot be admitted is listed with the reason.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/answers/rule_text.h"

namespace bpfwarden::policy {

// What became of a load.
enum class Fate : uint8_t {
  ran,      // admitted, or let through in audit mode
  failed,   // the verifier rejected it
  refused,  // by a policy that enforces
  barred,   // by the kernel itself, or for what no rule can allow
};

// Loads of one kind. Two that differ in a fact are two of these.
struct SeenLoad {
  RecordedLoad load;  // its signer is a key of the policy that `suggest` starts from
  Fate fate = Fate::ran;
  Origin origin = Origin::user;
  bool is_signed = false;   // also by a key that no policy knows
  bool runs_now = false;    // it is in the kernel at this moment
  std::string by;           // who loaded it: an executable, or the name of a process
  std::string unit;         // systemd's, of who loaded it; empty: none, or not known
  std::string objection;    // why not admitted then: "rule 'no xdp'"; empty: nobody objected
  uint64_t count = 0;       // of events
  int64_t last = 0;         // Unix seconds; 0: not known
  std::set<int64_t> boots;  // when those began that it was seen in, in Unix minutes

  // Everything but how often, and when.
  [[nodiscard]] bool same_kind(const SeenLoad& other) const;
};

// Each kind once, in a fixed order, with counts added up.
[[nodiscard]] std::vector<SeenLoad> merge_loads(std::vector<SeenLoad> loads);

struct SuggestOptions {
  std::vector<Key> keys;  // that may be named
  std::vector<ProgramDigest> deny_digests;
  std::vector<SeenLoad> attachments;  // where those that were loaded went; may be empty
  std::set<std::string> taken_names;  // of rules
  // By digest: kernel symbols whose addresses a loader has put into that program.
  std::map<std::string, std::vector<std::string>> addresses_in;
  bool include_refused = false;       // admit what a policy refused, too
};

struct SuggestedRule {
  RuleText text;
  std::vector<SeenLoad> loads;  // that it is there for
};

struct NotAdmitted {
  SeenLoad load;
  std::string why;
};

struct Suggestion {
  std::vector<SuggestedRule> rules;
  std::vector<SeenLoad> others;  // admitted by no rule of their own: loaders, for what they load
  std::vector<NotAdmitted> left;
  std::set<std::string> keys;  // that the rules name
};

[[nodiscard]] Suggestion suggest(const std::vector<SeenLoad>& loads, const SuggestOptions& options);

// The attach points of a policy for one of an event: those that a load cannot tell from it. Errors:
// it is none that a policy could name.
[[nodiscard]] Result<std::vector<std::string>> patterns_for(const std::string& attach);

// For comments and names: what comes from programs may hold anything.
[[nodiscard]] std::string printable(std::string text);

}  // namespace bpfwarden::policy
