// bpfwarden suggest: from what was seen to the smallest policy that admits it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/rollout/suggest_policy.h"
#include "loader/text/json_members.h"
#include "policy/language/words.h"

namespace bpfwarden::loader {
namespace {

struct SuggestArguments {
  SuggestRequest request;
  std::string mode = "audit";
  bool without_inventory = false;
};

nlohmann::json to_json(const SuggestedPolicy& suggested, const std::string& file) {
  auto rules = nlohmann::json::array(), left = nlohmann::json::array();
  for (const policy::SuggestedRule& rule : suggested.suggestion.rules)
    rules.push_back(object_of({{"rule", rule.text.name},
                               {"allow", rule.text.allow},
                               {"signed_by", rule.text.signed_by},
                               {"digests", rule.text.digests}}));
  for (const policy::NotAdmitted& one : suggested.suggestion.left)
    left.push_back(object_of({{"attach", text_or_null(one.load.load.attach)},
                              {"program", one.load.load.program},
                              {"by", text_or_null(one.load.by)},
                              {"count", one.load.count},
                              {"reason", one.why}}));
  return object_of({{"policy", suggested.name},
                    {"policy_version", suggested.version},
                    {"policy_text", suggested.text},
                    {"kept_rules", suggested.kept_rules},
                    {"changes", suggested.changes},
                    {"rules", rules},
                    {"not_admitted", left},
                    {"file", text_or_null(file)}});
}

// On stderr, so that a policy on stdout stays one.
void print_summary(const SuggestArguments& options, const SuggestedPolicy& suggested) {
  const policy::Suggestion& suggestion = suggested.suggestion;
  const std::string& output = options.request.output;
  for (const std::string& change : suggested.changes) std::fprintf(stderr, "%s\n", change.c_str());
  for (const policy::SuggestedRule& rule : suggestion.rules)
    if (suggested.kept_rules > 0) std::fprintf(stderr, "added: %s\n", rule.text.name.c_str());
  if (suggested.kept_rules > 0)
    std::fprintf(stderr, "kept: all %zu rules that there were\n", suggested.kept_rules);
  std::fprintf(stderr, "%s%zu rules; %zu kinds of loads are not admitted%s\n",
               output.empty() ? "" : ("wrote " + output + ": ").c_str(), suggestion.rules.size(),
               suggestion.left.size(),
               suggestion.left.empty() ? "" : ", see the end of the policy");
  if (!output.empty())
    std::fprintf(stderr, "next: read it, then `bpfwarden check %s` and `bpfwarden apply %s`\n",
                 output.c_str(), output.c_str());
}

int run_suggest(SuggestArguments& options) {
  options.request.with_inventory = !options.without_inventory;
  const auto suggested = suggest_policy(options.request);
  if (!suggested) return print_error(suggested.error());
  if (!options.request.output.empty())
    if (Status written = write_suggestion(options.request, *suggested); !written)
      return print_error(written.error());
  if (options.request.output == kStandardStream) answer_on_stderr();
  if (in_json()) return put_answer(to_json(*suggested, options.request.output)), 0;
  if (options.request.output.empty()) std::fputs(suggested->text.c_str(), stdout);
  print_summary(options, *suggested);
  return 0;
}

void add_sources(CLI::App& verb, SuggestArguments& options) {
  auto* events = verb.add_option("--events", options.request.events.file,
                                 "a file of `events --output`; without: the usual one, and what "
                                 "is still in the kernel");
  verb.add_flag("--no-events", options.request.events.is_left_out, "only what is in the kernel now")
      ->excludes(events);
  verb.add_flag("--no-inventory", options.without_inventory,
                "only what was recorded; needs no root");
  verb.add_option("--policy", options.request.base,
                  "whose keys may be named; without: the active policy's");
  verb.add_flag("--include-refused", options.request.include_refused,
                "admit what a policy refused, too; without: it is listed in a comment");
}

}  // namespace

void add_suggest(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<SuggestArguments>();
  CLI::App* verb = app.add_subcommand(
      "suggest",
      "Write a policy that admits what was seen: the active one, with the rules that it lacks");
  add_sources(*verb, *options);
  verb->add_option("--mode", options->mode, "of the policy (audit)")
      ->check(CLI::IsMember({"audit", "enforce"}));
  verb->add_option("--name", options->request.name, "of the policy; without: the base's");
  auto* output = verb->add_option("-o,--output", options->request.output, "write it to this file");
  verb->add_option("--tests", options->request.tests,
                   "and tests of it, from the same loads, to this one")
      ->needs(output);
  verb->footer("example: bpfwarden suggest --mode enforce -o policy.toml --tests policy.test.toml");
  verb->callback([options, &chosen] {
    chosen = [options] {
      if (options->mode == "enforce") options->request.mode = policy::Mode::enforce;
      return run_suggest(*options);
    };
  });
}

}  // namespace bpfwarden::loader
