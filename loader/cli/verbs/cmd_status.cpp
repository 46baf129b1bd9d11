// bpfwarden status: what is active now, on one screen.
#include <sys/ioctl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/status/status.h"
#include "loader/status/status_json.h"
#include "loader/status/status_screen.h"
#include "loader/text/escaped_stream.h"

namespace bpfwarden::loader {
namespace {

struct StatusArguments {
  bool watch = false;
  uint64_t interval = 2;  // seconds
};

constexpr const char* kOff = "off: no policy is active; `bpfwarden apply POLICY` makes one so";

volatile std::sig_atomic_t stop_watching = 0;

// ---- Terminal -----------------------------------------------------------------------------------

struct Terminal {
  bool is_one = false;
  bool has_colour = false;
  size_t columns = 0;  // no limit
  size_t lines = kScreenLines + 1;
};

// Asked for each time: windows change their size.
Terminal look_at_terminal() {
  Terminal terminal;
  terminal.is_one = ::isatty(STDOUT_FILENO) == 1;
  const char* no_colour = std::getenv("NO_COLOR");
  terminal.has_colour = terminal.is_one && (no_colour == nullptr || *no_colour == 0);
  if (terminal.is_one) terminal.columns = kScreenColumns;
  winsize size = {};
  if (terminal.is_one && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
    terminal.lines = std::max<size_t>(size.ws_row, 2);
  }
  return terminal;
}

std::vector<std::string> screen_of(const std::optional<KernelStatus>& status,
                                   const Terminal& terminal) {
  if (!status) return {kOff};
  std::vector<std::string> lines;
  for (const ScreenLine& line : status_screen(*status, {std::time(nullptr), boot_time_ns()}))
    lines.push_back(line_text(line, terminal.columns, terminal.has_colour));
  return lines;
}

// ---- Verb ---------------------------------------------------------------------------------------

// In place: from the top left corner, each line to its end, and what is below them cleared. Nothing
// is set that would have to be put back.
void print_in_place(const std::vector<std::string>& lines, const Terminal& terminal) {
  std::string frame = "\033[H";
  for (size_t i = 0; i < std::min(lines.size(), terminal.lines - 1); i++)
    frame += lines[i] + "\033[K\n";
  put_on_terminal(frame + "\033[J");
}

void print_block(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) put_on_terminal(line + "\n");
}

void wait_for(uint64_t seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  constexpr auto step = std::chrono::milliseconds(50);
  while (stop_watching == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(step);
}

int watch(const StatusArguments& options) {
  std::signal(SIGINT, [](int) { stop_watching = 1; });
  std::signal(SIGTERM, [](int) { stop_watching = 1; });
  for (bool is_first = true; stop_watching == 0; is_first = false) {
    auto status = read_status();
    if (!status) return print_error(status.error());
    const Terminal terminal = look_at_terminal();
    if (in_json()) {
      put_line(status_to_json(*status));
    } else if (terminal.is_one) {
      if (is_first) put_on_terminal("\033[2J");
      print_in_place(screen_of(*status, terminal), terminal);
    } else {
      if (!is_first) std::puts("");
      print_block(screen_of(*status, terminal));
    }
    if (output_error() != 0) return 1;  // nobody reads any more
    wait_for(options.interval);
  }
  return 0;
}

int run_status(const StatusArguments& options) {
  if (options.watch) return watch(options);
  auto status = read_status();
  if (!status) return print_error(status.error());
  if (in_json())
    put_answer(status_to_json(*status));
  else
    print_block(screen_of(*status, look_at_terminal()));
  return *status && (*status)->hooks.missing.empty() && (*status)->unjudged.empty() ? 0 : 1;
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<StatusArguments>();
  CLI::App* verb = app.add_subcommand("status",
                                      "Say which policy is active and what became of the last "
                                      "hour; exit 1 if none is, if hooks are "
                                      "gone, or if a program became active that none judged");
  auto* watch = verb->add_flag("-w,--watch", options->watch, "again and again, until interrupted");
  verb->add_option("--interval", options->interval, "how often (2s)")
      ->transform(as_seconds())
      ->check(CLI::Range(uint64_t{1}, uint64_t{86'400}))
      ->needs(watch);
  verb->footer("example: bpfwarden status --watch");
  verb->callback([options, &chosen] { chosen = [options] { return run_status(*options); }; });
}

}  // namespace bpfwarden::loader
