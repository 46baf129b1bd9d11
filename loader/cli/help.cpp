#include "loader/cli/help.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <sstream>

#include "loader/text/wrapped_text.h"
#include "policy/text/nearest.h"

namespace bpfwarden::loader {
namespace {

constexpr size_t kColumns = 80, kIndent = 2, kLeft = 24;

std::string row(const std::string& name, const std::string& description) {
  std::string line = std::string(kIndent, ' ') + name;
  if (description.empty()) return line + "\n";
  const size_t left = kIndent + kLeft;
  if (line.size() >= left) line += "\n";
  const size_t begun = line.ends_with("\n") ? 0 : line.size();
  return line + std::string(left - begun, ' ') + wrapped(description, left, left, kColumns) + "\n";
}

// Which options exclude each other, the error says to whom it matters.
class Format : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return row(make_option_name(option, is_positional) + make_option_opts(option),
               make_option_desc(option));
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string text = " " + get_label(option->get_type_name());
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size) text += " ...";
    return text;
  }
  std::string make_subcommand(const CLI::App* verb) const override {
    return row(verb->get_name(), verb->get_description());
  }
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), 0, 0, kColumns) + "\n";
  }
  std::string make_footer(const CLI::App* app) const override {
    std::string example = app->get_footer();
    if (example.starts_with(kExample)) example.replace(0, kExample.size(), "example:\n  ");
    return (example.empty() ? "" : example + "\n") + "\n" +
           wrapped("exit status: " + std::string(kExitStatus), 0, 0, kColumns) + "\n";
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() { return std::make_shared<Format>(); }

std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> given(argv + std::min(argc, 1), argv + argc);
  if (given.empty() || given.front() != "help") return given;
  given.erase(given.begin());
  given.emplace_back("--help");
  return given;
}

std::string unknown_verb(const CLI::App& app, const std::vector<std::string>& given) {
  if (given.empty() || given.front().starts_with('-')) return {};
  std::vector<std::string_view> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    verbs.emplace_back(verb->get_name());
  if (std::ranges::find(verbs, given.front()) != verbs.end()) return {};
  std::string text = "there is no verb `" + given.front() + "`";
  const auto near = policy::nearest(given.front(), verbs);
  if (near) text += "; did you mean `" + std::string(*near) + "`?";
  return text;
}

}  // namespace bpfwarden::loader
