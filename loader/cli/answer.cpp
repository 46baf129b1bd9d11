#include "loader/cli/answer.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "loader/cli/cmd.h"
#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/policies/diagnostic_output.h"
#include "loader/text/escaped_stream.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

struct Pending {
  bool is_json = false, is_stream = false, is_on_stderr = false;
  std::optional<json> answer;
  std::vector<Error> errors;
  std::vector<policy::Diagnostic> diagnostics;
  std::vector<Event> refusals;
  std::vector<std::string> notes;
};

Pending& pending() {
  static Pending one;
  return one;
}

// The first command of ours that a hint names.
json next_command(const std::string& hint) {
  const size_t begin = hint.find("`bpfwarden ");
  const size_t end = begin == std::string::npos ? begin : hint.find('`', begin + 1);
  return end == std::string::npos ? json() : json(hint.substr(begin + 1, end - begin - 1));
}

json problem_of(const Error& error) {
  return object_of({{"message", error.message},
                    {"hint", text_or_null(error.hint)},
                    {"next", next_command(error.hint)},
                    {"errno", error.code == 0 ? json() : json(error.code)}});
}

json problems_of(std::span<const Error> errors) {
  json list = json::array();
  for (const Error& error : errors) list.push_back(problem_of(error));
  return list;
}

// Of a file that is wrong, where no error says more.
Error error_of(const policy::Diagnostic& found) { return {0, found.message, found.hint}; }

// Errors begin with the file that they are about.
json file_of(const Error& error) {
  std::error_code unknown;  // then it is none
  const std::string file = error.message.substr(0, error.message.find(": "));
  return std::filesystem::is_regular_file(file, unknown) ? json(file) : json();
}

json error_object(const Pending& all, const Error& error, int status) {
  json object = problem_of(error);
  put(object, "exit_status", status);
  const policy::Diagnostic* place = nullptr;
  for (const policy::Diagnostic& one : all.diagnostics)
    if (place == nullptr && one.severity == policy::Severity::error) place = &one;
  put(object, "file", place == nullptr ? file_of(error) : json(place->file));
  put(object, "line", place == nullptr ? json() : json(place->line));
  put(object, "column", place == nullptr ? json() : json(place->column));
  if (!all.diagnostics.empty()) put(object, "diagnostics", diagnostics_json(all.diagnostics));
  json events = json::array();
  for (const Event& event : all.refusals) events.push_back(event_to_json(event));
  if (!events.empty()) put(object, "events", std::move(events));
  return object;
}

std::optional<json> whole_answer(Pending& all, int status) {
  if (all.answer) {
    if (!all.errors.empty()) put(*all.answer, "problems", problems_of(all.errors));
    if (!all.diagnostics.empty() && !all.answer->contains("diagnostics"))
      put(*all.answer, "diagnostics", diagnostics_json(all.diagnostics));
    if (!all.notes.empty()) put(*all.answer, "notes", all.notes);
    return std::move(all.answer);
  }
  if (all.errors.empty() && all.diagnostics.empty()) return std::nullopt;
  if (all.errors.empty()) all.errors.push_back(error_of(all.diagnostics.front()));
  json whole = object_of({{"error", error_object(all, all.errors.front(), status)}});
  const auto others = std::span(all.errors).subspan(1);
  if (!others.empty()) put(whole, "problems", problems_of(others));
  return whole;
}

std::string dumped_answer(const json& whole, int indent) {
  return whole.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

void print_as_text(const Error& error) {
  std::fprintf(stderr, "bpfwarden: error: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  hint: %s\n", error.hint.c_str());
}

// Whoever sends the answer into a file reads on the terminal why there is none.
bool is_seen_by_people() { return ::isatty(STDOUT_FILENO) != 1 && ::isatty(STDERR_FILENO) == 1; }

}  // namespace

int print_error(const Error& error) {
  if (!in_json() || is_seen_by_people()) print_as_text(error);
  if (in_json()) pending().errors.push_back(error);
  return error.is_unreadable ? kWrongUse : 1;
}

void answer_in_json() { pending().is_json = true; }
bool in_json() { return pending().is_json; }
void put_answer(json answer) { pending().answer = std::move(answer); }
void answer_in_lines() { pending().is_stream = true; }
void answer_on_stderr() { pending().is_on_stderr = true; }

void answer_applied(const CompiledPolicy& compiled, const Applied& applied,
                    const AppliedNotes& notes) {
  if (in_json()) return put_answer(applied_json(compiled, applied, notes));
  print_applied(compiled, applied);
  print_stale_initramfs();
}

void put_line(const json& line) {
  answer_in_lines();
  std::fputs(dumped_answer(line, -1).c_str(), stdout);
}

void put_diagnostics(std::span<const policy::Diagnostic> diagnostics,
                     std::span<const policy::SourceFile> sources) {
  if (!in_json() || is_seen_by_people())
    std::fputs(policy::render_all(diagnostics, sources).c_str(), stderr);
  auto& all = pending().diagnostics;
  if (in_json()) all.insert(all.end(), diagnostics.begin(), diagnostics.end());
}

void put_note(const std::string& text) {
  if (!in_json() || is_seen_by_people())
    std::fprintf(stderr, "bpfwarden: note: %s\n", text.c_str());
  if (in_json()) pending().notes.push_back(text);
}

void put_refusals(const std::vector<Event>& events) {
  if (!in_json() || is_seen_by_people())
    for (const Event& event : events) std::fputs(event_to_text(event).c_str(), stderr);
  pending().refusals = events;
}

Progress progress_at_terminal() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  return [](const std::string& what) { std::fprintf(stderr, "%s...\n", what.c_str()); };
}

int finish(int status) {
  Pending& all = pending();
  if (!all.is_json) return status;
  constexpr int indent = 2;
  const auto whole = whole_answer(all, status);
  if (whole)
    std::fputs(dumped_answer(*whole, all.is_stream ? -1 : indent).c_str(),
               all.is_on_stderr ? stderr : stdout);
  all = {.is_json = true, .is_stream = false, .is_on_stderr = true};  // what comes now is not it
  return status;
}

}  // namespace bpfwarden::loader
