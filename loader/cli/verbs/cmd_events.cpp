// bpfwarden events: what was decided, why, and what to do.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/events/event_file.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/events/events.h"
#include "loader/events/journal.h"
#include "loader/kernel/reader_lock.h"
#include "loader/text/escaped_stream.h"

namespace bpfwarden::loader {
namespace {

struct EventsArguments {
  bool follow = false;
  bool journal = false;
  EventFileOptions file;
};

volatile std::sig_atomic_t interrupted = 0;

void listen_for_the_end() {
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
}

void pause_for_a_moment() {
  constexpr auto moment = std::chrono::milliseconds(200);
  std::this_thread::sleep_for(moment);
}

// Where events go.
class Sink {
 public:
  Sink(const EventsArguments& options, std::optional<EventFile> file)
      : journal_(options.journal), file_(std::move(file)) {}

  // Errors: it was not written, and is to stay where it is.
  [[nodiscard]] Status put(const Event& event) {
    if (!file_ && !journal_)
      return print(in_json() ? event_line(event) + "\n" : event_to_text(event));
    if (file_) {
      const std::string line = event_line(event);
      if (Status kept = keep_trying([&] { return file_->write(line); }); !kept) return kept;
    }
    if (!journal_) return {};
    const auto fields = journal_fields(event);
    Status kept = keep_trying([&] { return send_to_journal(fields); });
    if (kept || !file_) return kept;
    std::fputs("bpfwarden: the last event is in the file only, not in the journal\n", stderr);
    return {};
  }

  // main() says why.
  [[nodiscard]] Status print(const std::string& text) {
    if (std::fputs(text.c_str(), stdout) >= 0 && output_error() == 0) return {};
    return fail("cannot write to standard output");
  }

 private:
  // Until it is written, or nobody wants it any more. Meanwhile the kernel counts what it drops.
  template <class Write>
  [[nodiscard]] static Status keep_trying(const Write& write) {
    constexpr auto pause = std::chrono::seconds(1);
    for (bool is_first = true;; is_first = false) {
      Status written = write();
      if (written || interrupted != 0) return written;
      if (is_first) std::fprintf(stderr, "bpfwarden: error: %s\n", written.error().message.c_str());
      std::this_thread::sleep_for(pause);
    }
  }

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

// What was not written is not read: the next reader gets it.
int print_read_error(const Error& error) { return output_error() != 0 ? 1 : print_error(error); }

// ---- Beside another reader ----------------------------------------------------------------------

std::string kept_text(const StreamReader& reader) {
  if (reader.file.empty()) return "";
  return ", which keeps them in " + reader.file +
         (reader.is_file_seen ? "" : " of another mount namespace");
}

int refuse_beside(const StreamReader& reader) {
  const bool has_file = !reader.file.empty() && reader.is_file_seen;
  return print_error({0,
                      "the events are being read by " + reader_text(reader) + kept_text(reader) +
                          "; each is read once, by one reader",
                      has_file
                          ? "`bpfwarden events --follow` shows them from that file as they "
                            "come, `bpfwarden why --events " +
                                reader.file + "` the refusals"
                          : "see what it prints, or end it; `bpfwarden why` shows the refusals "
                            "without reading the stream"});
}

Status show_line(Sink& sink, const std::string& line) {
  if (in_json()) return sink.print(line + "\n");
  const auto event = parse_event(line);
  return event ? sink.print(event_to_text(*event)) : Status();
}

// The other one goes on reading; nothing is taken from the stream.
int follow_file_of(const StreamReader& reader, Sink& sink) {
  auto file = FollowedEventFile::open(reader.file);
  if (!file) return print_error(file.error());
  std::fprintf(stderr, "%s reads the events%s: they are shown from there as they come\n",
               reader_text(reader).c_str(), kept_text(reader).c_str());
  for (bool is_read = true; interrupted == 0; pause_for_a_moment()) {
    const auto lines = file->read();
    if (!lines) return print_error(lines.error());
    for (const std::string& line : *lines)
      if (Status shown = show_line(sink, line); !shown) return 1;
    const bool was_read = std::exchange(is_read, find_stream_reader().has_value());
    if (was_read && !is_read)
      std::fputs("bpfwarden: nobody reads the events now; they stay in the kernel\n", stderr);
  }
  return 0;
}

// ---- As the reader ------------------------------------------------------------------------------

enum class Follow : uint8_t { done, failed, off };

Follow follow(EventReader& reader) {
  constexpr int wait_ms = 200;
  while (interrupted == 0) {
    const bool is_current = reader.is_current();  // asked first: what came until then is read
    if (auto done = reader.read(wait_ms); !done) {
      print_read_error(done.error());
      return Follow::failed;
    }
    if (!is_current) return Follow::off;
  }
  return Follow::done;
}

bool records(const EventsArguments& options) {
  return options.follow && (options.journal || !options.file.path.empty());
}

// Whose turn it is: ours, with the lock, or another's.
struct Turn {
  std::optional<ReaderLock> lock;
  std::optional<StreamReader> other;
};

Result<Turn> look_whose_turn() {
  for (;;) {
    auto lock = ReaderLock::try_take();
    if (!lock) return std::unexpected(std::move(lock).error());
    if (*lock) return Turn{std::move(*lock), std::nullopt};
    if (auto other = find_stream_reader()) return Turn{std::nullopt, std::move(other)};
  }
}

// Who records waits for who only looks, and after `off` for the next policy. Nothing: interrupted.
Result<std::optional<ReaderLock>> wait_for_turn() {
  for (bool is_told = false; interrupted == 0; pause_for_a_moment()) {
    auto turn = look_whose_turn();
    if (!turn && turn.error().code == ENOENT) continue;
    if (!turn) return std::unexpected(std::move(turn).error());
    if (turn->lock) return std::move(turn->lock);
    if (!std::exchange(is_told, true))
      std::fprintf(stderr,
                   "bpfwarden: %s reads the events, and what it reads is not kept; waiting until "
                   "it ends\n",
                   reader_text(*turn->other).c_str());
  }
  return std::nullopt;
}

Follow be_reader(ReaderLock lock, const EventsArguments& options, Sink& sink) {
  const auto failed = [](const Error& error) {
    print_read_error(error);
    return Follow::failed;
  };
  auto pins = open_pins();
  if (!pins) return failed(pins.error());
  if (!*pins) return Follow::off;
  auto reader = EventReader::open(std::move(lock), **pins,
                                  [&](const Event& event) { return sink.put(event); });
  if (!reader) return failed(reader.error());
  if (options.follow) return follow(*reader);
  if (auto done = reader->read(0); !done) return failed(done.error());
  return Follow::done;
}

Status require_policy() {
  const auto pins = open_pins();
  if (!pins) return std::unexpected(pins.error());
  if (*pins) return {};
  return fail("no policy is active, so there are no events", "run `bpfwarden apply POLICY` first");
}

int read_stream(std::optional<ReaderLock> lock, const EventsArguments& options, Sink& sink) {
  for (;;) {
    if (!lock) {
      auto turn = wait_for_turn();
      if (!turn) return print_error(turn.error());
      if (!*turn) return 0;
      lock = std::move(*turn);
    }
    const Follow end = be_reader(std::move(*lock), options, sink);
    if (end != Follow::off) return end == Follow::failed ? 1 : 0;
    std::fputs("bpfwarden: the policy was turned off; these were its last events\n", stderr);
    if (!records(options)) return 0;
    lock.reset();
  }
}

int run_events(const EventsArguments& options) {
  answer_in_lines();
  if (Status active = require_policy(); !active) return print_error(active.error());
  auto turn = look_whose_turn();
  if (!turn) return print_error(turn.error());
  const bool is_second = turn->other && (!records(options) || !turn->other->file.empty());
  const bool only_looks = options.follow && !records(options);
  if (is_second && !(only_looks && turn->other->is_file_seen)) return refuse_beside(*turn->other);
  auto sink = open_sink(options);
  if (!sink) return print_error(sink.error());
  listen_for_the_end();
  if (is_second) return follow_file_of(*turn->other, *sink);
  return read_stream(std::move(turn->lock), options, *sink);
}

}  // namespace

void add_events(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<EventsArguments>();
  CLI::App* verb = app.add_subcommand(
      "events", "Print decisions not yet read, with their reasons; each is read once");
  verb->add_flag("-f,--follow", options->follow, "wait for more until interrupted");
  verb->add_flag("--json")->description("one JSON object a line");
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
