// A policy that was compiled and signed elsewhere: a folder (NAME.bpfpolicy) with everything that
// it is made from, and what the kernel part verifies and decides by.
//
//   policy.toml, policy.d/*.toml   the text, with the certificates that it names where it names
//   them image-13                       the first BW_IMAGE_SIGNED_SIZE bytes of its image, for the
//   kernel
//                                  part whose BW_IMAGE_ABI is 13; one for each that a fleet has
//   image-13.sig-1.p7s … sig-4     signatures of that file: detached CMS (RFC 5652) in DER
//
// The text is there to be read, explained and compared; only the image is signed, so nothing is
// taken from a folder whose text compiles to another one. The same text and certificates give the
// same image on every host. Files are read once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "keyring/cms_chain.h"
#include "loader/policies/policy_file.h"

namespace bpfwarden::loader {

inline constexpr const char* kPolicyText = "policy.toml";
inline constexpr size_t kMaxPolicySignature = 8 << 10;  // bytes

struct SignedPolicy {
  CheckedPolicy checked;            // of the text; its image is the signed one, too
  std::unique_ptr<bw_image> image;  // what is signed, as it is in the file; the host's part is zero
  std::vector<std::vector<uint8_t>> signatures;  // DER, in the order of their numbers; unverified
  std::vector<uint32_t> abis;                    // the images that are there, ascending
};

// What is signed of an image.
[[nodiscard]] std::span<const uint8_t> signed_bytes(const bw_image& image);

// "image-13"
[[nodiscard]] std::string image_name(uint32_t abi);
// "image-13.sig-1.p7s"; from 1.
[[nodiscard]] std::string signature_name(const std::string& image, size_t number);

// The images in a folder, by their ABI, ascending; empty where it is none, or has none.
[[nodiscard]] std::vector<uint32_t> images_in(const std::filesystem::path& folder);
// Whether a path is such a folder, whatever is wrong with it.
[[nodiscard]] bool is_policy_folder(const std::filesystem::path& path);

// The signatures of an image, by number. Errors: errno of reading; larger than
// kMaxPolicySignature, or empty.
[[nodiscard]] Result<std::vector<std::vector<uint8_t>>> read_signatures(
    const std::filesystem::path& folder, const std::string& image);

// Signed or not. Errors, each with what to do: the text has errors; there is no image for
// BW_IMAGE_ABI; it is not what the text compiles to, but for the confirm window; of reading.
[[nodiscard]] Result<SignedPolicy> read_policy_folder(const std::filesystem::path& folder);
// Likewise, and nobody has signed it is an Error. Whose signatures they are is not looked at.
[[nodiscard]] Result<SignedPolicy> read_signed_policy(const std::string& folder);

// Whose a signature is, as far as the policy itself and some certificates tell. On a host the
// policy that is active there decides.
struct PolicySignature {
  std::optional<keyring::CmsChain> by;  // nothing: nobody who is known, or it does not match
  Error problem;                        // why
  std::string key;                      // the policy's name for it; may be empty
  bool counts = false;                  // a key of `policy-signed-by`, or of `others`
};

// Of `content`: the bytes of an image, of whichever version.
[[nodiscard]] PolicySignature judge_signature(const CompiledPolicy& policy,
                                              std::span<const uint8_t> content,
                                              std::span<const uint8_t> signature,
                                              std::span<const Certificate> others);
[[nodiscard]] std::vector<PolicySignature> judge_signatures(const SignedPolicy& policy,
                                                            std::span<const Certificate> others);
// Those of its signatures that count where `active` decides who may sign, each key's once: a folder
// may carry those of other keys, too, while keys are replaced.
[[nodiscard]] std::vector<std::vector<uint8_t>> signatures_for(const CompiledPolicy& active,
                                                               const SignedPolicy& next);
// By different public keys.
[[nodiscard]] size_t count_signers(std::span<const PolicySignature> signatures);

// How many have to sign, as the policy says of the next one; at least 1.
[[nodiscard]] size_t signatures_needed(const bw_image& image);
[[nodiscard]] bool is_signed_enough(const SignedPolicy& policy,
                                    std::span<const PolicySignature> signatures);

}  // namespace bpfwarden::loader
