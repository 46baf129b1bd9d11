// bpfwarden explain: what a policy says to a load or an attachment, and why.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/events/event_json.h"
#include "loader/events/recorded_event.h"
#include "loader/policies/kernel_fit.h"
#include "loader/policies/kernel_symbols.h"
#include "loader/policies/policy_file.h"
#include "loader/text/json_members.h"
#include "policy/answers/explain.h"
#include "policy/answers/read_situation.h"
#include "policy/image/family_table.h"
#include "policy/language/read_policy.h"
#include "policy/language/syntax_reader.h"
#include "policy/language/words.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

struct ExplainArguments {
  std::string file;
  std::string event;  // instead of all the facts below
  std::string symbols = kKernelSymbols;
  // By the name of the setting in a policy test, which is that of the option.
  std::map<std::string, std::string> texts;
  std::optional<uint32_t> uid;
  bool sleepable = false;
  bool delegated = false;
  bool fixed = false;  // instead of a situation
};

// The options as the settings of a policy test: one reader, one set of words and messages.
policy::Table settings_table(const ExplainArguments& options, policy::DiagnosticList& diagnostics) {
  policy::Table table;
  const auto add = [&](const std::string& name, decltype(policy::Value::data) value) {
    table.push_back({name, {}, {{}, std::move(value)}});
  };
  for (const auto& [name, text] : options.texts) {
    if (text.empty()) continue;
    if (name != "time") {
      add(name, text);
      continue;
    }
    policy::DiagnosticList ignored({"--time"});
    const auto date = policy::read_syntax({"--time", "time = " + text}, 0, ignored);
    if (date && !date->empty() && std::holds_alternative<policy::Time>(date->front().value.data))
      table.push_back(date->front());
    else
      diagnostics.error({}, "`" + text + "` is no time",
                        "write 2027-06-30 or 2027-06-30T12:00:00Z");
  }
  if (options.uid) add("uid", int64_t{*options.uid});
  if (options.sleepable) add("sleepable", true);
  if (options.delegated) add("delegated", true);
  return table;
}

Result<policy::Situation> situation_from_options(const ExplainArguments& options,
                                                 const CompiledPolicy& compiled) {
  policy::DiagnosticList diagnostics({"the command line"});
  const policy::Table table = settings_table(options, diagnostics);
  policy::SituationSettings settings;
  const policy::Fields fields(table, {}, "the command line", policy::situation_names(),
                              diagnostics);
  policy::read_situation(fields, settings, diagnostics);
  if (diagnostics.has_errors()) {
    const auto first = diagnostics.take().front();
    return fail(first.message, first.hint);
  }
  return policy::situation_of(settings, compiled.policy, *compiled.image, std::time(nullptr));
}

Result<policy::Situation> situation_from_event(const ExplainArguments& options,
                                               const CompiledPolicy& compiled) {
  const auto event = read_event(options.event);
  if (!event) return std::unexpected(event.error());
  return situation_of_event(*event, compiled.policy, *compiled.image, std::time(nullptr));
}

json to_json(const policy::Explanation& explanation, const policy::Situation& situation,
             const policy::Policy& policy) {
  const auto rule_name = [&](uint32_t rule) { return policy.rules[rule].name; };
  auto stages = json::array();
  for (const auto& stage : explanation.stages) {
    auto passed = json::array();
    for (const auto& one : stage.passed)
      passed.push_back(object_of({{"rule", rule_name(one.rule)}, {"reasons", one.reasons}}));
    auto near = json::array();
    for (const auto& miss : stage.near_misses)
      near.push_back(object_of({{"rule", rule_name(miss.rule)}, {"reason", miss.reason}}));
    const bw_decision& decision = stage.decision;
    const bool has_rule = decision.rule != BW_NO_RULE;
    stages.push_back(object_of(
        {{"stage", stage.stage == BW_STAGE_LOAD ? "load" : "attach"},
         {"decision", decision.allow != 0 ? "allow" : "deny"},
         {"mode", policy::mode_name(static_cast<bw_mode>(decision.mode))},
         {"cause", policy::cause_name(static_cast<bw_cause>(decision.cause))},
         {"rule", has_rule ? json(rule_name(decision.rule)) : json()},
         {"rule_line", has_rule ? json(policy.rules[decision.rule].position.line) : json()},
         {"passed", passed},
         {"near_misses", near}}));
  }
  const bw_decision& last = explanation.decision();
  return object_of(
      {{"decision", last.allow != 0 ? "allow" : "deny"},
       {"refused", bw_refused(&last) != 0},
       {"effect", policy::effect_text(last)},
       {"attach_seen", policy::attach_point_text(policy::as_seen(situation.attach).front())},
       {"lacks_attach", explanation.lacks_attach},
       {"stages", stages}});
}

// One way in which the kernel may see what was asked about, and the answer to it.
struct Way {
  policy::Situation situation;
  policy::Explanation explanation;
};

std::vector<Way> ways_of(const policy::Situation& situation, const bw_image& image) {
  std::vector<Way> ways;
  for (policy::Situation& seen : policy::as_seen(situation)) {
    auto explanation = policy::explain(image, seen);
    ways.push_back({std::move(seen), std::move(explanation)});
  }
  return ways;
}

// All ways of it, with what the kernel sees where libbpf has a name of its own for that.
void print_ways(const policy::Situation& asked, const std::vector<Way>& ways,
                const policy::Policy& policy) {
  for (const Way& way : ways) {
    std::string text = policy::attach_point_text(asked.attach);
    if (policy::is_seen_as_another(asked.attach.family))
      text += ", which the kernel sees as " + policy::attach_point_text(way.situation.attach);
    if (ways.size() > 1 && &way != &ways.front()) text += " with current versions of libbpf";
    std::printf("%s: %s", text.c_str(), policy::to_text(way.explanation, policy).c_str());
  }
}

bool is_refused(const Way& way) { return way.explanation.decision().allow == 0; }

// The answer to the first way that is refused, or to the first; `ways` has all of them.
json to_json(const policy::Situation& asked, const std::vector<Way>& ways,
             const policy::Policy& policy) {
  const auto refused = std::ranges::find_if(ways, is_refused);
  const Way& told = refused == ways.end() ? ways.front() : *refused;
  json answer = to_json(told.explanation, told.situation, policy);
  json list = json::array();
  for (const Way& way : ways)
    list.push_back(object_of({{"attach_seen", policy::attach_point_text(way.situation.attach)},
                              {"decision", is_refused(way) ? "deny" : "allow"}}));
  put(answer, "attach", policy::attach_point_text(asked.attach));
  put(answer, "ways", std::move(list));
  return answer;
}

// What no rule can allow, and whether it is refused where that policy is in force.
int run_fixed(const ExplainArguments& options, const CompiledPolicy& compiled) {
  const bool enforced = bw_enforces_at(compiled.image.get(), std::time(nullptr)) != 0;
  if (!in_json()) {
    std::printf("%s\n%s: %s\n", policy::fixed_denials().c_str(), options.file.c_str(),
                enforced ? "all of it is refused" : "audit only, as nothing is enforced");
    return 0;
  }
  auto list = json::array();
  for (unsigned i = 0; i < BW_CAUSES; i++)
    if (policy::is_fixed(static_cast<bw_cause>(i)))
      list.push_back(object_of({{"cause", policy::cause_name(static_cast<bw_cause>(i))},
                                {"reason", policy::cause_text(static_cast<bw_cause>(i))}}));
  put_answer(object_of({{"enforced", enforced}, {"fixed", list}}));
  return 0;
}

// The other names of functions, as `apply` looks them up here; of another host by a copy of its
// symbols. Where this host hides its own, rules are about the names that they give.
Status know_functions(const ExplainArguments& options, CompiledPolicy& compiled) {
  if (!names_functions(compiled.policy)) return {};
  const auto symbols = KernelSymbols::read(options.symbols);
  if (!symbols && options.symbols == kKernelSymbols) return {};
  if (!symbols) return std::unexpected(symbols.error());
  const auto found = find_functions(compiled, *symbols);
  return found ? Status() : std::unexpected(found.error());
}

// What of the policy does nothing on this kernel, where the policy takes that.
void tell_unfit(const CompiledPolicy& compiled, const std::vector<policy::SourceFile>& sources) {
  if (!compiled.policy.accept_kernel.empty())
    put_diagnostics(held_against(compiled, abilities_of_kernel(), Occasion::boot), sources);
}

int run_explain(const ExplainArguments& options) {
  policy::ParseResult parsed = parse_policy_file(options.file);
  if (!parsed) {
    put_diagnostics(parsed.diagnostics, parsed.sources);
    (void)print_error({0, "the policy has errors", "correct them"});
    return kWrongUse;
  }
  const std::vector<policy::SourceFile> sources = parsed.sources;
  auto compiled = compile_policy(std::move(parsed));
  if (!compiled) {
    (void)print_error(compiled.error());
    return kWrongUse;
  }
  if (options.fixed) return run_fixed(options, *compiled);
  if (auto known = know_functions(options, *compiled); !known) return print_error(known.error());
  tell_unfit(*compiled, sources);
  const auto situation = options.event.empty() ? situation_from_options(options, *compiled)
                                               : situation_from_event(options, *compiled);
  if (!situation) {
    (void)print_error(situation.error());
    return kWrongUse;
  }
  const std::vector<Way> ways = ways_of(*situation, *compiled->image);
  if (in_json())
    put_answer(to_json(*situation, ways, compiled->policy));
  else
    print_ways(*situation, ways, compiled->policy);
  return std::ranges::any_of(ways, is_refused) ? 1 : 0;
}

// An empty text is more likely a script's unset variable than a fact.
std::string refuse_empty(const std::string& text) {
  return text.empty() ? "is empty: leave the option out" : "";
}

void add_facts(CLI::App& verb, CLI::Option* event, ExplainArguments& options) {
  const auto add = [&](const std::string& name, const char* meaning) {
    return verb.add_option("--" + name, options.texts[name], meaning)
        ->check(refuse_empty)
        ->excludes(event);
  };
  const auto one_of = [](const auto& words) {
    std::vector<std::string> choices;
    for (const std::string_view word : policy::spellings(words)) choices.emplace_back(word);
    return CLI::IsMember(choices);
  };
  add("attach", "the attach point, such as xdp@eth0 or fentry/tcp_connect");
  add("key", "the key of the policy that signed");
  add("certificate", "which of its certificates: sha256:FINGERPRINT; the first if not given");
  add("signature", "what the signature covers; prog-only if a key is given, else unsigned")
      ->check(one_of(policy::kSignatureWords));
  add("digest", "SHA-256 of the instructions; not given: not known");
  add("origin", "who loads: a process, or a loader program")->check(one_of(policy::kOriginWords));
  verb.add_option("--uid", options.uid, "who loads; 0 if not given")->excludes(event);
  add("exe", "the executable that loads");
  add("cgroup", "its cgroup");
  verb.add_flag("--sleepable", options.sleepable, "the program may sleep")->excludes(event);
  verb.add_flag("--delegated", options.delegated, "loaded with a BPF token")->excludes(event);
  add("license", "the license of the program")->check(one_of(policy::kLicenseWords));
  add("time", "a date or a date and time with a zone; now if not given");
}

}  // namespace

void add_explain(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ExplainArguments>();
  CLI::App* verb =
      app.add_subcommand("explain", "Say what a policy decides, by which rule, and why");
  verb->add_option("file", options->file, "the policy (TOML)")->required();
  CLI::Option* event = verb->add_option(
      "--event", options->event, "a file with one event of `events --json`, instead of the facts");
  event->check(refuse_empty);
  add_facts(*verb, event, *options);
  verb->add_option("--kallsyms", options->symbols,
                   "a copy of another host's /proc/kallsyms, for the other names of functions")
      ->check(refuse_empty);
  verb->add_flag("--fixed", options->fixed, "list what no rule can allow")->excludes(event);
  verb->footer("example: bpfwarden explain policy.toml --attach xdp@eth0 --key netops");
  verb->callback([options, &chosen] { chosen = [options] { return run_explain(*options); }; });
}

}  // namespace bpfwarden::loader
