// bpfwarden run: load a signed bundle on this kernel.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "keyring/enrol.h"
#include "keyring/kernel_keyring.h"
#include "loader/btf/kernel_abilities.h"
#include "loader/bundles/generated_loader.h"
#include "loader/bundles/run_bundle.h"
#include "loader/bundles/skeleton_header.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/events/event_window.h"
#include "loader/events/events.h"
#include "loader/kernel/pins.h"
#include "loader/rollout/apply.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct RunArguments {
  std::string file, pin, link_pin, device, keyring;
  bool attach = false;
};

// By the numbers that bpf(2) has for them; a serial otherwise.
constexpr auto kNamedKeyrings = std::to_array<std::pair<std::string_view, int32_t>>(
    {{"builtin", 0}, {"secondary", 1}, {"platform", 2}, {"bpf", keyring::kBpfKeyring}});

std::optional<int32_t> keyring_named(const std::string& text) {
  for (const auto& [name, number] : kNamedKeyrings)
    if (name == text) return number;
  int32_t serial = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), serial);
  if (error != std::errc() || end != text.data() + text.size() || serial < 0) return std::nullopt;
  return serial;
}

Result<int32_t> choose_keyring(const RunArguments& options) {
  if (const auto named = keyring_named(options.keyring)) return *named;
  // There the kernel refuses bpfwarden's own.
  if (abilities_of_kernel().verifies_in_bpf_keyring()) return keyring::kBpfKeyring;
  auto ring = keyring::find_ring(kRingName);
  if (!ring) return std::unexpected(std::move(ring).error().within("no keyring to verify against"));
  return *ring;
}

// Pins what was loaded; on failure removes what it pinned.
class PinnedFolder {
 public:
  explicit PinnedFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Status add(const Fd& object, const std::string& name) {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) return fail_errno(error.value(), "cannot make " + folder_.string());
    auto pinned = pin_object(object, folder_ / name);
    if (pinned) made_.push_back(folder_ / name);
    return pinned;
  }

  void undo() {
    std::error_code ignored;  // best effort: the caller already has an error to report
    for (const auto& path : made_) std::filesystem::remove(path, ignored);
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> made_;
};

// Links are pinned beside the programs unless they have a folder of their own.
struct Folders {
  PinnedFolder programs, links;

  void undo() {
    programs.undo();
    links.undo();
  }
};

Status attach_and_pin(const RunArguments& options, const std::vector<LoadedProgram>& programs,
                      Folders& folders) {
  for (const auto& program : programs) {
    if (!options.pin.empty()) {
      auto pinned = folders.programs.add(program.fd, program.entry.name);
      if (!pinned) return pinned;
    }
    if (!options.attach) continue;
    auto link = attach_program(program, options.device);
    if (!link) return std::unexpected(std::move(link).error());
    auto pinned =
        folders.links.add(*link, program.entry.name + (options.link_pin.empty() ? "_link" : ""));
    if (!pinned) return pinned;
  }
  return {};
}

void print(const RunArguments& options, const std::vector<LoadedProgram>& programs) {
  auto list = nlohmann::json::array();
  for (const auto& program : programs) {
    const std::string pin = options.pin.empty() ? "" : options.pin + "/" + program.entry.name;
    list.push_back(object_of({{"program", program.entry.name},
                              {"program_id", program.id},
                              {"section", program.entry.section},
                              {"pin", text_or_null(pin)}}));
    if (!in_json())
      std::printf("loaded %s (%s) as program %u%s%s%s\n", program.entry.name.c_str(),
                  program.entry.section.c_str(), program.id, pin.empty() ? "" : ", pinned at ",
                  pin.c_str(), options.attach ? ", attached" : "");
  }
  if (in_json()) put_answer(object_of({{"programs", list}}));
}

// Says why the warden refused this process, where it did. Where it cannot be asked, the error's
// hint must do.
class Explanation {
 public:
  Explanation() {
    auto pins = open_pins();
    if (!pins || !*pins) return;
    pins_ = std::move(**pins);
    if (auto window = EventWindow::open(*pins_)) window_.emplace(std::move(*window));
  }

  // On stderr; the exit code.
  [[nodiscard]] int report_with(Error error) const {
    const std::vector<Event> why = refusals();
    if (!why.empty() && !in_json()) error.hint.clear();
    const int code = print_error(error);
    put_refusals(why);
    return code;
  }

 private:
  [[nodiscard]] std::vector<Event> refusals() const {
    std::vector<Event> events;
    if (!window_) return events;
    PolicyNames names(*pins_);
    const auto pid = static_cast<uint32_t>(::getpid());
    for (const bw_event& record : window_->since_opened())
      if (record.tgid == pid && record.refused != 0)
        events.push_back(from_record(record, names.image(record.generation)));
    return events;
  }

  std::optional<PinnedMaps> pins_;
  std::optional<EventWindow> window_;
};

int run_run(const RunArguments& options) {
  auto bundle = read_signed(options.file);
  if (!bundle) return print_error(bundle.error());
  if (Status described = require_described(*bundle); !described)
    return print_error(std::move(described).error().within(options.file));
  auto ring = choose_keyring(options);
  if (!ring) return print_error(ring.error());
  const Explanation explanation;
  auto programs = load_bundle(*bundle, *ring);
  if (!programs) return explanation.report_with(std::move(programs).error());
  Folders folders = {PinnedFolder(options.pin),
                     PinnedFolder(options.link_pin.empty() ? options.pin : options.link_pin)};
  if (auto done = attach_and_pin(options, *programs, folders); !done) {
    folders.undo();
    return explanation.report_with(std::move(done).error());
  }
  print(options, *programs);
  return 0;
}

}  // namespace

void add_run(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<RunArguments>();
  CLI::App* verb =
      app.add_subcommand("run", "Load a signed bundle, and pin or attach its programs");
  verb->add_option("file", options->file,
                   "what `bpfwarden sign` or `bpftool gen skeleton -L -S` wrote")
      ->required();
  auto* pin = verb->add_option("--pin", options->pin, "pin the programs in this bpffs folder");
  auto* attach = verb->add_flag("--attach", options->attach,
                                "attach each; the links, without which it ends, are pinned");
  auto* link_pin = verb->add_option("--link-pin", options->link_pin,
                                    "pin the links in this folder; without, beside the programs")
                       ->needs(attach);
  verb->add_option("--dev", options->device, "network device for XDP programs");
  verb->add_option("--keyring", options->keyring,
                   "verify against builtin, secondary, platform, bpf or the keyring of this "
                   "serial instead of bpfwarden's")
      ->check([](const std::string& text) {
        return keyring_named(text) ? "" : "no keyring, and no serial: " + text;
      });
  verb->footer("example: bpfwarden run xdp.bundle --pin /sys/fs/bpf/netops --attach --dev eth0");
  verb->callback([=, &chosen] {
    if (attach->count() > 0 && pin->count() + link_pin->count() == 0)
      throw CLI::RequiredError("--attach: --pin or --link-pin");
    chosen = [options] { return run_run(*options); };
  });
}

}  // namespace bpfwarden::loader
