#include "loader/status/status_json.h"

#include <sys/utsname.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/kernel/seal.h"
#include "loader/text/json_members.h"
#include "policy/language/words.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

// When the certificates of each key end; the kernel itself verifies with expired ones.
nlohmann::json certificate_ends(const bw_image& image) {
  auto ends = nlohmann::json::array();
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    if (signer.kind == BW_SIGNER_REVOKED || signer.not_after == 0) continue;
    ends.push_back(object_of({{"signer", signer.name},
                              {"ends", time_or_null(signer.not_after)},
                              {"expired", signer.not_after < std::time(nullptr)}}));
  }
  return ends;
}

nlohmann::json staged_to_json(const KernelStatus& status) {
  if (!status.staged) return {};
  return object_of({{"policy", status.staged->image->policy_name},
                    {"policy_version", status.staged->image->policy_version},
                    {"generation", status.staged->number},
                    {"since", time_or_null(static_cast<int64_t>(status.word.staged_since))},
                    {"agreed", status.counters.agreed},
                    {"differed", status.counters.differed}});
}

// Null: no limit.
nlohmann::json log_limit(const bw_image& image) {
  return image.log_allowed == BW_LOG_ALL ? nlohmann::json() : nlohmann::json(image.log_allowed);
}

nlohmann::json tables_to_json(const std::vector<Table>& tables) {
  auto list = nlohmann::json::array();
  for (const Table& table : tables) {
    const bool has_uid = table.of_uid != 0;
    list.push_back(object_of({{"name", table.name},
                              {"entries", table.entries},
                              {"room", table.room},
                              {"uid", has_uid ? nlohmann::json(table.uid) : nlohmann::json()},
                              {"of_uid", table.of_uid}}));
  }
  return list;
}

nlohmann::json unjudged_to_json(const std::vector<bw_unjudged>& programs) {
  nlohmann::json all = nlohmann::json::array();
  for (const bw_unjudged& program : programs)
    all.push_back(object_of({{"program_id", program.program_id},
                             {"system_call_number", program.system_call},
                             {"arguments", program.arguments},
                             {"count", program.count}}));
  return all;
}

nlohmann::json residents_to_json(const std::optional<Residents>& residents) {
  if (!residents) return {};
  return object_of({{"count", residents->count}, {"would_deny", residents->would_deny}});
}

nlohmann::json hour_to_json(const KernelStatus& status) {
  return object_of({{"refused", status.last_hour.refused},
                    {"would_deny", status.last_hour.would_deny},
                    {"observed", status.last_hour.observed},
                    {"probes_refused", status.probes.refused},
                    {"probes_would_deny", status.probes.would_deny}});
}

nlohmann::json counters_to_json(const bw_counters& counters) {
  return object_of({{"decided", counters.decided},
                    {"refused", counters.refused},
                    {"would_deny", counters.would_deny},
                    {"observed", counters.observed},
                    {"quiet", counters.quiet},
                    {"withheld", counters.withheld},
                    {"postponed", counters.postponed},
                    {"summed", counters.summed},
                    {"dropped", counters.dropped}});
}

// Null: each has the confirmed policy, or none knows of any.
nlohmann::json initramfs_to_json(const std::optional<StaleInitramfs>& stale) {
  if (!stale) return {};
  return object_of({{"stale", stale->kernels}, {"next", stale->command}});
}

}  // namespace

nlohmann::json abilities_json(const KernelAbilities& kernel) {
  return object_of({{"signature", policy::spelling_of(policy::kSignatureWords, kernel.most)},
                    {"verifier", verifier_name(kernel.verifier)},
                    {"own_keyring", kernel.own_keyring},
                    {"bpf_keyring", kernel.bpf_keyring},
                    {"signed_policies", kernel.signed_policies},
                    {"program_digests", kernel.digests},
                    {"awaits_ends", kernel.awaits_ends},
                    {"can_seal", kernel.seal}});
}

nlohmann::json status_to_json(const KernelStatus& status) {
  const bw_image& image = *status.generation.image;
  utsname machine = {};
  (void)::uname(&machine);
  return object_of({
      {"active", true},
      {"host", machine.nodename},
      {"kernel", machine.release},
      {"kernel_abilities", abilities_json(status.kernel)},
      {"kernel_part",
       object_of({{"bpfwarden_version", status.part.version}, {"abi", status.part.abi}})},
      {"mode", policy::mode_name(static_cast<bw_mode>(image.mode))},
      {"policy", image.policy_name},
      {"policy_version", image.policy_version},
      {"policy_digest", digest_or_null(hex(image.policy_digest))},
      {"generation", status.generation.number},
      {"since", time_or_null(static_cast<int64_t>(status.word.active_since))},
      {"confirm_within", seconds_left(status.word, boot_time_ns())},
      {"returned", has_returned(status.word, boot_time_ns())},
      {"sealed", is_sealed(status.word) ? "now" : "no"},
      {"sealed_since",
       is_sealed(status.word)
           ? time_or_null(sealed_since(status.word, boot_time_ns(), std::time(nullptr)))
           : nlohmann::json()},
      {"open", is_sealed(status.word)
                   ? nlohmann::json(open_ways(image, status.closings, status.hooks.missing,
                                              std::time(nullptr)))
                   : nlohmann::json()},
      {"policy_signed_by", policy_signer_names(image)},
      {"policy_signatures_needed", image.policy_signatures},
      {"staged", staged_to_json(status)},
      {"rule_count", image.rule_count},
      {"log_allowed_per_second", log_limit(image)},
      {"keyring", status.keyring ? nlohmann::json(*status.keyring) : nlohmann::json()},
      {"certificates", certificate_ends(image)},
      {"hooks", status.hooks.attached},
      {"hooks_expected", status.hooks.expected()},
      {"hooks_missing", status.hooks.missing},
      {"tables", tables_to_json(status.tables)},
      {"unjudged", unjudged_to_json(status.unjudged)},
      {"last_hour", hour_to_json(status)},
      {"residents", residents_to_json(status.residents)},
      {"initramfs", initramfs_to_json(status.stale_initramfs)},
      {"counters", counters_to_json(status.counters)},
  });
}

nlohmann::json status_to_json(const std::optional<KernelStatus>& status) {
  return status ? status_to_json(*status) : object_of({{"active", false}});
}

}  // namespace bpfwarden::loader
