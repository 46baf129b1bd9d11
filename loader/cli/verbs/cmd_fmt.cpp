// bpfwarden fmt: policy files in their normal form.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/text/json_members.h"
#include "policy/language/format.h"
#include "policy/language/syntax_reader.h"

namespace bpfwarden::loader {
namespace {

struct FmtArguments {
  std::vector<std::string> files;
  bool check = false;
  bool print = false;
};

enum class FormatOutcome : uint8_t { same, changed, failed, unreadable };

nlohmann::json& formatted_files() {
  static nlohmann::json all = nlohmann::json::array();
  return all;
}

// What would be printed is in the answer.
FormatOutcome format_as_json(const policy::SourceFile& source, const std::string& formatted,
                             const FmtArguments& options) {
  const bool is_normal = formatted == source.text;
  const bool is_shown = options.print || source.name == kStandardStream;
  const bool writes = !is_normal && !is_shown && !options.check;
  if (writes)
    if (const Status written = write_output(source.name, formatted); !written) {
      (void)print_error(written.error());
      return FormatOutcome::failed;
    }
  formatted_files().push_back(
      object_of({{"file", source.name},
                 {"is_normal", is_normal},
                 {"formatted", writes},
                 {"policy_text", is_shown ? nlohmann::json(formatted) : nlohmann::json()}}));
  return is_normal ? FormatOutcome::same : FormatOutcome::changed;
}

FormatOutcome format(const std::string& file, const FmtArguments& options) {
  auto text = policy::read_text(file);
  if (!text) {
    (void)print_error(text.error());
    return FormatOutcome::unreadable;
  }
  const policy::SourceFile source = {file, std::move(*text)};
  policy::DiagnosticList diagnostics({file});
  const auto formatted = policy::format_policy(source, 0, diagnostics);
  if (!formatted) {
    put_diagnostics(diagnostics.take(), {{source}});
    return FormatOutcome::unreadable;
  }
  if (in_json()) return format_as_json(source, *formatted, options);
  const bool print = options.print || (file == kStandardStream && !options.check);
  if (print)  // as it is, and not as others' text is shown
    if (const Status written = write_output(kStandardStream, *formatted); !written) {
      (void)print_error(written.error());
      return FormatOutcome::failed;
    }
  if (*formatted == source.text) return FormatOutcome::same;
  if (print) return FormatOutcome::changed;
  if (!options.check)
    if (const Status written = write_output(file, *formatted); !written) {
      (void)print_error(written.error());
      return FormatOutcome::failed;
    }
  std::printf(
      options.check ? "%s: not in the normal form; next: bpfwarden fmt %s\n" : "%s: formatted\n",
      file.c_str(), file.c_str());
  return FormatOutcome::changed;
}

int run_fmt(const FmtArguments& options) {
  bool failed = false, changed = false, unreadable = false;
  for (const std::string& file : options.files) {
    const FormatOutcome outcome = format(file, options);
    failed = failed || outcome == FormatOutcome::failed;
    unreadable = unreadable || outcome == FormatOutcome::unreadable;
    changed = changed || outcome == FormatOutcome::changed;
  }
  if (in_json() && !formatted_files().empty())
    put_answer(object_of({{"files", std::move(formatted_files())}}));
  if (unreadable) return kWrongUse;
  return failed || (options.check && changed) ? 1 : 0;
}

}  // namespace

void add_fmt(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<FmtArguments>();
  CLI::App* verb =
      app.add_subcommand("fmt", "Bring policy files into their normal form; comments stay");
  verb->add_option("file", options->files,
                   "the policies (TOML); - is standard input, to standard output")
      ->required();
  auto* check = verb->add_flag("--check", options->check,
                               "write nothing; exit with 1 if a file is not in its normal form");
  verb->add_flag("--stdout", options->print, "print the result instead of writing it")
      ->excludes(check);
  verb->footer("example: bpfwarden fmt --check policy.toml policy.d/*.toml");
  verb->callback([options, &chosen] { chosen = [options] { return run_fmt(*options); }; });
}

}  // namespace bpfwarden::loader
