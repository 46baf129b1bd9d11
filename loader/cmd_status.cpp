// bpfwarden status: what is active now.
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/cmd.h"
#include "loader/status.h"
#include "policy/date.h"
#include "policy/wording.h"

namespace bpfwarden::loader {
namespace {

// When the certificates of each key end; the kernel itself verifies with expired ones.
nlohmann::json certificate_ends(const bw_image& image) {
  auto ends = nlohmann::json::array();
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    if (signer.kind == BW_SIGNER_REVOKED || signer.not_after == 0) continue;
    ends.push_back({{"key", signer.name},
                    {"ends", policy::date_text(signer.not_after)},
                    {"expired", signer.not_after < std::time(nullptr)}});
  }
  return ends;
}

nlohmann::json to_json(const KernelStatus& status) {
  const bw_image& image = *status.generation.image;
  return {{"active", true},
          {"mode", policy::mode_name(static_cast<bw_mode>(image.mode))},
          {"policy", image.policy_name},
          {"version", image.policy_version},
          {"digest", keyring::hex(image.policy_digest)},
          {"generation", status.generation.number},
          {"rules", image.rule_count},
          {"keyring", status.keyring ? nlohmann::json(*status.keyring) : nlohmann::json()},
          {"certificates", certificate_ends(image)},
          {"hooks", status.hooks},
          {"counters",
           {{"decided", status.counters.decided},
            {"refused", status.counters.refused},
            {"would_deny", status.counters.would_deny},
            {"observed", status.counters.observed},
            {"dropped", status.counters.dropped}}}};
}

void print_text(const KernelStatus& status) {
  const nlohmann::json all = to_json(status);
  const auto line = [](const char* name, const std::string& value) {
    std::printf("%-12s %s\n", name, value.c_str());
  };
  const nlohmann::json& counters = all["counters"];
  line("mode", all["mode"].get<std::string>());
  line("policy", all["policy"].get<std::string>() + ", version " + all["version"].dump() + ", " +
                     all["rules"].dump() + " rules, generation " + all["generation"].dump());
  line("decisions", counters["decided"].dump() + ": " + counters["refused"].dump() + " refused, " +
                        counters["would_deny"].dump() + " would be denied");
  line("kernel", counters["observed"].dump() + " signatures rejected by the kernel itself");
  line("events", counters["dropped"].dump() + " dropped");
  line("keyring", status.keyring ? std::to_string(*status.keyring)
                                 : "gone: signed loads fail; apply the policy again");
  for (const nlohmann::json& one : all["certificates"])
    line("key",
         one["key"].get<std::string>() + (one["expired"] ? " expired on " : " until ") +
             one["ends"].get<std::string>() +
             (one["expired"] ? ": the kernel goes on verifying with it; renew it and apply" : ""));
  line("hooks", std::to_string(status.hooks.size()) + " attached");
}

int run_status(bool json) {
  auto status = read_status();
  if (!status) return report(status.error());
  if (!*status) {
    std::puts(json ? R"({"active": false})"
                   : "off: no policy is active; `bpfwarden apply POLICY` makes one so");
    return 1;
  }
  if (json)
    std::puts(to_json(**status).dump(2).c_str());
  else
    print_text(**status);
  return 0;
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("status", "Say which policy is active; exit 1 if none is");
  verb->add_flag("--json", *json, "as JSON");
  verb->footer("example: bpfwarden status --json");
  verb->callback([json, &chosen] { chosen = [json] { return run_status(*json); }; });
}

}  // namespace bpfwarden::loader
