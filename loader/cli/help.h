// How `--help` looks: 80 columns, verbs in groups, and what exit codes mean.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
}  // namespace CLI

namespace bpfwarden::loader {

[[nodiscard]] std::shared_ptr<CLI::FormatterBase> help_format();

// What exit codes mean, as help and manual pages say it.
inline constexpr std::string_view kExitStatus =
    "0 done, or yes; 1 failed, or no; 2 wrong use, or a file that cannot be read as what it should "
    "be";
// Before what a verb's footer has to say (CLI::App::get_footer()).
inline constexpr std::string_view kExample = "example: ";

// `help VERB…` as `VERB… --help`; else the arguments as they are, without the program's name.
[[nodiscard]] std::vector<std::string> arguments(int argc, char** argv);

// What is wrong with the first argument, if it is no verb: with the nearest one that is. Else
// empty.
[[nodiscard]] std::string unknown_verb(const CLI::App& app, const std::vector<std::string>& given);

}  // namespace bpfwarden::loader
