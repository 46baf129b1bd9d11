// Certificates for policies under test: a fake of files, by name. Times are relative to kNow.
//
//   missing.pem        cannot be read          empty.pem         no certificate in it
//   expired.pem        not valid any more      future.pem        not yet valid
//   huge.pem           a key too long          bundle.pem        two certificates
//   ca….pem            the certificate of a CA
//   expiring.pem       expires in ten days     weak.pem          RSA of 1,024 bits
//   weak-curve.pem     a curve of 192 bits
//   copy-of-X.pem      the public key of X.pem
//   anything else      one valid certificate whose public key follows from the name
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "policy/language/parse.h"

namespace bpfwarden::policy::test {

inline constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15

[[nodiscard]] Result<std::vector<Certificate>> read_fake(const std::filesystem::path& path);

// The public key of certificate `name`, without ".pem".
[[nodiscard]] std::vector<uint8_t> fake_key(std::string_view name);

// The text of a file; the test fails if it cannot be read.
[[nodiscard]] std::string read_all(const std::filesystem::path& path);

// Parses `text` as "test.toml" with the reader above.
[[nodiscard]] ParseResult parse_text(std::string_view text);

// A valid header and key "netops", followed by `rest`, which begins in line 8.
[[nodiscard]] std::string with_header(std::string_view rest);

// The policy of a text that must be right; the test fails with the diagnostics otherwise.
[[nodiscard]] Policy must_parse(std::string_view text);

}  // namespace bpfwarden::policy::test
