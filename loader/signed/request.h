// A signed request (docs/adr/0022): what the kernel part of one host is asked to do, once. A file
// of sizeof(bw_request) bytes, with its signatures beside it: FILE.sig-1.p7s … sig-4, detached CMS
// (RFC 5652) in DER, as those of a policy's image.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/order.h"

namespace bpfwarden::loader {

struct SignedRequest {
  bw_request request = {};
  std::vector<std::vector<uint8_t>> signatures;  // DER, in the order of their numbers; unverified
};

// What is signed of it.
[[nodiscard]] std::span<const uint8_t> signed_bytes(const bw_request& request);

// Errors: errno of reading; it is no request, or one of another version.
[[nodiscard]] Result<bw_request> read_request(const std::filesystem::path& file);
// Likewise, and nobody has signed it is an Error, or that it asks for something else than `verb`.
[[nodiscard]] Result<SignedRequest> read_signed_request(const std::filesystem::path& file,
                                                        bw_request_verb verb);

// Those beside it; none is no error. Errors: errno of reading; larger than kMaxPolicySignature, or
// empty.
[[nodiscard]] Result<std::vector<std::vector<uint8_t>>> request_signatures(
    const std::filesystem::path& file);

// Adds a signature beside the file, and returns its name. Errors: there are four; of writing.
[[nodiscard]] Result<std::string> add_request_signature(const std::filesystem::path& file,
                                                        std::span<const uint8_t> signature);

// Of enum bw_request_verb: "off"
[[nodiscard]] const char* request_word(uint32_t verb);
[[nodiscard]] std::string challenge_text(const bw_request& request);

}  // namespace bpfwarden::loader
