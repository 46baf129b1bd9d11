// Private keys in files; tokens are the business of tests/vm/cases/token_test.cpp.
#include "keyring/private_key.h"

#include <cerrno>

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::keyring {
namespace {

TEST_CASE("a private key is read from PEM", "[keyring]") {
  const test::TempDir dir;
  const auto made = test::make_key();
  CHECK(open_private_key(dir.write("plain", test::key_pem(made))));
  CHECK_FALSE(open_private_key(dir.write("cert", test::certificate_pem(made))));
  CHECK_FALSE(open_private_key(dir.write("empty", "")));
  const auto missing = open_private_key(dir.path() / "none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
}

TEST_CASE("an encrypted private key opens with its passphrase only", "[keyring]") {
  const test::TempDir dir;
  const auto locked = dir.write("locked", test::key_pem(test::make_key(), "secret"));
  const auto open = [&](const std::string& file) {
    return open_private_key(locked, {.passphrase_file = dir.write("pass", file)});
  };
  CHECK(open("secret\n"));
  CHECK(open("secret"));
  CHECK(open("secret\nof which the second line is none\n"));
  const auto wrong = open("Secret\n");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("does not open") != std::string::npos);
  const auto nothing = open("\n");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().message.find("first line is empty") != std::string::npos);
  const auto missing = open_private_key(locked, {.passphrase_file = dir.path() / "none"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
  const auto unasked = open_private_key(locked);
  REQUIRE_FALSE(unasked);
  CHECK(unasked.error().hint.find("--passphrase-file") != std::string::npos);
}

}  // namespace
}  // namespace bpfwarden::keyring
