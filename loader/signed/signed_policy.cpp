#include "loader/signed/signed_policy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "base/file.h"
#include "loader/signed/signer_evidence.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImage = "image-";

std::optional<uint32_t> abi_of(const std::string& name) {
  if (!name.starts_with(kImage)) return std::nullopt;
  uint32_t abi = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kImage.size(), end, abi);
  const bool is_number = error == std::errc() && at == end && image_name(abi) == name;
  return is_number ? std::optional(abi) : std::nullopt;
}

std::string list_abis(const std::vector<uint32_t>& abis) {
  std::string list;
  for (const uint32_t abi : abis) list += (list.empty() ? "" : ", ") + std::to_string(abi);
  return list;
}

Error no_image(const fs::path& folder, const std::vector<uint32_t>& abis) {
  if (abis.empty())
    return {0, folder.string() + " is no signed policy: it has no image",
            "make one: bpfwarden compile POLICY -o " + folder.string() + " --key KEY --cert CERT"};
  const std::string text = (folder / kPolicyText).string();
  return {0,
          folder.string() + " has no image for this version of bpfwarden (ABI " +
              std::to_string(BW_IMAGE_ABI) + "), only for ABI " + list_abis(abis),
          "add one with this version, where the key is: bpfwarden compile " + text + " -o " +
              folder.string() + " --key KEY --cert CERT"};
}

// Exactly what is signed; the rest is zero.
Result<std::unique_ptr<bw_image>> read_image(const fs::path& file) {
  const auto bytes = read_file(file, BW_IMAGE_SIGNED_SIZE);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() != BW_IMAGE_SIGNED_SIZE)
    return fail(file.string() + " is damaged: it has " + std::to_string(bytes->size()) +
                    " bytes, and an image " + std::to_string(BW_IMAGE_SIGNED_SIZE),
                "get the folder again from who signed it");
  auto image = std::make_unique<bw_image>();
  std::memcpy(image.get(), bytes->data(), bytes->size());
  return image;
}

Result<CheckedPolicy> read_policy_text(const fs::path& folder) {
  CheckedPolicy checked = check_policy_file(folder / kPolicyText);
  if (checked.compiled) return checked;
  return unreadable(fail("the text in " + folder.string() + " is no good policy:\n" +
                             policy::render_all(checked.diagnostics, checked.sources),
                         "run `bpfwarden check " + (folder / kPolicyText).string() + "`"));
}

// The window is nothing that the text says.
Status require_same(bw_image& compiled, const bw_image& image, const fs::path& folder) {
  compiled.confirm_within_s = image.confirm_within_s;
  if (std::ranges::equal(signed_bytes(compiled), signed_bytes(image))) return {};
  const std::string name = image_name(BW_IMAGE_ABI);
  if (!std::ranges::equal(compiled.policy_digest, image.policy_digest))
    return fail("the text in " + folder.string() + " is not what was signed: " + name +
                    " is of another one",
                "get the folder again from who signed it, or compile and sign it anew: "
                "bpfwarden compile --help");
  return fail(name + " in " + folder.string() + " is not what its text compiles to",
              "it has been changed, or bpfwarden " +
                  std::string("has been between versions: get it again from who signed it, or "
                              "compile and sign it anew: bpfwarden compile --help"));
}

std::vector<Certificate> certificates_in(const policy::Policy& policy) {
  std::vector<Certificate> all;
  for (const policy::Key& key : policy.keys)
    for (const auto* certificates : {&key.certificates, &key.issuers})
      all.insert(all.end(), certificates->begin(), certificates->end());
  return all;
}

bool may_sign_policies(const bw_image& image, uint32_t slot) {
  return (image.policy_signers >> slot & 1) != 0;
}

// The slot of who signed, in whichever keyring; one that may sign policies, if there is any.
uint32_t slot_of(const bw_image& image, const keyring::CmsChain& by) {
  const bw_signed_by evidence = evidence_of(by);
  uint32_t known = BW_SIGNER_UNKNOWN;
  for (uint32_t keyring = 0; keyring < BW_SIGNER_FIRST_KEY; keyring++) {
    const uint32_t slot = bw_find_signer(&image, &evidence, keyring);
    if (slot < BW_SIGNER_FIRST_KEY) continue;
    if (may_sign_policies(image, slot)) return slot;
    known = slot;
  }
  return known;
}

}  // namespace

std::span<const uint8_t> signed_bytes(const bw_image& image) {
  return {reinterpret_cast<const uint8_t*>(&image), BW_IMAGE_SIGNED_SIZE};
}

std::string image_name(uint32_t abi) { return std::string(kImage) + std::to_string(abi); }

std::string signature_name(const std::string& image, size_t number) {
  return image + ".sig-" + std::to_string(number) + ".p7s";
}

std::vector<uint32_t> images_in(const fs::path& folder) {
  std::vector<uint32_t> abis;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (const auto abi = abi_of(entry->path().filename())) abis.push_back(*abi);
  std::ranges::sort(abis);
  return abis;
}

bool is_policy_folder(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is none
  return fs::is_directory(path, ignored) &&
         (!images_in(path).empty() || fs::exists(path / kPolicyText, ignored));
}

Result<std::vector<std::vector<uint8_t>>> read_signatures(const fs::path& folder,
                                                          const std::string& image) {
  std::vector<std::vector<uint8_t>> signatures;
  for (size_t number = 1; number <= policy::kMostPolicySignatures; number++) {
    const fs::path file = folder / signature_name(image, number);
    auto der = read_file(file, kMaxPolicySignature);
    if (!der && der.error().code == ENOENT) continue;
    if (!der) return std::unexpected(std::move(der).error());
    if (der->empty()) return fail(file.string() + " is empty", "take it away, and sign again");
    signatures.push_back(std::move(*der));
  }
  return signatures;
}

Result<SignedPolicy> read_policy_folder(const fs::path& folder) {
  SignedPolicy policy;
  policy.abis = images_in(folder);
  if (std::ranges::find(policy.abis, uint32_t{BW_IMAGE_ABI}) == policy.abis.end())
    return std::unexpected(no_image(folder, policy.abis));
  const std::string name = image_name(BW_IMAGE_ABI);
  auto image = read_image(folder / name);
  if (!image) return std::unexpected(std::move(image).error());
  auto checked = read_policy_text(folder);
  if (!checked) return std::unexpected(std::move(checked).error());
  if (Status same = require_same(*checked->compiled->image, **image, folder); !same)
    return std::unexpected(std::move(same).error());
  auto signatures = read_signatures(folder, name);
  if (!signatures) return std::unexpected(std::move(signatures).error());
  policy.checked = std::move(*checked);
  policy.image = std::move(*image);
  policy.signatures = std::move(*signatures);
  return policy;
}

Result<SignedPolicy> read_signed_policy(const std::string& folder) {
  auto policy = read_policy_folder(folder);
  if (policy && policy->signatures.empty())
    return fail("nobody has signed " + (fs::path(folder) / image_name(BW_IMAGE_ABI)).string(),
                "sign it where the key is: bpfwarden compile " + folder + " --key KEY --cert CERT");
  return policy;
}

PolicySignature judge_signature(const CompiledPolicy& policy, std::span<const uint8_t> content,
                                std::span<const uint8_t> signature,
                                std::span<const Certificate> others) {
  PolicySignature judged;
  auto known = keyring::verify_chain(content, signature, certificates_in(policy.policy));
  auto given = keyring::verify_chain(content, signature, others);
  judged.counts = given.has_value();
  if (known) {
    const uint32_t slot = slot_of(*policy.image, *known);
    if (slot != BW_SIGNER_UNKNOWN) judged.key = policy.image->signers[slot].name;
    judged.counts = judged.counts || may_sign_policies(*policy.image, slot);
    judged.by = std::move(*known);
  } else if (given) {
    judged.by = std::move(*given);
  } else {
    judged.problem = std::move(known).error();
  }
  return judged;
}

std::vector<PolicySignature> judge_signatures(const SignedPolicy& policy,
                                              std::span<const Certificate> others) {
  std::vector<PolicySignature> judged;
  for (const auto& signature : policy.signatures)
    judged.push_back(
        judge_signature(*policy.checked.compiled, signed_bytes(*policy.image), signature, others));
  return judged;
}

std::vector<std::vector<uint8_t>> signatures_for(const CompiledPolicy& active,
                                                 const SignedPolicy& next) {
  std::set<Digest> keys;
  std::vector<std::vector<uint8_t>> counting;
  for (const auto& signature : next.signatures) {
    const auto judged = judge_signature(active, signed_bytes(*next.image), signature, {});
    if (judged.counts && keys.insert(judged.by->trusted.key_digest).second)
      counting.push_back(signature);
  }
  return counting;
}

size_t count_signers(std::span<const PolicySignature> signatures) {
  std::set<Digest> keys;
  for (const PolicySignature& one : signatures)
    if (one.counts) keys.insert(one.by->trusted.key_digest);
  return keys.size();
}

size_t signatures_needed(const bw_image& image) {
  return std::max<size_t>(image.policy_signatures, 1);
}

bool is_signed_enough(const SignedPolicy& policy, std::span<const PolicySignature> signatures) {
  return count_signers(signatures) >= signatures_needed(*policy.image);
}

}  // namespace bpfwarden::loader
