// bpfwarden diff: which decisions change between two policies.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/cmd.h"
#include "loader/policies/policy_file.h"
#include "policy/answers/diff.h"

namespace bpfwarden::loader {
namespace {

struct DiffArguments {
  std::string before, after;
  bool json = false;
};

const char* change_word(policy::Change change) {
  return change == policy::Change::widened ? "widened" : "narrowed";
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

nlohmann::json to_json(const std::vector<policy::DiffGroup>& groups) {
  auto all = nlohmann::json::array();
  for (const policy::DiffGroup& group : groups)
    all.push_back({{"change", change_word(group.change)},
                   {"attach", group.places},
                   {"who", group.who},
                   {"before", group.before},
                   {"after", group.after}});
  return all;
}

nlohmann::json to_json(const std::vector<policy::SettingChange>& settings) {
  auto all = nlohmann::json::array();
  for (const policy::SettingChange& one : settings)
    all.push_back({{"change", change_word(one.change)},
                   {"setting", one.setting},
                   {"before", one.before},
                   {"after", one.after}});
  return all;
}

void print_json(const policy::PolicyDiff& diff) {
  const nlohmann::json whole = {{"groups", to_json(diff.groups)},
                                {"threads", to_json(diff.threads)},
                                {"settings", to_json(diff.settings)},
                                {"classes", diff.classes},
                                {"changed", diff.changed},
                                {"other_rule", diff.other_rule},
                                {"widens", diff.widens()}};
  std::puts(whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

constexpr size_t kShownPlaces = 12;  // --json has all

std::string places_text(const std::vector<std::string>& places) {
  if (places.size() <= kShownPlaces) return joined(places, ", ");
  return joined({places.begin(), places.begin() + kShownPlaces}, ", ") + " and " +
         std::to_string(places.size() - kShownPlaces) + " more";
}

void print_change(policy::Change change, const std::string& what, const std::string& before,
                  const std::string& after) {
  std::printf("%s: %s\n    before: %s\n    after:  %s\n", change_word(change), what.c_str(),
              before.c_str(), after.c_str());
}

void print(const std::vector<policy::DiffGroup>& groups, const char* how) {
  for (const policy::DiffGroup& group : groups)
    print_change(group.change,
                 places_text(group.places) + " — " +
                     (group.who.empty() ? "whoever loads it" : joined(group.who, "; ")) + how,
                 group.before, group.after);
}

void print(const policy::PolicyDiff& diff) {
  print(diff.groups, "");
  print(diff.threads, "; attached by a process with threads");
  for (const policy::SettingChange& one : diff.settings)
    print_change(one.change, one.setting, one.before, one.after);
  std::printf(
      "%zu of %zu classes of loads get another answer (%zu groups); %zu the same by another "
      "rule\n%s\n",
      diff.changed, diff.classes, diff.groups.size(), diff.other_rule,
      diff.widens() ? "a deny becomes an allow" : "no deny becomes an allow");
}

std::optional<CompiledPolicy> read(const std::string& file) {
  CheckedPolicy checked = check_policy_file(file);
  if (checked.compiled) return std::move(checked.compiled);
  std::fputs(policy::render_all(checked.diagnostics, checked.sources).c_str(), stderr);
  return std::nullopt;
}

int run_diff(const DiffArguments& options) {
  const auto before = read(options.before);
  const auto after = read(options.after);
  if (!before || !after) return kWrongUse;
  const auto diff = policy::diff_policies(
      {policy::DiffSide{before->policy, *before->image}, {after->policy, *after->image}},
      std::time(nullptr));
  if (!diff) {
    (void)print_error(diff.error());
    return kWrongUse;
  }
  if (options.json)
    print_json(*diff);
  else
    print(*diff);
  return diff->widens() ? 1 : 0;
}

}  // namespace

void add_diff(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<DiffArguments>();
  CLI::App* verb = app.add_subcommand(
      "diff", "Say which decisions change between two policies; exit 1 if a deny becomes an allow");
  verb->add_option("old", options->before, "the policy as it was")->required();
  verb->add_option("new", options->after, "the policy as it is to be")->required();
  verb->add_flag("--json", options->json, "the changes as JSON");
  verb->footer("example: bpfwarden diff policy-v1.toml policy-v2.toml");
  verb->callback([options, &chosen] { chosen = [options] { return run_diff(*options); }; });
}

}  // namespace bpfwarden::loader
