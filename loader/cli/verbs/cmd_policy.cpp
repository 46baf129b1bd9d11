// bpfwarden policy show: the active policy, as it was written.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/policy_store.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

// Its file as it is; where there are drop-ins, each after its name.
std::string text_of(const std::vector<policy::SourceFile>& sources) {
  if (sources.size() == 1) return sources.front().text;
  std::string text;
  for (const policy::SourceFile& source : sources)
    text += (text.empty() ? "" : "\n") + ("# " + source.name + "\n") + source.text;
  return text;
}

nlohmann::json to_json(const CheckedPolicy& policy, const bw_image& image) {
  auto files = nlohmann::json::array();
  for (const policy::SourceFile& source : policy.sources)
    files.push_back(object_of({{"file", source.name}, {"policy_text", source.text}}));
  return object_of({{"policy", image.policy_name},
                    {"policy_version", image.policy_version},
                    {"policy_text", text_of(policy.sources)},
                    {"files", files}});
}

int run_show() {
  const auto active = require_active_policy();
  if (!active) return print_error(active.error());
  const auto policy = load_policy(active->generation.image->policy_digest);
  if (!policy) return print_error(policy.error());
  if (in_json()) return put_answer(to_json(*policy, *active->generation.image)), 0;
  const Status written = write_output(kStandardStream, text_of(policy->sources));
  return written ? 0 : print_error(written.error());
}

}  // namespace

void add_policy(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand("policy", "Print the active policy, as it was written");
  verb->require_subcommand(1);
  verb->footer("example: bpfwarden policy show");
  CLI::App* show = verb->add_subcommand("show", "Print the active policy, as it was written");
  show->footer("example: bpfwarden policy show >policy.toml");
  show->callback([&chosen] { chosen = run_show; });
}

}  // namespace bpfwarden::loader
