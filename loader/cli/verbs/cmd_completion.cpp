// bpfwarden completion: scripts for shells, from the command line as it is registered.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/text/completion.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

const std::map<std::string, Shell> kShells = {
    {"bash", Shell::bash}, {"zsh", Shell::zsh}, {"fish", Shell::fish}};

// CLI11 describes a set as "TEXT:{a,b}"; it has no other way to ask for its members.
std::vector<std::string> choices_of(const CLI::Option& option) {
  std::vector<std::string> choices;
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return choices;
  for (const std::string& word : CLI::detail::split(type.substr(open + 1, close - open - 1), ','))
    if (!word.empty()) choices.push_back(word);
  return choices;
}

std::vector<const CLI::App*> parts_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

bool has_option(const CompletionVerb& verb, const std::string& name) {
  return std::ranges::any_of(verb.options,
                             [&](const auto& one) { return one.name == "--" + name; });
}

// A verb with verbs of its own (`keys`) offers these first, and the options of all of them.
void add_parts(CompletionVerb& verb, const CLI::App& app);

CompletionVerb verb_of(const CLI::App& app) {
  CompletionVerb verb = {app.get_name(), app.get_description(), {}, {}};
  add_parts(verb, app);
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional())
      verb.choices = choices_of(*option);
    else if (!option->get_lnames().empty() && !has_option(verb, option->get_lnames().front()))
      verb.options.push_back({"--" + option->get_lnames().front(), option->get_description(),
                              option->get_expected_max() > 0, choices_of(*option)});
  }
  return verb;
}

void add_parts(CompletionVerb& verb, const CLI::App& app) {
  for (const CLI::App* part : parts_of(app)) {
    verb.choices.push_back(part->get_name());
    for (CompletionOption& option : verb_of(*part).options)
      if (!has_option(verb, option.name.substr(2))) verb.options.push_back(std::move(option));
  }
}

int print_script(const CLI::App& app, const std::string& shell) {
  std::vector<CompletionVerb> verbs;
  for (const CLI::App* verb : parts_of(app)) verbs.push_back(verb_of(*verb));
  const std::string script = completion_script(kShells.at(shell), verbs);
  if (in_json())
    put_answer(object_of({{"shell", shell}, {"script", script}}));
  else
    std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, Command& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print a completion script for a shell");
  verb->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->footer("example: bpfwarden completion bash > /etc/bash_completion.d/bpfwarden");
  verb->callback(
      [shell, &app, &chosen] { chosen = [shell, &app] { return print_script(app, *shell); }; });
}

}  // namespace bpfwarden::loader
