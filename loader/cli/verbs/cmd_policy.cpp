// bpfwarden policy: the active one, as it was written; the digest by which a policy is known.
#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/certificate.h"
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

// In one line of words, as it is measured at boot (packaging/measure).
int print_digest(const bw_image& image) {
  const std::string digest = "sha256:" + hex(image.policy_digest);
  if (in_json())
    return put_answer(object_of({{"policy", image.policy_name},
                                 {"policy_version", image.policy_version},
                                 {"policy_digest", digest}})),
           0;
  std::printf("%s %" PRIu64 " %s\n", image.policy_name, uint64_t{image.policy_version},
              digest.c_str());
  return 0;
}

int run_digest(const std::string& file) {
  if (file.empty()) {
    const auto active = require_active_policy();
    return active ? print_digest(*active->generation.image) : print_error(active.error());
  }
  const CheckedPolicy checked = check_policy_file(file);
  if (checked.compiled) return print_digest(*checked.compiled->image);
  put_diagnostics(checked.diagnostics, checked.sources);
  (void)print_error({0, "the policy has errors", "correct them"});
  return kWrongUse;
}

void add_digest(CLI::App& verb, Command& chosen) {
  const auto file = std::make_shared<std::string>();
  CLI::App* digest = verb.add_subcommand(
      "digest", "Print name, version and SHA-256 of a policy and its certificates");
  digest->add_option("policy", *file, "its file; left out: the active policy");
  digest->footer("example: bpfwarden policy digest policy.toml");
  digest->callback([&chosen, file] { chosen = [file] { return run_digest(*file); }; });
}

}  // namespace

void add_policy(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand("policy", "Print the active policy, or the digest of one");
  verb->require_subcommand(1);
  verb->footer("example: bpfwarden policy show");
  CLI::App* show = verb->add_subcommand("show", "Print the active policy, as it was written");
  show->footer("example: bpfwarden policy show >policy.toml");
  show->callback([&chosen] { chosen = run_show; });
  add_digest(*verb, chosen);
}

}  // namespace bpfwarden::loader
