#include "loader/signed/signed_policy_output.h"

#include <nlohmann/json.hpp>

#include "keyring/x509.h"
#include "loader/text/json_members.h"
#include "policy/language/words.h"

namespace bpfwarden::loader {
namespace {

bool is_sealing(const bw_image& image) { return (image.flags & BW_IMAGE_SEAL) != 0; }

std::string line(const char* words, const std::string& text) {
  constexpr size_t width = 15;
  std::string begin = std::string("  ") + words;
  begin.resize(width, ' ');
  return begin + text + "\n";
}

std::string signature_text(const PolicySignature& one) {
  if (!one.by) return "nobody who is known: " + one.problem.message;
  std::string text = one.by->signer().subject;
  if (!one.by->below.empty()) text += ", issued by " + one.by->trusted.subject;
  if (!one.key.empty()) text += ", key `" + one.key + "`";
  return one.counts ? text : text + ", not in `policy-signed-by` of this policy";
}

// Who may sign the policy after this one.
std::string next_text(const CompiledPolicy& compiled) {
  if (compiled.image->policy_signers == 0) return "may be signed by nobody";
  std::string names;
  for (const policy::KeyReference& key : compiled.policy.policy_signers.keys)
    names += (names.empty() ? "" : ", ") + ("`" + key.name + "`");
  return "signed by " + std::to_string(compiled.image->policy_signatures) + " of " + names;
}

std::string other_images(const SignedPolicy& policy) {
  std::string others;
  for (const uint32_t abi : policy.abis)
    if (abi != BW_IMAGE_ABI) others += (others.empty() ? "; also " : ", ") + image_name(abi);
  return others;
}

std::string window_text(const bw_image& image) {
  return image.confirm_within_s == 0 ? "stays without being confirmed"
                                     : "gives way unless it is confirmed within " +
                                           std::to_string(image.confirm_within_s) + " s";
}

}  // namespace

nlohmann::json signed_policy_json(const std::string& folder, const SignedPolicy& policy,
                                  std::span<const PolicySignature> signatures) {
  const bw_image& image = *policy.image;
  auto list = nlohmann::json::array();
  for (const PolicySignature& one : signatures)
    list.push_back(object_of(
        {{"subject", text_or_null(one.by ? one.by->signer().subject : "")},
         {"fingerprint", digest_or_null(one.by ? hex(one.by->signer().fingerprint) : "")},
         {"issuer", text_or_null(one.by && !one.by->below.empty() ? one.by->trusted.subject : "")},
         {"signer", text_or_null(one.key)},
         {"counted", one.counts},
         {"reason", text_or_null(one.problem.message)}}));
  auto images = nlohmann::json::array();
  for (const uint32_t abi : policy.abis) images.push_back(image_name(abi));
  return object_of(
      {{"file", folder},
       {"policy", image.policy_name},
       {"policy_version", image.policy_version},
       {"policy_digest", digest_or_null(hex(image.policy_digest))},
       {"mode", spelling_of(policy::kModeWords, static_cast<policy::Mode>(image.mode))},
       {"seals", is_sealing(image)},
       {"confirm_within", image.confirm_within_s},
       {"images", std::move(images)},
       {"signed_digest", digest_or_null(hex(keyring::sha256(signed_bytes(image))))},
       {"policy_signatures", std::move(list)},
       {"signatures_needed", signatures_needed(*policy.checked.compiled->image)},
       {"signed_enough", is_signed_enough(policy, signatures)}});
}

std::string signed_policy_text(const std::string& folder, const SignedPolicy& policy,
                               std::span<const PolicySignature> signatures) {
  const bw_image& image = *policy.image;
  std::string text =
      folder + ": policy '" + image.policy_name + "' version " +
      std::to_string(image.policy_version) + ", " +
      std::string(spelling_of(policy::kModeWords, static_cast<policy::Mode>(image.mode))) +
      (is_sealing(image) ? ", seals the host" : "") + "\n";
  text += line("image", image_name(BW_IMAGE_ABI) + other_images(policy));
  text += line("signed bytes", "sha256:" + hex(keyring::sha256(signed_bytes(image))));
  text += line("when applied", window_text(image));
  for (const PolicySignature& one : signatures) text += line("signed by", signature_text(one));
  if (signatures.empty()) text += line("signed by", "nobody");
  text += line("the next one", next_text(*policy.checked.compiled));
  return text;
}

}  // namespace bpfwarden::loader
