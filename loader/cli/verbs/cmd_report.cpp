// bpfwarden report: what runs, who vouches, what was decided: as one page for people.
#include <sys/utsname.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/inventory/inventory.h"
#include "loader/inventory/inventory_output.h"
#include "loader/kernel/version.h"
#include "loader/report/report_page.h"
#include "loader/report/report_sources.h"
#include "loader/status/status.h"
#include "loader/status/status_json.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct ReportArguments {
  std::filesystem::path html;
  ReportFiles files;
  std::string since, until, host;
};

Micros now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int wrong_use(const std::string& message) {
  print_error({0, message, "see `bpfwarden report --help`"});
  return kWrongUse;
}

bool read_span(const ReportArguments& options, ReportSpan& span) {
  if (!options.since.empty()) span.since = parse_moment(options.since, now());
  if (!options.until.empty()) span.until = parse_moment(options.until, now());
  return span.since.has_value() == !options.since.empty() &&
         span.until.has_value() == !options.until.empty();
}

Error with_hint(Error error) {
  if (error.hint.empty())
    error.hint = "run it as root, or make the report of files: --events, --inventory and --status";
  return error;
}

Result<nlohmann::json> file_or_null(const std::filesystem::path& path) {
  if (path.empty()) return nlohmann::json();
  return read_json_file(path);
}

Result<nlohmann::json> live_inventory() {
  const auto programs = read_inventory();
  if (!programs) return std::unexpected(programs.error());
  return inventory_to_json(*programs);
}

Result<nlohmann::json> live_status() {
  const auto status = read_status();
  if (!status) return std::unexpected(status.error());
  return status_to_json(*status);
}

// Which machine: the one of the files is known by what they say.
void describe_origin(const ReportArguments& options, const ReportSpan& span,
                     nlohmann::json& report) {
  const nlohmann::json& status = report["status"];
  nlohmann::json host, kernel;
  if (status.is_object()) {
    host = status.value("host", nlohmann::json());
    kernel = status.value("kernel", nlohmann::json());
  }
  utsname machine = {};
  if (!options.files.any() && ::uname(&machine) == 0) {
    host = machine.nodename;
    kernel = machine.release;
  }
  if (!options.host.empty()) host = options.host;
  const auto moment = [](const std::optional<Micros>& time) {
    return time ? nlohmann::json(utc_text(*time)) : nlohmann::json();
  };
  put(report, "host", std::move(host));
  put(report, "kernel", std::move(kernel));
  put(report, "generated", utc_text(now()));
  put(report, "bpfwarden_version", kVersion);
  put(report, "since", moment(span.since));
  put(report, "until", moment(span.until));
}

std::string number_text(uint64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

// For a browser without scripts, and for whoever reads the source.
std::string summary_of(const nlohmann::json& report) {
  const auto count = [&](const char* name) {
    return number_text(report["counts"][name].get<uint64_t>());
  };
  return number_text(report["recording"]["received"].get<uint64_t>()) +
         " events: " + count("allowed") + " allowed, " + count("would_deny") +
         " would be denied, " + count("refused") + " refused, " + count("rejected") +
         " rejected by the kernel itself.";
}

Status write_page(const ReportArguments& options, const nlohmann::json& report,
                  const EventTable& events) {
  const std::string host = report["host"].is_string() ? report["host"].get<std::string>() : "";
  const auto page = render_page({.title = host.empty() ? "BPF programs" : "BPF programs on " + host,
                                 .summary = summary_of(report)},
                                report, events);
  if (!page) return std::unexpected(page.error());
  const std::filesystem::path inputs[] = {options.files.events, options.files.inventory,
                                          options.files.status};
  if (Status other = require_no_input(options.html, inputs); !other) return other;
  if (Status done = write_output(options.html, *page); !done) return done;
  std::fprintf(stderr, "%s: %s\n", options.html.c_str(), summary_of(report).c_str());
  return {};
}

// What is not in the events.
struct Surroundings {
  nlohmann::json inventory, status;
};

Result<Surroundings> read_surroundings(const ReportFiles& files) {
  auto inventory = files.any() ? file_or_null(files.inventory) : live_inventory();
  if (!inventory) return std::unexpected(std::move(inventory).error());
  auto status = files.any() ? file_or_null(files.status) : live_status();
  if (!status) return std::unexpected(std::move(status).error());
  return Surroundings{std::move(*inventory), std::move(*status)};
}

int write_report(const ReportArguments& options, const ReportSpan& span) {
  const auto events = read_recorded_events(options.files.events, span);
  if (!events) return print_error(with_hint(events.error()));
  const auto around = read_surroundings(options.files);
  if (!around) return print_error(with_hint(around.error()));
  const auto make = [&](size_t most_rows) {
    auto made = make_report(*events, around->status, around->inventory, most_rows);
    if (made) describe_origin(options, span, *made);
    return made;
  };
  if (!options.html.empty()) {
    const auto shown = make(kMostRowsInPage);
    if (!shown) return print_error(shown.error());
    if (const Status done = write_page(options, *shown, events->table); !done)
      return print_error(done.error());
  }
  if (!in_json()) return 0;
  if (options.html == kStandardStream) answer_on_stderr();
  const auto whole = make(SIZE_MAX);
  if (!whole) return print_error(whole.error());
  put_answer(*whole);
  return 0;
}

int run_report(const ReportArguments& options) {
  ReportSpan span;
  if (options.html.empty() && !in_json()) return wrong_use("give --html FILE, --json, or both");
  if (!read_span(options, span))
    return wrong_use("a time is 2026-11-25, 2026-11-25T12:00 (UTC), or how long ago: 2h, 7d");
  return write_report(options, span);
}

}  // namespace

void add_report(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ReportArguments>();
  CLI::App* verb = app.add_subcommand(
      "report", "Make a page for people: what runs, who vouches, what was decided");
  verb->add_option("--html", options->html, "write the page to this file; it needs no network");
  verb->add_option("--events", options->files.events,
                   "a recording, as `events --output FILE` writes it");
  verb->add_option("--inventory", options->files.inventory, "the output of `inventory --json`");
  verb->add_option(
      "--status", options->files.status,
      "the output of `status --json`. With any of these three the report is about what "
      "the files hold, and about nothing on this machine; no root is needed");
  verb->add_option("--host", options->host, "the name of the machine that the files are from");
  verb->add_option("--since", options->since,
                   "no events before: 2026-11-25, 2026-11-25T12:00 (UTC), or 2h, 7d ago");
  verb->add_option("--until", options->until, "no events after");
  verb->footer("example: bpfwarden report --html report.html --since 7d");
  verb->callback([options, &chosen] { chosen = [options] { return run_report(*options); }; });
}

}  // namespace bpfwarden::loader
