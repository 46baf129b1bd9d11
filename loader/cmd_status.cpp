// bpfwarden status: what is active now.
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/applied_output.h"
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

uint64_t seconds_left(const bw_control& word) {
  const uint64_t now = boot_time_ns();
  constexpr uint64_t second = 1'000'000'000;
  return awaits_confirmation(word, now) ? (word.confirm_by_ns - now) / second + 1 : 0;
}

nlohmann::json staged_to_json(const KernelStatus& status) {
  if (!status.staged) return {};
  return {{"policy", status.staged->image->policy_name},
          {"version", status.staged->image->policy_version},
          {"generation", status.staged->number},
          {"since", status.word.staged_since},
          {"agreed", status.counters.agreed},
          {"differed", status.counters.differed}};
}

// Null: no limit.
nlohmann::json log_limit(const bw_image& image) {
  return image.log_allowed == BW_LOG_ALL ? nlohmann::json() : nlohmann::json(image.log_allowed);
}

nlohmann::json to_json(const KernelStatus& status) {
  const bw_image& image = *status.generation.image;
  return {{"active", true},
          {"mode", policy::mode_name(static_cast<bw_mode>(image.mode))},
          {"policy", image.policy_name},
          {"version", image.policy_version},
          {"digest", keyring::hex(image.policy_digest)},
          {"generation", status.generation.number},
          {"since", status.word.active_since},
          {"confirm_within", seconds_left(status.word)},
          {"returned", has_returned(status.word, boot_time_ns())},
          {"staged", staged_to_json(status)},
          {"rules", image.rule_count},
          {"log_allowed_per_second", log_limit(image)},
          {"keyring", status.keyring ? nlohmann::json(*status.keyring) : nlohmann::json()},
          {"certificates", certificate_ends(image)},
          {"hooks", status.hooks},
          {"last_hour",
           {{"refused", status.last_hour.refused},
            {"would_deny", status.last_hour.would_deny},
            {"observed", status.last_hour.observed}}},
          {"counters",
           {{"decided", status.counters.decided},
            {"refused", status.counters.refused},
            {"would_deny", status.counters.would_deny},
            {"observed", status.counters.observed},
            {"quiet", status.counters.quiet},
            {"withheld", status.counters.withheld},
            {"dropped", status.counters.dropped}}}};
}

std::string time_text(uint64_t unix_seconds) {
  const auto seconds = static_cast<time_t>(unix_seconds);
  tm local = {};
  char text[sizeof("2026-11-24 12:00:00")] = {};
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  (void)std::strftime(text, sizeof(text), "%F %T", &local);
  return text;
}

void print_line(const char* name, const std::string& value) {
  std::printf("%-12s %s\n", name, value.c_str());
}

// What somebody has to do, or may have missed.
void print_rollout(const KernelStatus& status) {
  if (has_returned(status.word, boot_time_ns()))
    print_line("returned", "nobody confirmed generation " + std::to_string(status.word.generation) +
                               " in time; what was there before decides again");
  if (const uint64_t left = seconds_left(status.word); left != 0)
    print_line("unconfirmed", "`bpfwarden confirm` within " + duration_text(left) +
                                  " keeps it; without, generation " +
                                  std::to_string(status.word.fallback) + " decides again");
  if (!status.staged) return;
  const bw_image& staged = *status.staged->image;
  print_line("staged", std::string(staged.policy_name) + ", version " +
                           std::to_string(staged.policy_version) + ", since " +
                           time_text(status.word.staged_since) + ": agrees " +
                           std::to_string(status.counters.agreed) + " times, differs " +
                           std::to_string(status.counters.differed));
}

void print_certificates(const nlohmann::json& certificates) {
  for (const nlohmann::json& one : certificates)
    print_line(
        "key",
        one["key"].get<std::string>() + (one["expired"] ? " expired on " : " until ") +
            one["ends"].get<std::string>() +
            (one["expired"] ? ": the kernel goes on verifying with it; renew it and apply" : ""));
}

void print_text(const KernelStatus& status) {
  const nlohmann::json all = to_json(status);
  const nlohmann::json& counters = all["counters"];
  print_line("mode", all["mode"].get<std::string>());
  print_line("policy", all["policy"].get<std::string>() + ", version " + all["version"].dump() +
                           ", " + all["rules"].dump() + " rules, generation " +
                           all["generation"].dump() + ", since " +
                           time_text(status.word.active_since));
  print_rollout(status);
  print_line("decisions", counters["decided"].dump() + ": " + counters["refused"].dump() +
                              " refused, " + counters["would_deny"].dump() + " would be denied");
  print_line("kernel", counters["observed"].dump() + " signatures rejected by the kernel itself");
  print_line("events", counters["dropped"].dump() + " dropped");
  print_line("keyring", status.keyring ? std::to_string(*status.keyring)
                                       : "gone: signed loads fail; apply the policy again");
  print_certificates(all["certificates"]);
  print_line("hooks", std::to_string(status.hooks.size()) + " attached");
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
