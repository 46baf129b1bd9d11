#include "loader/signed/request.h"

#include <algorithm>
#include <cstring>

#include "base/certificate.h"
#include "base/file.h"
#include "loader/signed/signed_policy.h"
#include "policy/language/model.h"

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kSignatureMode = 0644;

bool is_known(const bw_request& request) {
  return request.magic == BW_REQUEST_MAGIC && request.abi == BW_REQUEST_ABI &&
         (request.verb == BW_REQUEST_OFF || request.verb == BW_REQUEST_ROLLBACK) &&
         std::ranges::find(request.policy_name, '\0') != std::end(request.policy_name);
}

}  // namespace

std::span<const uint8_t> signed_bytes(const bw_request& request) {
  return {reinterpret_cast<const uint8_t*>(&request), sizeof(request)};
}

Result<bw_request> read_request(const fs::path& file) {
  const auto bytes = read_file(file, sizeof(bw_request));
  if (!bytes) return unreadable(Error(bytes.error()));
  bw_request request = {};
  if (bytes->size() == sizeof(request)) std::memcpy(&request, bytes->data(), sizeof(request));
  if (is_known(request)) return request;
  return unreadable(fail(file.string() + " is no order, or one of another version of bpfwarden",
                         "on the host that it is for: bpfwarden order off -o FILE"));
}

Result<SignedRequest> read_signed_request(const fs::path& file, bw_request_verb verb) {
  auto request = read_request(file);
  if (!request) return std::unexpected(std::move(request).error());
  if (request->verb != verb)
    return fail(file.string() + " is an order to " + request_word(request->verb),
                std::string("run `bpfwarden ") + request_word(request->verb) + " --order FILE`");
  auto signatures = request_signatures(file);
  if (!signatures) return std::unexpected(std::move(signatures).error());
  if (signatures->empty())
    return fail("nobody has signed " + file.string(),
                "sign it where the key is: bpfwarden order sign " + file.string() +
                    " --key KEY --cert CERT");
  return SignedRequest{*request, std::move(*signatures)};
}

Result<std::vector<std::vector<uint8_t>>> request_signatures(const fs::path& file) {
  return read_signatures(file.parent_path(), file.filename());
}

Result<std::string> add_request_signature(const fs::path& file,
                                          std::span<const uint8_t> signature) {
  for (size_t number = 1; number <= policy::kMostPolicySignatures; number++) {
    std::string name = signature_name(file, number);
    std::error_code ignored;  // what cannot be looked at is not written either
    if (fs::exists(name, ignored)) continue;
    if (Status written = create_file(name, signature, kSignatureMode); !written)
      return std::unexpected(std::move(written).error());
    return name;
  }
  return fail(file.string() + " has " + std::to_string(policy::kMostPolicySignatures) +
                  " signatures, and more are not looked at",
              "take one away that is not needed");
}

const char* request_word(uint32_t verb) { return verb == BW_REQUEST_ROLLBACK ? "rollback" : "off"; }

std::string challenge_text(const bw_request& request) {
  return hex({reinterpret_cast<const uint8_t*>(request.challenge), sizeof(request.challenge)});
}

}  // namespace bpfwarden::loader
