#include "loader/preflight.h"

#include <algorithm>
#include <cstring>

#include "bpf-lsm/decide.h"
#include "loader/provenance.h"
#include "policy/wording.h"

namespace bpfwarden::loader {
namespace {

// By the key's digest, as the kernel part finds it; else by name: an issuer, a whole keyring.
uint32_t signer_in(const bw_image& image, const bw_program& record) {
  const auto* digest = reinterpret_cast<const uint8_t*>(record.signer_key);
  const bool has_key = std::any_of(digest, digest + BW_DIGEST_SIZE, [](uint8_t b) { return b; });
  uint32_t found = BW_SIGNER_UNKNOWN;
  for (uint32_t slot = 1; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    const bool same =
        has_key ? std::equal(digest, digest + BW_DIGEST_SIZE, signer.key_digest)
                : record.signer_name[0] != 0 && std::strcmp(signer.name, record.signer_name) == 0;
    if (!same) continue;
    if (signer.kind == BW_SIGNER_REVOKED) return BW_SIGNER_UNKNOWN;
    if (!has_key || (signer.kind == BW_SIGNER_KEY && signer.keyring == 0)) found = slot;
  }
  return found;
}

std::string reason_of(const bw_image& image, const bw_decision& decision) {
  if (decision.rule >= image.rule_count)
    return std::string(policy::cause_text(static_cast<bw_cause>(decision.cause)));
  const bw_rule& rule = image.rules[decision.rule];
  return std::string("rule '") + rule.name + "' (line " + std::to_string(rule.line) + ")";
}

}  // namespace

Result<std::vector<WouldRefuse>> preflight(const PinnedMaps& pins, const bw_image& image) {
  auto programs = read_provenance(pins);
  if (!programs) return std::unexpected(std::move(programs).error());
  std::vector<WouldRefuse> list;
  for (const AdmittedProgram& program : *programs) {
    bw_facts facts = program.record.facts;
    facts.signer = signer_in(image, program.record);
    bw_decision decision = {};
    bw_decide(&image, &facts, &decision);
    if (bw_refused(&decision) != 0)
      list.push_back({program.record.program_id, program.name, program.attach,
                      program.record.signer_name, reason_of(image, decision)});
  }
  return list;
}

std::string preflight_text(const std::vector<WouldRefuse>& list) {
  if (list.empty()) return {};
  std::string text = "would refuse " + std::to_string(list.size()) + " of the programs that run:\n";
  for (const WouldRefuse& one : list)
    text += "  program " + std::to_string(one.program_id) + " '" + one.name + "', " + one.attach +
            ", " + (one.signer.empty() ? "no known signer" : "signed by " + one.signer) + ": " +
            one.why + "\n";
  return text;
}

Status require_accepted(const bw_image& image, bool accept_denials) {
  const auto pins = open_pins();
  if (!pins) return std::unexpected(pins.error());
  if (accept_denials || !*pins) return {};
  const auto list = preflight(**pins, image);
  if (!list) return std::unexpected(list.error());
  if (list->empty()) return {};
  std::string text = preflight_text(*list);
  text.pop_back();
  return fail(
      "the policy " + text + "\nnothing was changed",
      "change the policy, or give --accept-denials: they run on, and cannot be loaded again");
}

}  // namespace bpfwarden::loader
