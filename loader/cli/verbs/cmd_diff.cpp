// bpfwarden diff: which decisions change between two policies.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/joined.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/policy_file.h"
#include "loader/policies/policy_store.h"
#include "loader/text/json_members.h"
#include "policy/diff/diff.h"

namespace bpfwarden::loader {
namespace {

struct DiffArguments {
  std::string before, after;  // with `active`, one of them: the policy as it is to be
  bool active = false;
};

const char* change_word(policy::Change change) {
  return change == policy::Change::widened ? "widened" : "narrowed";
}

nlohmann::json to_json(const std::array<std::optional<std::vector<std::string>>, 2>& witness) {
  const auto one = [&](size_t i) { return witness[i] ? nlohmann::json(*witness[i]) : nullptr; };
  return object_of({{"before", one(0)}, {"after", one(1)}});
}

nlohmann::json to_json(const std::vector<policy::DiffGroup>& groups) {
  auto all = nlohmann::json::array();
  for (const policy::DiffGroup& group : groups)
    all.push_back(object_of({{"change", change_word(group.change)},
                             {"attach_points", group.places},
                             {"attach_more", group.more_places},
                             {"conditions", group.who},
                             {"before", group.before},
                             {"after", group.after},
                             {"witness", to_json(group.witness)}}));
  return all;
}

nlohmann::json to_json(const std::vector<policy::SettingChange>& settings) {
  auto all = nlohmann::json::array();
  for (const policy::SettingChange& one : settings)
    all.push_back(object_of({{"change", change_word(one.change)},
                             {"setting", one.setting},
                             {"before", one.before},
                             {"after", one.after}}));
  return all;
}

nlohmann::json to_json(const std::vector<policy::HeaderChange>& header) {
  auto all = nlohmann::json::array();
  for (const policy::HeaderChange& one : header)
    all.push_back(
        object_of({{"setting", one.setting}, {"before", one.before}, {"after", one.after}}));
  return all;
}

// Counts may be larger than any integer; JSON does not mind.
nlohmann::json whole_number(double count) {
  constexpr double largest = 9e15;
  if (count < largest) return static_cast<uint64_t>(count);
  return count;
}

nlohmann::json to_json(const policy::PolicyDiff& diff) {
  return object_of({{"header", to_json(diff.header)},
                    {"groups", to_json(diff.groups)},
                    {"threads", to_json(diff.threads)},
                    {"settings", to_json(diff.settings)},
                    {"classes", whole_number(diff.classes)},
                    {"changed", whole_number(diff.changed)},
                    {"other_rule", whole_number(diff.other_rule)},
                    {"not_asked", whole_number(diff.not_asked)},
                    {"widens", diff.widens()}});
}

constexpr size_t kShownPlaces = 12;  // --json has all

std::string places_text(const policy::DiffGroup& group) {
  const auto& places = group.places;
  const size_t shown = std::min(places.size(), kShownPlaces);
  const size_t more = places.size() - shown + group.more_places;
  const std::string text = joined(std::span(places).first(shown), ", ");
  return more == 0 ? text : text + " and " + std::to_string(more) + " more";
}

// As a shell takes it.
std::string quoted(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

void print_witness(const DiffArguments& options, const policy::DiffGroup& group) {
  for (size_t i = 0; i < 2; i++) {
    std::string text = "explain has no words for the load that shows it";
    if (group.witness[i]) {
      const bool is_active = i == 0 && options.active;
      text = "bpfwarden explain " +
             (is_active ? "ACTIVE" : quoted(i == 0 ? options.before : options.after));
      for (const std::string& word : *group.witness[i]) text += " " + quoted(word);
    }
    std::printf("    %s %s\n", i == 0 ? "shown by:" : "     and:", text.c_str());
  }
}

void print_change(policy::Change change, const std::string& what, const std::string& before,
                  const std::string& after) {
  std::printf("%s: %s\n    before: %s\n    after:  %s\n", change_word(change), what.c_str(),
              before.c_str(), after.c_str());
}

void print(const DiffArguments& options, const std::vector<policy::DiffGroup>& groups,
           const char* how) {
  for (const policy::DiffGroup& group : groups) {
    print_change(group.change,
                 places_text(group) + " — " +
                     (group.who.empty() ? "whoever loads it" : joined(group.who, "; ")) + how,
                 group.before, group.after);
    print_witness(options, group);
  }
}

void print(const DiffArguments& options, const policy::PolicyDiff& diff) {
  for (const policy::HeaderChange& one : diff.header)
    std::printf("%s: %s -> %s\n", one.setting.c_str(), one.before.c_str(), one.after.c_str());
  print(options, diff.groups, "");
  print(options, diff.threads, "; attached by a process with threads");
  for (const policy::SettingChange& one : diff.settings)
    print_change(one.change, one.setting, one.before, one.after);
  std::printf(
      "%.15g of %.15g classes of loads get another answer (%zu groups); %.15g the same by another "
      "rule\n",
      diff.changed, diff.classes, diff.groups.size(), diff.other_rule);
  if (diff.not_asked > 0)
    std::printf("%.2g%% of the classes were not asked about: it would have taken too long\n",
                100 * diff.not_asked / diff.classes);
  std::puts(diff.widens()        ? "a deny becomes an allow"
            : diff.not_asked > 0 ? "no deny becomes an allow, as far as was asked"
                                 : "no deny becomes an allow");
}

std::optional<CompiledPolicy> read(const std::string& file) {
  CheckedPolicy checked = check_policy_file(file);
  if (checked.compiled) return std::move(checked.compiled);
  put_diagnostics(checked.diagnostics, checked.sources);
  return std::nullopt;
}

// As it was applied, whatever has become of its file.
std::optional<CompiledPolicy> read_active() {
  const auto active = require_active_policy();
  if (!active) return print_error(active.error()), std::nullopt;
  auto stored = load_policy(active->generation.image->policy_digest);
  if (!stored) return print_error(stored.error()), std::nullopt;
  return std::move(stored->compiled);
}

int run_diff(const DiffArguments& options) {
  auto before = options.active ? read_active() : read(options.before);
  const auto after = read(options.after);
  if (!before || !after) return kWrongUse;
  const auto diff = policy::diff_policies(
      {policy::DiffSide{before->policy, *before->image}, {after->policy, *after->image}},
      std::time(nullptr));
  if (in_json())
    put_answer(to_json(diff));
  else
    print(options, diff);
  return diff.widens() || diff.not_asked > 0 ? 1 : 0;
}

}  // namespace

void add_diff(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<DiffArguments>();
  CLI::App* verb = app.add_subcommand("diff",
                                      "Say which decisions change between two policies, each with "
                                      "a load that shows it; exit 1 if a "
                                      "deny becomes an allow, or if not all could be asked about");
  verb->add_option("old", options->before, "the policy as it was; with --active, left out")
      ->required();
  verb->add_option("new", options->after, "the policy as it is to be");
  verb->add_flag("--active", options->active,
                 "compare with the active policy (ACTIVE: the output of `bpfwarden policy show`)");
  verb->footer("example: bpfwarden diff policy-v1.toml policy-v2.toml");
  verb->callback([options, &chosen] {
    if (!options->active && options->after.empty()) throw CLI::RequiredError("new");
    if (options->active && !options->after.empty()) throw CLI::ExcludesError("--active", "old");
    if (options->active) std::swap(options->before, options->after);
    chosen = [options] { return run_diff(*options); };
  });
}

}  // namespace bpfwarden::loader
