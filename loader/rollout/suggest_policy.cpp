#include "loader/rollout/suggest_policy.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <set>

#include "base/file.h"
#include "loader/inventory/kernel_addresses.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/key_tables.h"
#include "loader/policies/policy_store.h"
#include "policy/answers/extend.h"
#include "policy/answers/read_situation.h"
#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/language/words.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

// What the suggestion starts from.
struct Base {
  std::optional<CheckedPolicy> policy;  // nothing: no policy is active and none was named
  uint64_t active_version = 0;
};

Result<Base> read_base(const SuggestRequest& request) {
  Base base;
  auto active = read_active_policy();
  // Without root, what is active cannot be read; where a base is named it need not be.
  if (!active && request.base.empty() && request.with_inventory)
    return std::unexpected(std::move(active).error());
  const bool is_active = active && *active;
  if (is_active) base.active_version = (*active)->generation.image->policy_version;
  if (!request.base.empty()) {
    CheckedPolicy checked = check_policy_file(request.base);
    if (!checked.compiled)
      return unreadable(fail(request.base + " is not a good policy",
                             "run `bpfwarden check " + request.base + "`"));
    base.policy = std::move(checked);
  } else if (is_active) {
    auto stored = load_policy((*active)->generation.image->policy_digest);
    if (!stored) return std::unexpected(std::move(stored).error());
    base.policy = std::move(*stored);
  }
  return base;
}

const CompiledPolicy* compiled_of(const Base& base) {
  return base.policy ? &*base.policy->compiled : nullptr;
}

// Without those whose certificates are all revoked: they vouch for nothing.
std::vector<policy::Key> keys_that_count(const CompiledPolicy& base) {
  std::vector<policy::Key> keys = base.policy.keys;
  std::erase_if(keys, [&](const policy::Key& key) {
    const auto slot = policy::signer_slot(*base.image, base.policy, key.name);
    return !slot || *slot == BW_SIGNER_UNKNOWN;
  });
  return keys;
}

struct Sources {
  std::vector<policy::SeenLoad> loads, attachments;
  uint64_t by_threads = 0;
  std::string text;
  std::map<std::string, std::vector<std::string>> addresses_in;  // as SuggestOptions has it
};

Result<Sources> read_sources(const SuggestRequest& request, const bw_image* base) {
  auto events = read_seen_events(request.events);
  if (!events) return std::unexpected(std::move(events).error());
  Sources sources = {std::move(events->loads), std::move(events->attachments), events->by_threads,
                     std::move(events->sources), {}};
  if (request.with_inventory) {
    const auto programs = read_inventory();
    if (!programs)
      return std::unexpected(
          Error(programs.error().code, programs.error().message,
                "run as root, or leave the kernel's programs out: --no-inventory"));
    const auto listed = seen_loads_of(*programs, base);
    sources.loads.insert(sources.loads.end(), listed.begin(), listed.end());
    sources.addresses_in = kernel_addresses_in(*programs);
    sources.text += ", " + std::to_string(listed.size()) + " kinds of programs in the kernel";
  }
  if (sources.loads.empty())
    return fail(
        "nothing was loaded, as far as " + sources.text + " tell",
        "record for a while: `bpfwarden apply` a policy with mode = \"audit\", and `bpfwarden "
        "events --follow --output FILE`");
  return sources;
}

// Paths in the text are resolved against its folder.
std::string folder_of(const std::string& output) {
  if (output.empty()) return {};
  const fs::path folder = fs::path(output).parent_path();
  return folder.empty() ? "." : folder.string();
}

policy::SituationSettings settings_of(const policy::SeenLoad& seen) {
  policy::SituationSettings settings;
  if (auto point = policy::parse_attach_point(seen.load.attach)) settings.attach = *point;
  settings.key = seen.load.signer;
  settings.signature = seen.load.signature;
  settings.origin = seen.origin;
  settings.digest = policy::parse_digest("sha256:" + seen.load.digest);
  if (seen.by.starts_with('/')) settings.exe = seen.by;
  return settings;
}

// Nothing where the base has no words for it: a key that it revokes.
std::optional<bw_decision> decided_by(const CompiledPolicy& base, const policy::SeenLoad& seen) {
  const auto situation =
      policy::situation_of(settings_of(seen), base.policy, *base.image, std::time(nullptr));
  if (!situation) return std::nullopt;
  return policy::decide_on(*base.image, *situation).load;
}

bool says_rule(const std::optional<bw_decision>& decision, bool allows) {
  return decision && decision->cause == BW_CAUSE_RULE && (decision->allow != 0) == allows;
}

bool is_load_only(const CompiledPolicy& compiled, const std::optional<bw_decision>& at_load) {
  return says_rule(at_load, true) && at_load->rule < compiled.policy.rules.size() &&
         compiled.policy.rules[at_load->rule].action == policy::Action::load_only;
}

bool is_of(const policy::SeenLoad& attachment, const policy::SeenLoad& seen) {
  const auto wide = policy::patterns_for(seen.load.attach);
  const auto there = policy::patterns_for(attachment.load.attach);
  return !seen.load.digest.empty() && attachment.load.digest == seen.load.digest &&
         attachment.load.signer == seen.load.signer && wide && there && *wide == *there;
}

// What the base says of the load, and of each place where it went.
struct Verdict {
  bool is_kept = false;   // admitted by rules wherever it went
  std::string denied_by;  // a rule of the base that refuses it, and stays
};

Verdict verdict_of(const CompiledPolicy& base, const Sources& sources,
                   const policy::SeenLoad& seen) {
  const auto at_load = decided_by(base, seen);
  Verdict verdict = {.is_kept = says_rule(at_load, true), .denied_by = {}};
  const auto note_denial = [&](const std::optional<bw_decision>& decision) {
    if (!says_rule(decision, false) || decision->rule >= base.policy.rules.size()) return;
    const policy::Rule& rule = base.policy.rules[decision->rule];
    if (rule.action == policy::Action::deny) verdict.denied_by = rule.name;
  };
  note_denial(at_load);
  const bool only_loaded = is_load_only(base, at_load);
  for (const policy::SeenLoad& one : sources.attachments) {
    if (!is_of(one, seen)) continue;
    const auto situation =
        policy::situation_of(settings_of(one), base.policy, *base.image, std::time(nullptr));
    if (!situation) continue;
    const bw_decision there = policy::decide_on(*base.image, *situation).last();
    // What is only loaded is not enough, even where nobody can tell the place.
    if (only_loaded && one.fate != policy::Fate::refused) verdict.is_kept = false;
    verdict.is_kept = verdict.is_kept && (only_loaded || says_rule(there, true));
    note_denial(there);
  }
  return verdict;
}

// Takes out of the loads what the base admits and what its deny rules refuse.
void sort_by_base(const CompiledPolicy& base, Sources& sources, policy::Suggestion& suggestion) {
  std::vector<policy::SeenLoad> left;
  for (policy::SeenLoad& seen : policy::merge_loads(std::move(sources.loads))) {
    const bool ran = seen.fate == policy::Fate::ran || seen.fate == policy::Fate::refused;
    const Verdict verdict = ran ? verdict_of(base, sources, seen) : Verdict();
    if (!verdict.denied_by.empty())
      suggestion.left.push_back({seen, "rule '" + verdict.denied_by + "', which stays, denies it"});
    else if (verdict.is_kept && seen.fate == policy::Fate::ran)
      suggestion.others.push_back(seen);
    else
      left.push_back(std::move(seen));
  }
  sources.loads = std::move(left);
}

// What the policy is for must be what it does.
Status require_admitted(const CompiledPolicy& compiled,
                        const std::vector<policy::SeenLoad>& loads) {
  for (const policy::SeenLoad& seen : loads) {
    const auto situation = policy::situation_of(settings_of(seen), compiled.policy, *compiled.image,
                                                std::time(nullptr));
    if (!situation) return std::unexpected(situation.error());
    if (policy::decide_on(*compiled.image, *situation).load.allow == 0)
      return fail("the suggested policy would deny " + seen.load.attach + " '" + seen.load.program +
                      "', which was seen",
                  "please report it; nothing was written");
  }
  return {};
}

Result<CompiledPolicy> require_good(const SuggestedPolicy& suggested, const std::string& output,
                                    PolicySnapshot certificates) {
  certificates.sources = {{output.empty() ? "suggested" : output, suggested.text}};
  certificates.checked_at = std::time(nullptr);
  CheckedPolicy checked = check_snapshot(certificates);
  if (!checked.compiled)
    return fail("no policy can be made of the loads that were seen:\n" +
                    policy::render_all(checked.diagnostics, checked.sources),
                "suggest from fewer events: --events FILE; or with --no-inventory");
  for (const policy::SuggestedRule& rule : suggested.suggestion.rules)
    if (Status admitted = require_admitted(*checked.compiled, rule.loads); !admitted)
      return std::unexpected(std::move(admitted).error());
  if (Status admitted = require_admitted(*checked.compiled, suggested.suggestion.others); !admitted)
    return std::unexpected(std::move(admitted).error());
  return std::move(*checked.compiled);
}

// A program that nobody has seen, unsigned.
bool refuses_strangers(const CompiledPolicy& compiled, const std::string& attach) {
  policy::SeenLoad stranger;
  stranger.load.attach = attach;
  stranger.load.digest = std::string(size_t{2} * BW_DIGEST_SIZE, '0');
  const auto decision = decided_by(compiled, stranger);
  return decision && decision->allow == 0 && decision->cause == BW_CAUSE_DEFAULT;
}

std::optional<policy::Expectation> expected_of(const CompiledPolicy& compiled,
                                               const policy::SeenLoad& seen) {
  const auto situation = policy::situation_of(settings_of(seen), compiled.policy, *compiled.image,
                                              std::time(nullptr));
  if (!situation) return std::nullopt;
  const auto decisions = policy::decide_on(*compiled.image, *situation);
  if (is_load_only(compiled, decisions.load)) return policy::Expectation::load_only;
  if (decisions.last().allow == 0) return std::nullopt;
  return policy::Expectation::allow;
}

std::string tests_for(const SuggestRequest& request, const policy::Suggestion& suggestion,
                      const CompiledPolicy& compiled) {
  if (request.tests.empty()) return {};
  const fs::path folder = fs::absolute(request.tests).parent_path();
  return policy::suggested_tests(
      suggestion,
      fs::absolute(request.output).lexically_normal().lexically_relative(folder.lexically_normal()),
      {.refuses = [&](const std::string& attach) { return refuses_strangers(compiled, attach); },
       .expected = [&](const policy::SeenLoad& seen) { return expected_of(compiled, seen); }});
}

policy::SuggestOptions options_for(const SuggestRequest& request, const CompiledPolicy* base,
                                   const Sources& sources) {
  policy::SuggestOptions options;
  options.include_refused = request.include_refused;
  options.addresses_in = sources.addresses_in;
  if (base == nullptr) return options;
  options.keys = keys_that_count(*base);
  options.deny_digests = base->policy.deny_digests;
  options.attachments = sources.attachments;
  for (const policy::Rule& rule : base->policy.rules) options.taken_names.insert(rule.name);
  return options;
}

Status write_anew(const SuggestRequest& request, const Sources& sources,
                  SuggestedPolicy& suggested) {
  suggested.text =
      policy::suggested_text(suggested.suggestion, {.name = suggested.name,
                                                    .version = suggested.version,
                                                    .mode = request.mode,
                                                    .sources = "From " + sources.text + ".",
                                                    .keys = {},
                                                    .deny_digests = {}});
  return {};
}

void note_change(SuggestedPolicy& suggested, const std::string& what, const std::string& before,
                 const std::string& after) {
  if (before != after) suggested.changes.push_back(what + ": " + before + " -> " + after);
}

std::string mode_word(policy::Mode mode) {
  return std::string(policy::spelling_of(policy::kModeWords, mode));
}

std::string header_for(const policy::Policy& base, const Sources& sources,
                       const SuggestedPolicy& suggested) {
  const auto& rules = suggested.suggestion.rules;
  std::string text = "Suggested by bpfwarden: '" + base.name + "' version " +
                     std::to_string(base.version) + ", which is kept with its " +
                     std::to_string(base.rules.size()) + " rules, and " +
                     std::to_string(rules.size()) + " more for what it does not admit.\nFrom " +
                     sources.text + ".\n";
  for (const std::string& change : suggested.changes) text += "Changed: " + change + "\n";
  for (const policy::SuggestedRule& rule : rules) text += "Added: \"" + rule.text.name + "\"\n";
  if (!suggested.suggestion.left.empty())
    text += "Not admitted: " + std::to_string(suggested.suggestion.left.size()) +
            " kinds of loads, see the end.\n";
  return text + "Read each rule that is added: it admits what ran, not what should have run.\n";
}

// Whether callers with threads would be refused what they did.
bool needs_threads(const policy::Policy& base, const Sources& sources) {
  return sources.by_threads > 0 && base.multithreaded_attach == policy::SharedAttach::deny;
}

policy::PathsFor paths_by(const KeyTables& keys) {
  return [&keys](const std::string& file, const std::string& entry) {
    const auto found = keys.entries.find({file, entry});
    return found == keys.entries.end() ? std::vector<std::string>() : found->second;
  };
}

// All that the base says, and more.
Status extend(const SuggestRequest& request, const CheckedPolicy& base, const Sources& sources,
              KeyTables& keys, SuggestedPolicy& suggested) {
  const policy::Policy& before = base.compiled->policy;
  std::set<std::string> names;
  for (const policy::Key& key : before.keys) names.insert(key.name);
  auto tables = key_tables(base, names, folder_of(request.output));
  if (!tables) return std::unexpected(std::move(tables).error());
  keys = std::move(*tables);
  suggested.kept_rules = before.rules.size();
  const bool threads = needs_threads(before, sources);
  note_change(suggested, "name", before.name, suggested.name);
  note_change(suggested, "version", std::to_string(before.version),
              std::to_string(suggested.version));
  note_change(suggested, "mode", mode_word(before.mode), mode_word(request.mode));
  const bool was_open = before.default_action == policy::Action::allow;
  if (was_open) note_change(suggested, "default", "allow", "deny");
  if (threads)
    note_change(suggested, "multithreaded-attach", "deny",
                "detect, which widens: callers with threads attached " +
                    std::to_string(sources.by_threads) + " times");
  auto text = policy::extended_text(before, base.sources,
                                    {.header = header_for(before, sources, suggested),
                                     .name = suggested.name,
                                     .version = suggested.version,
                                     .mode = request.mode,
                                     .deny_by_default = was_open,
                                     .detect_threads = threads,
                                     .rules = suggested.suggestion.rules,
                                     .end = policy::not_admitted_text(suggested.suggestion),
                                     .paths = paths_by(keys)});
  if (!text) return std::unexpected(std::move(text).error());
  suggested.text = std::move(*text);
  return {};
}

Status write(const std::string& path, const std::string& text) { return write_output(path, text); }

}  // namespace

Result<SuggestedPolicy> suggest_policy(const SuggestRequest& request) {
  const auto base = read_base(request);
  if (!base) return std::unexpected(base.error());
  const CompiledPolicy* compiled = compiled_of(*base);
  auto sources = read_sources(request, compiled != nullptr ? compiled->image.get() : nullptr);
  if (!sources) return std::unexpected(sources.error());
  SuggestedPolicy suggested;
  suggested.version =
      std::max(base->active_version, compiled != nullptr ? compiled->policy.version : 0) + 1;
  suggested.name = !request.name.empty() ? request.name
                   : compiled != nullptr ? compiled->policy.name
                                         : "suggested";
  policy::Suggestion by_base;
  if (compiled != nullptr) sort_by_base(*compiled, *sources, by_base);
  suggested.suggestion = policy::suggest(sources->loads, options_for(request, compiled, *sources));
  std::ranges::move(by_base.left, std::back_inserter(suggested.suggestion.left));
  std::ranges::move(by_base.others, std::back_inserter(suggested.suggestion.others));
  KeyTables keys;
  if (Status written = compiled != nullptr
                           ? extend(request, *base->policy, *sources, keys, suggested)
                           : write_anew(request, *sources, suggested);
      !written)
    return std::unexpected(std::move(written).error());
  for (auto& [path, text] : keys.files) suggested.files.push_back({path, text});
  const auto good = require_good(suggested, request.output, std::move(keys.certificates));
  if (!good) return std::unexpected(good.error());
  suggested.tests_text = tests_for(request, suggested.suggestion, *good);
  return suggested;
}

Status write_suggestion(const SuggestRequest& request, const SuggestedPolicy& suggested) {
  for (const FileToWrite& file : suggested.files) {
    std::error_code error;
    fs::create_directories(fs::path(file.path).parent_path(), error);
    if (error) return fail_errno(error.value(), "cannot make a folder for " + file.path);
    if (Status done = write(file.path, file.text); !done) return done;
  }
  if (Status done = write(request.output, suggested.text); !done) return done;
  return request.tests.empty() ? Status() : write(request.tests, suggested.tests_text);
}

}  // namespace bpfwarden::loader
