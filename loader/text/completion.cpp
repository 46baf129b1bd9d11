#include "loader/text/completion.h"

#include "base/joined.h"

namespace bpfwarden::loader {
namespace {

using std::string;

// For single quotes of any of the three shells.
string quoted(std::string_view text, Shell shell) {
  string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += shell == Shell::fish ? "\\'" : "'\\''";
    else if (c == '\\' && shell == Shell::fish)
      result += "\\\\";
    else
      result += c;
  }
  return result + "'";
}

string option_names(const CompletionVerb& verb) {
  std::vector<string> names;
  for (const CompletionOption& option : verb.options) names.push_back(option.name);
  return joined(names, " ");
}

string verb_names(const std::vector<CompletionVerb>& verbs) {
  std::vector<string> names;
  for (const CompletionVerb& verb : verbs) names.push_back(verb.name);
  return joined(names, " ");
}

// ---- bash ---------------------------------------------------------------------------------------

string bash_words(const string& words) {
  return "mapfile -t COMPREPLY < <(compgen -W '" + words + "' -- \"$word\")";
}

string bash_values(const std::vector<string>& choices) {
  return choices.empty() ? "mapfile -t COMPREPLY < <(compgen -f -- \"$word\")"
                         : bash_words(joined(choices, " "));
}

string bash_verb(const CompletionVerb& verb) {
  string text = "    " + verb.name + ")\n      case $before in\n";
  for (const CompletionOption& option : verb.options)
    if (option.takes_value)
      text += "        " + option.name + ") " + bash_values(option.choices) + "; return ;;\n";
  text += "      esac\n      if [[ $word == -* ]]; then " + bash_words(option_names(verb)) + "\n";
  if (!verb.choices.empty())
    text += "      elif ((COMP_CWORD == 2)); then " + bash_values(verb.choices) + "\n";
  return text + "      else " + bash_values({}) + "; fi ;;\n";
}

// `--format=json` reaches the function as three words; `=` is skipped.
string bash_script(const std::vector<CompletionVerb>& verbs) {
  string text =
      "# bash completion of bpfwarden. next: source <(bpfwarden completion bash)\n"
      "_bpfwarden() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  COMPREPLY=()\n"
      "  if [[ $word == = ]]; then word=\n"
      "  elif [[ $before == = && COMP_CWORD -gt 1 ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    " +
      bash_words(verb_names(verbs)) +
      "\n    return\n"
      "  fi\n"
      "  case ${COMP_WORDS[1]} in\n";
  for (const CompletionVerb& verb : verbs) text += bash_verb(verb);
  return text + "  esac\n}\ncomplete -o filenames -F _bpfwarden bpfwarden\n";
}

// ---- zsh ----------------------------------------------------------------------------------------

// `:` ends a name in the specs of _arguments and _describe, `[` and `]` hold its description.
string zsh_escaped(std::string_view text) {
  string result;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

string zsh_values(const std::vector<string>& choices) {
  return choices.empty() ? "_files" : "(" + joined(choices, " ") + ")";
}

string zsh_verb(const CompletionVerb& verb) {
  string text = "    " + verb.name + ")\n      _arguments \\\n";
  for (const CompletionOption& option : verb.options) {
    string spec =
        option.name + (option.takes_value ? "=" : "") + "[" + zsh_escaped(option.description) + "]";
    if (option.takes_value) spec += ":value:" + zsh_values(option.choices);
    text += "        " + quoted(spec, Shell::zsh) + " \\\n";
  }
  text += "        " + quoted("1:argument:" + zsh_values(verb.choices), Shell::zsh) + " \\\n";
  return text + "        " + quoted("*:file:_files", Shell::zsh) + " ;;\n";
}

string zsh_script(const std::vector<CompletionVerb>& verbs) {
  string text =
      "#compdef bpfwarden\n"
      "# zsh completion of bpfwarden. next: bpfwarden completion zsh > \"${fpath[1]}/_bpfwarden\"\n"
      "_bpfwarden() {\n"
      "  local -a verbs\n"
      "  verbs=(\n";
  for (const CompletionVerb& verb : verbs)
    text += "    " + quoted(zsh_escaped(verb.name) + ":" + verb.description, Shell::zsh) + "\n";
  text +=
      "  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe verb verbs\n"
      "    return\n"
      "  fi\n"
      "  local verb=${words[2]}\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  case $verb in\n";
  for (const CompletionVerb& verb : verbs) text += zsh_verb(verb);
  return text +
         "  esac\n}\n"
         "if [ \"${funcstack[1]}\" = _bpfwarden ]; then _bpfwarden \"$@\"; else compdef _bpfwarden "
         "bpfwarden; fi\n";
}

// ---- fish ---------------------------------------------------------------------------------------

string fish_values(const std::vector<string>& choices) {
  return choices.empty() ? " -F" : " -f -a " + quoted(joined(choices, " "), Shell::fish);
}

string fish_verb(const CompletionVerb& verb) {
  const string complete =
      "complete -c bpfwarden -n '__fish_seen_subcommand_from " + verb.name + "'";
  string text = complete + fish_values(verb.choices) + "\n";
  for (const CompletionOption& option : verb.options)
    text += complete + " -l " + option.name.substr(2) +
            (option.takes_value ? " -r" + fish_values(option.choices) : "") + " -d " +
            quoted(option.description, Shell::fish) + "\n";
  return text;
}

string fish_script(const std::vector<CompletionVerb>& verbs) {
  string text =
      "# fish completion of bpfwarden. next: bpfwarden completion fish > "
      "~/.config/fish/completions/bpfwarden.fish\n";
  for (const CompletionVerb& verb : verbs)
    text += "complete -c bpfwarden -n __fish_use_subcommand -f -a " + verb.name + " -d " +
            quoted(verb.description, Shell::fish) + "\n";
  for (const CompletionVerb& verb : verbs) text += fish_verb(verb);
  return text;
}

}  // namespace

string completion_script(Shell shell, const std::vector<CompletionVerb>& verbs) {
  if (shell == Shell::bash) return bash_script(verbs);
  return shell == Shell::zsh ? zsh_script(verbs) : fish_script(verbs);
}

}  // namespace bpfwarden::loader
