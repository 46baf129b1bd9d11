// bpfwarden why: the last refusals as sentences, and what to do about them.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cli/cmd.h"
#include "loader/events/advice.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/events/refusal_text.h"
#include "loader/events/refusals.h"
#include "loader/text/moment.h"
#include "loader/text/systemd_unit.h"

namespace bpfwarden::loader {
namespace {

struct WhyArguments {
  size_t last = 5;
  std::string since, file;
  bool json = false;
};

void print_text(const RefusalLog& log, size_t limit) {
  const auto groups = log.latest(limit);
  if (groups.empty()) std::puts("nothing was refused, and nothing would have been");
  for (size_t i = 0; i < groups.size(); i++)
    std::printf("%s%s", i == 0 ? "" : "\n", refusal_text(groups[i], std::time(nullptr)).c_str());
  if (log.size() > groups.size())
    std::printf("\n%zu more kinds: `bpfwarden why --last %zu`\n", log.size() - groups.size(),
                log.size());
}

nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

nlohmann::json to_json(const RefusalGroup& group) {
  const Event& event = group.event;
  const Advice advice = advice_for(event);
  return {{"count", group.count},
          {"first", group.first},
          {"last", group.last},
          {"refused", event.refused},
          {"unit", text_or_null(unit_of_cgroup(event.cgroup))},
          {"who", who_text(event)},
          {"what", what_text(event)},
          {"outcome", outcome_text(event)},
          {"why", reasons_of(event)},
          {"do", advice.steps},
          {"rule", text_or_null(advice.rule)},
          {"place", text_or_null(advice.place)},
          {"event", event_to_json(event)}};
}

void print_json(const RefusalLog& log, size_t limit) {
  auto list = nlohmann::json::array();
  for (const RefusalGroup& group : log.latest(limit)) list.push_back(to_json(group));
  std::puts(list.dump(2).c_str());
}

int run_why(const WhyArguments& options) {
  RefusalSource source;
  if (!options.file.empty()) source.file = options.file;
  if (!options.since.empty())
    source.since = parse_moment(options.since, std::time(nullptr) * kMicrosPerSecond).value_or(0) /
                   kMicrosPerSecond;
  const auto found = read_refusals(source);
  if (!found) return print_error(found.error());
  if (options.json)
    print_json(found->log, options.last);
  else
    print_text(found->log, options.last);
  if (found->walk.unreadable != 0)
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
  verb->add_flag("--json", options->json, "as JSON");
  verb->footer("example: bpfwarden why --since 2h");
  verb->callback([options, &chosen] { chosen = [options] { return run_why(*options); }; });
}

}  // namespace bpfwarden::loader
