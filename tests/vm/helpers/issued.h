// A signer whose certificate another key issued, which comes along inside the signature.
#pragma once

#include <filesystem>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

class IssuedSigner {
 public:
  explicit IssuedSigner(const Signer& issuer);

  // `request`, signed by this key for verification with the issuer's ring.
  [[nodiscard]] Load sign(Load request) const;
  [[nodiscard]] const std::filesystem::path& certificate_file() const { return certificate_file_; }

 private:
  test::TestKey key_;
  keyring::KeySerial ring_;
  test::TempDir folder_;
  std::filesystem::path certificate_file_;
};

}  // namespace bpfwarden::vm
