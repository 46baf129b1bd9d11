// Writes the manual pages of section 8, one for each verb and one for all, as the command line
// describes itself (man(7)). usage: make_pages FOLDER
#include <CLI/CLI.hpp>

#include <cctype>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/file.h"
#include "loader/cli/command_line.h"
#include "loader/cli/help.h"
#include "loader/kernel/version.h"

namespace bpfwarden::loader {
namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// As text for roff: what it would take for its own is escaped.
std::string roff(std::string_view text) {
  std::string result;
  for (const char one : text) {
    if (one == '\\')
      result += "\\e";
    else if (one == '-')
      result += "\\-";
    else if (one == '\'' || one == '.')
      result +=
          result.empty() || result.back() == '\n' ? std::string("\\&") + one : std::string(1, one);
    else
      result += one;
  }
  return result;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }
std::string section(std::string_view name) { return ".SH " + std::string(name) + "\n"; }

std::string upper(std::string text) {
  for (char& one : text) one = static_cast<char>(std::toupper(static_cast<unsigned char>(one)));
  return text;
}

std::string head(const std::string& page, const std::string& description) {
  return ".TH \"" + roff(upper(page)) + "\" 8 \"\" \"bpfwarden " + kVersion +
         "\" \"bpfwarden\"\n.nh\n" + section("NAME") + roff(page) + " \\- " + roff(description) +
         "\n";
}

bool is_many(const CLI::Option& option) {
  return option.get_expected_max() == CLI::detail::expected_max_vector_size;
}

// `TEXT:{a,b}`, of which the choices are what matters.
std::string value_of(const CLI::Option& option) {
  if (option.get_type_size() == 0) return "";
  const std::string type = option.get_type_name();
  const size_t open = type.find('{');
  if (open == std::string::npos) return " " + italic(type);
  std::string choices;
  for (const char one : type.substr(open + 1, type.size() - open - 2))
    choices += one == ',' ? " | " : std::string(1, one);
  return " " + italic(choices);
}

std::string names_of(const CLI::Option& option) {
  std::string names;
  const auto add = [&](const std::string& name) {
    names += (names.empty() ? "" : ", ") + bold(name);
  };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  return names + value_of(option);
}

std::string options_of(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options())
    text += ".TP\n" + (option->get_positional() ? italic(option->get_name()) : names_of(*option)) +
            "\n" + roff(option->get_description()) + "\n";
  return text;
}

std::string synopsis_of(const CLI::App& app, const std::string& command) {
  std::string text = bold(command) + " [" + italic("OPTIONS") + "]";
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = italic(option->get_name()) + (is_many(*option) ? " ..." : "");
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  return text + "\n";
}

std::string example_of(const CLI::App& app) {
  std::string text = app.get_footer();
  if (!text.starts_with(kExample)) return {};
  return section("EXAMPLES") + ".EX\n" + roff(text.substr(kExample.size())) + "\n.EE\n";
}

std::string tail() {
  return section("EXIT STATUS") + roff(kExitStatus) + ".\n" + section("SEE ALSO") +
         "\\fBbpfwarden\\fR(8), \\fBbpfwarden\\-policy\\fR(5), \\fBbpfwarden\\-bundle\\fR(5)\n";
}

std::string parts_of(const CLI::App& verb, const std::string& command) {
  std::string text;
  for (const CLI::App* part : verbs_of(verb))
    text += ".SS " + roff(part->get_name()) + "\n" +
            synopsis_of(*part, command + " " + part->get_name()) + ".PP\n" +
            roff(part->get_description()) + ".\n" + options_of(*part);
  return text.empty() ? "" : section("COMMANDS") + text;
}

std::string page_of(const CLI::App& verb) {
  const std::string command = "bpfwarden " + verb.get_name();
  const std::string synopsis = verbs_of(verb).empty()
                                   ? synopsis_of(verb, command)
                                   : bold(command) + " " + italic("COMMAND") + " ...\n";
  return head("bpfwarden-" + verb.get_name(), verb.get_description()) + section("SYNOPSIS") +
         synopsis + section("DESCRIPTION") + roff(verb.get_description()) + ".\n" +
         section("OPTIONS") + options_of(verb) + parts_of(verb, command) + example_of(verb) +
         tail();
}

std::string page_of_all(const CLI::App& app) {
  std::string text = head("bpfwarden", "policy for signed BPF programs") + section("SYNOPSIS") +
                     bold("bpfwarden") + " " + italic("VERB") + " [" + italic("OPTIONS") +
                     "] ...\n" + section("DESCRIPTION") + roff(app.get_description()) + "\n" +
                     section("OPTIONS") + options_of(app) + section("VERBS");
  std::string group;
  for (const CLI::App* verb : verbs_of(app)) {
    if (verb->get_group() != group) text += ".SS " + roff(verb->get_group()) + "\n";
    group = verb->get_group();
    text += ".TP\n\\fBbpfwarden\\-" + roff(verb->get_name()) + "\\fR(8)\n" +
            roff(verb->get_description()) + "\n";
  }
  return text + section("FILES") +
         ".TP\n\\fI/etc/bpfwarden/policy.toml\\fR, \\fI/etc/bpfwarden/policy.d/*.toml\\fR\n"
         "the policy that \\fBsystemctl reload bpfwarden\\fR applies\n"
         ".TP\n\\fI/var/lib/bpfwarden/policies\\fR\nwhat comes back after a reboot\n"
         ".TP\n\\fI/var/log/bpfwarden/events.jsonl\\fR\nthe events that were kept\n"
         ".TP\n\\fI/sys/fs/bpf/bpfwarden\\fR\nwhat is active\n" +
         tail();
}

Status write_pages(const std::string& folder) {
  CLI::App app;
  Command chosen;
  describe(app, chosen);
  const auto write = [&](const std::string& name, const std::string& text) {
    return write_output(folder + "/" + name + ".8", text);
  };
  for (const CLI::App* verb : verbs_of(app))
    if (const auto written = write("bpfwarden-" + verb->get_name(), page_of(*verb)); !written)
      return written;
  return write("bpfwarden", page_of_all(app));
}

}  // namespace
}  // namespace bpfwarden::loader

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: make_pages FOLDER\n", stderr), 2;
  try {
    const auto written = bpfwarden::loader::write_pages(argv[1]);
    return written ? 0 : bpfwarden::loader::print_error(written.error());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_pages: error: %s\n", error.what());
    return 1;
  }
}
