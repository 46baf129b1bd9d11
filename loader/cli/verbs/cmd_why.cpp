// bpfwarden why: the last refusals as sentences, and what to do about them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "loader/btf/kernel_abilities.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/events/advice.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/events/refusal_text.h"
#include "loader/events/refusals.h"
#include "loader/host/other_refusals.h"
#include "loader/kernel/hooks.h"
#include "loader/text/json_members.h"
#include "loader/text/moment.h"
#include "loader/text/systemd_unit.h"
#include "loader/text/wrapped_text.h"

namespace bpfwarden::loader {
namespace {

struct WhyArguments {
  size_t last = 5;
  std::string since, file;
  uint32_t process = 0;  // 0: all
};

void print_list(const char* headline, const std::vector<std::string>& lines, size_t columns) {
  constexpr size_t left = 4;
  if (!lines.empty()) std::puts(headline);
  for (const std::string& line : lines)
    std::printf("  - %s\n", wrapped(line, left, left, columns).c_str());
}

// Who else may have.
struct Others {
  std::optional<ProcessLimits> process;
  std::optional<Error> unknown;  // why the process cannot be looked at
  OtherRefusals refusals;
};

Others look_at_others(const WhyArguments& options) {
  Others others;
  if (options.process != 0) {
    auto found = read_process_limits(static_cast<pid_t>(options.process));
    if (found)
      others.process = std::move(*found);
    else
      others.unknown = found.error();
  }
  HostLimits host = read_host_limits(own_programs());
  const KernelAbilities kernel = abilities_of_kernel();
  if (kernel.verifier != Verifier::nobody && !kernel.own_keyring)
    host.keyrings = std::string(kBpfKeyringAlone) + "; " + kBpfKeyringHint;
  others.refusals = other_refusals(host, others.process ? &*others.process : nullptr);
  return others;
}

void print_lists(const WhyArguments& options, size_t columns) {
  const Others others = look_at_others(options);
  if (others.unknown)
    std::printf("%s; %s\n", others.unknown->message.c_str(), others.unknown->hint.c_str());
  print_list("it can be:", others.refusals.possible, columns);
  print_list("looked at, and not the reason:", others.refusals.excluded, columns);
}

// Said only where it was not bpfwarden.
void print_others(const WhyArguments& options, const std::string& sources, size_t columns) {
  std::string text = "nothing was refused, and nothing would have been";
  if (options.process != 0) text += " of process " + std::to_string(options.process);
  text += ", as far as " + sources +
          " tell. A loader that got EPERM or EACCES all the same got it from somebody else:";
  std::puts(wrapped(text, 0, 0, columns).c_str());
  print_lists(options, columns);
}

// Whether the kernel, or another LSM, can have refused a signed load before its signature.
bool may_be_of_others(const RefusalGroup& group) {
  return group.event.cause == BW_CAUSE_KERNEL_REJECTED && group.event.error == EPERM;
}

void print_text(const RefusalLog& log, const WhyArguments& options) {
  const size_t limit = options.last;
  const auto groups = log.latest(limit);
  const size_t columns = output_columns();
  for (size_t i = 0; i < groups.size(); i++)
    std::printf("%s%s", i == 0 ? "" : "\n",
                refusal_text(groups[i], std::time(nullptr), columns).c_str());
  if (log.probes() != 0)
    std::printf("\n%zu of %zu kinds %s feature probes, a kind a tool\n", log.probes(), log.size(),
                log.probes() == 1 ? "is" : "are");
  if (log.size() > groups.size())
    std::printf("\n%zu more kinds: `bpfwarden why --last %zu`\n", log.size() - groups.size(),
                log.size());
  if (!std::ranges::any_of(groups, may_be_of_others)) return;
  const std::string text = wrapped(
      "Where the kernel itself answered EPERM, it may not have come as far as the signature:", 0, 0,
      columns);
  std::printf("\n%s\n", text.c_str());
  print_lists(options, columns);
}

nlohmann::json to_json(const RefusalGroup& group) {
  const Event& event = group.event;
  const Advice advice = advice_for(event);
  return object_of({{"count", group.count},
                    {"first", time_or_null(group.first)},
                    {"last", time_or_null(group.last)},
                    {"refused", event.refused},
                    {"probe", is_feature_probe(event)},
                    {"unit", text_or_null(unit_of_cgroup(event.cgroup))},
                    {"who", who_text(event)},
                    {"what", what_text(event)},
                    {"outcome", outcome_text(event)},
                    {"why", reasons_of(event)},
                    {"do", advice.steps},
                    {"rule_text", text_or_null(advice.rule)},
                    {"place", text_or_null(advice.place)},
                    {"event", event_to_json(event)}});
}

nlohmann::json to_json(const Others& others) {
  nlohmann::json process;
  if (others.process)
    process = object_of({{"tgid", others.process->pid}, {"comm", others.process->name}});
  return object_of({{"possible", others.refusals.possible},
                    {"excluded", others.refusals.excluded},
                    {"process", process}});
}

// Who else may have refused is in it beside our own refusals, too.
nlohmann::json to_json(const WhyArguments& options, const Refusals& found) {
  auto list = nlohmann::json::array();
  for (const RefusalGroup& group : found.log.latest(options.last)) list.push_back(to_json(group));
  const Others others = look_at_others(options);
  if (others.unknown) print_error(*others.unknown);
  return object_of({{"refusals", list},
                    {"kinds", found.log.size()},
                    {"sources", found.walk.sources},
                    {"others", to_json(others)}});
}

int run_why(const WhyArguments& options) {
  RefusalSource source;
  if (!options.file.empty()) source.file = options.file;
  if (!options.since.empty())
    source.since = parse_moment(options.since, std::time(nullptr) * kMicrosPerSecond).value_or(0) /
                   kMicrosPerSecond;
  source.process = options.process;
  const auto found = read_refusals(source);
  if (!found) return print_error(found.error());
  if (in_json())
    put_answer(to_json(options, *found));
  else if (found->log.size() == 0)
    print_others(options, found->walk.sources, output_columns());
  else
    print_text(found->log, options);
  if (found->walk.unreadable == 0) return 0;
  if (in_json())
    put_note(unreadable_text(found->walk));
  else
    std::fprintf(stderr, "%s\n", unreadable_text(found->walk).c_str());
  return 0;
}

std::string check_since(const std::string& text) {
  if (parse_moment(text, 0)) return "";
  return "no time: write 30m, 2h, 7d, 2026-11-25 or 2026-11-25T10:00:00Z";
}

}  // namespace

void add_why(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<WhyArguments>();
  CLI::App* verb = app.add_subcommand(
      "why", "Say what was refused last, or would have been: who, by which rule, what to do");
  verb->add_option("--last", options->last, "how many kinds of refusals (5)")
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}));
  verb->add_option("--since", options->since, "from then on: 30m, 2h, 7d, a date or time in UTC")
      ->check(check_since);
  verb->add_option("--events", options->file,
                   "read them in this file, as `events --output` or `events --json` wrote it; "
                   "without, those kept by bpfwarden-events.service and in the kernel");
  verb->add_option("--pid", options->process,
                   "only of this process; where nothing was, what else stands in its way")
      ->check(CLI::PositiveNumber);
  verb->footer("example: bpfwarden why --since 2h");
  verb->callback([options, &chosen] { chosen = [options] { return run_why(*options); }; });
}

}  // namespace bpfwarden::loader
