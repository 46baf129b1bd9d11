// bpfwarden events: what was decided, why, and what to do.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include "loader/cli/cmd.h"
#include "loader/events/event_file.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/events/events.h"
#include "loader/events/journal.h"

namespace bpfwarden::loader {
namespace {

struct EventsArguments {
  bool follow = false;
  bool json = false;
  bool journal = false;
  EventFileOptions file;
};

volatile std::sig_atomic_t interrupted = 0;

void listen_for_the_end() {
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
}

// Where events go.
class Sink {
 public:
  Sink(const EventsArguments& options, std::optional<EventFile> file)
      : json_(options.json), journal_(options.journal), file_(std::move(file)) {}

  void put(const Event& event) {
    if (!file_ && !journal_) return print(json_ ? event_line(event) + "\n" : event_to_text(event));
    const std::string line = event_line(event);
    if (file_) keep_trying(line, [&] { return file_->write(line); });
    if (!journal_) return;
    const auto fields = journal_fields(event);
    keep_trying(line, [&] { return send_to_journal(fields); });
  }

 private:
  static void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

  // The event has left the kernel: it is tried until it is written. Meanwhile the kernel counts
  // what it drops.
  template <class Write>
  static void keep_trying(const std::string& line, const Write& write) {
    constexpr auto pause = std::chrono::seconds(1);
    for (bool is_first = true;; is_first = false) {
      const Status written = write();
      if (written) return;
      if (is_first) print_error(written.error());
      if (interrupted != 0) {
        std::fprintf(stderr, "bpfwarden: this event was not kept: %s\n", line.c_str());
        return;
      }
      std::this_thread::sleep_for(pause);
    }
  }

  bool json_;
  bool journal_;
  std::optional<EventFile> file_;
};

Result<Sink> open_sink(const EventsArguments& options) {
  if (options.journal)
    if (Status there = find_journal(); !there) return std::unexpected(there.error());
  if (options.file.path.empty()) return Sink(options, std::nullopt);
  auto file = EventFile::open(options.file);
  if (!file) return std::unexpected(std::move(file).error());
  return Sink(options, std::move(*file));
}

int follow(EventReader& reader) {
  constexpr int wait_ms = 200;
  while (interrupted == 0) {
    if (auto done = reader.read(wait_ms); !done) return print_error(done.error());
    std::fflush(stdout);
  }
  return 0;
}

int run_events(const EventsArguments& options) {
  auto pins = open_pins();
  if (!pins) return print_error(pins.error());
  if (!*pins)
    return print_error(
        {0, "no policy is active, so there are no events", "run `bpfwarden apply POLICY` first"});
  auto sink = open_sink(options);
  if (!sink) return print_error(sink.error());
  listen_for_the_end();
  auto reader = EventReader::open(**pins, [&](const Event& event) { sink->put(event); });
  if (!reader) return print_error(reader.error());
  if (options.follow) return follow(*reader);
  if (auto done = reader->read(0); !done) return print_error(done.error());
  return 0;
}

}  // namespace

void add_events(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<EventsArguments>();
  CLI::App* verb = app.add_subcommand(
      "events", "Print decisions not yet read, with their reasons; each is read once");
  verb->add_flag("-f,--follow", options->follow, "wait for more until interrupted");
  verb->add_flag("--json", options->json, "one JSON object a line");
  auto* output = verb->add_option("-o,--output", options->file.path,
                                  "append them to this file, one JSON object a line");
  verb->add_option("--max-size", options->file.max_bytes,
                   "rename the file to FILE.1, and so on, before it is larger (64M)")
      ->transform(CLI::AsSizeValue(false))
      ->needs(output);
  verb->add_option("--keep", options->file.keep, "how many such files (8)")->needs(output);
  verb->add_flag("--journal", options->journal,
                 "to the journal of systemd, with native fields; with --output to both");
  verb->footer("example: bpfwarden events --follow");
  verb->callback([options, &chosen] { chosen = [options] { return run_events(*options); }; });
}

}  // namespace bpfwarden::loader
