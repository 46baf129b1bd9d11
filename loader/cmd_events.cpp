// bpfwarden events: what was decided, why, and what to do.
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "loader/cmd.h"
#include "loader/events.h"

namespace bpfwarden::loader {
namespace {

struct Options {
  bool follow = false;
  bool json = false;
};

volatile std::sig_atomic_t interrupted = 0;

int follow(EventReader& reader) {
  constexpr int wait_ms = 200;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  while (interrupted == 0) {
    if (auto done = reader.read(wait_ms); !done) return report(done.error());
    std::fflush(stdout);
  }
  return 0;
}

int run_events(const Options& options) {
  auto pins = open_pins();
  if (!pins) return report(pins.error());
  if (!*pins)
    return report(
        {0, "no policy is active, so there are no events", "run `bpfwarden apply POLICY` first"});
  PolicyNames names(**pins);
  auto reader = EventReader::open(**pins, [&](const bw_event& event) {
    const bw_image* image = names.image(event.generation);
    const std::string text =
        options.json ? event_to_json(event, image).dump() + "\n" : event_to_text(event, image);
    std::fputs(text.c_str(), stdout);
  });
  if (!reader) return report(reader.error());
  if (options.follow) return follow(*reader);
  if (auto done = reader->read(0); !done) return report(done.error());
  return 0;
}

}  // namespace

void add_events(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand(
      "events", "Print decisions not yet read, with their reasons; each is read once");
  verb->add_flag("-f,--follow", options->follow, "wait for more until interrupted");
  verb->add_flag("--json", options->json, "one JSON object a line");
  verb->footer("example: bpfwarden events --follow");
  verb->callback([options, &chosen] { chosen = [options] { return run_events(*options); }; });
}

}  // namespace bpfwarden::loader
