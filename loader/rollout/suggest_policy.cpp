#include "loader/rollout/suggest_policy.h"

#include <algorithm>
#include <ctime>

#include "base/file.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/key_tables.h"
#include "loader/policies/policy_store.h"
#include "policy/answers/read_situation.h"
#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"

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

// What one key's table revokes, no other key may bring back.
void keep_revocations(const policy::Policy& base, policy::Suggestion& suggestion) {
  for (const policy::Key& key : base.keys)
    if (!key.revoked.empty() && !suggestion.keys.empty()) suggestion.keys.insert(key.name);
}

struct Sources {
  std::vector<policy::SeenLoad> loads;
  std::string text;
};

Result<Sources> read_sources(const SuggestRequest& request, const bw_image* base) {
  auto events = read_seen_events(request.events);
  if (!events) return std::unexpected(std::move(events).error());
  Sources sources = {std::move(events->loads), std::move(events->sources)};
  if (request.with_inventory) {
    const auto programs = read_inventory();
    if (!programs)
      return std::unexpected(
          Error(programs.error().code, programs.error().message,
                "run as root, or leave the kernel's programs out: --no-inventory"));
    const auto listed = seen_loads_of(*programs, base);
    sources.loads.insert(sources.loads.end(), listed.begin(), listed.end());
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
  return settings;
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

Status require_good(const SuggestedPolicy& suggested, const std::string& output,
                    PolicySnapshot certificates) {
  certificates.sources = {{output.empty() ? "suggested" : output, suggested.text}};
  certificates.checked_at = std::time(nullptr);
  const CheckedPolicy checked = check_snapshot(certificates);
  if (!checked.compiled)
    return fail("no policy can be made of the loads that were seen:\n" +
                    policy::render_all(checked.diagnostics, checked.sources),
                "suggest from fewer events: --events FILE; or with --no-inventory");
  for (const policy::SuggestedRule& rule : suggested.suggestion.rules)
    if (Status admitted = require_admitted(*checked.compiled, rule.loads); !admitted)
      return admitted;
  return require_admitted(*checked.compiled, suggested.suggestion.others);
}

std::string tests_for(const SuggestRequest& request, const policy::Suggestion& suggestion) {
  if (request.tests.empty()) return {};
  const fs::path folder = fs::absolute(request.tests).parent_path();
  return policy::suggested_tests(suggestion, fs::absolute(request.output)
                                                 .lexically_normal()
                                                 .lexically_relative(folder.lexically_normal()));
}

Status write(const std::string& path, const std::string& text) { return write_output(path, text); }

}  // namespace

Result<SuggestedPolicy> suggest_policy(const SuggestRequest& request) {
  const auto base = read_base(request);
  if (!base) return std::unexpected(base.error());
  const CompiledPolicy* compiled = compiled_of(*base);
  const policy::Policy* start = compiled != nullptr ? &compiled->policy : nullptr;
  policy::SuggestOptions options;
  options.include_refused = request.include_refused;
  if (compiled != nullptr) options.keys = keys_that_count(*compiled);
  if (start != nullptr) options.deny_digests = start->deny_digests;
  const auto sources = read_sources(request, compiled != nullptr ? compiled->image.get() : nullptr);
  if (!sources) return std::unexpected(sources.error());

  SuggestedPolicy suggested;
  suggested.suggestion = policy::suggest(sources->loads, options);
  if (start != nullptr) keep_revocations(*start, suggested.suggestion);
  suggested.version = std::max(base->active_version, start ? start->version : 0) + 1;
  suggested.name = !request.name.empty() ? request.name : start ? start->name : "suggested";
  KeyTables keys;
  if (base->policy) {
    auto tables = key_tables(*base->policy, suggested.suggestion.keys, folder_of(request.output));
    if (!tables) return std::unexpected(std::move(tables).error());
    keys = std::move(*tables);
  }
  suggested.text =
      policy::suggested_text(suggested.suggestion, {.name = suggested.name,
                                                    .version = suggested.version,
                                                    .mode = request.mode,
                                                    .sources = "From " + sources->text + ".",
                                                    .keys = keys.text,
                                                    .deny_digests = options.deny_digests});
  suggested.tests_text = tests_for(request, suggested.suggestion);
  for (auto& [path, text] : keys.files) suggested.files.push_back({path, text});
  if (Status good = require_good(suggested, request.output, std::move(keys.certificates)); !good)
    return std::unexpected(std::move(good).error());
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
