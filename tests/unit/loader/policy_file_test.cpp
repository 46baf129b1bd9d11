// A policy file with real certificates, up to the image.
#include "loader/policies/policy_file.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "bpf-lsm/decide.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string policy_text(const std::string& version) {
  return "schema = 1\nname = \"edge\"\nversion = " + version +
         "\nmode = \"enforce\"\ndefault = \"deny\"\n"
         "[keys.netops]\ncertificates = [\"netops.pem\"]\n"
         "[[rules]]\nname = \"network\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n";
}

}  // namespace

TEST_CASE("the image holds the public key of the certificate") {
  const test::TempDir folder;
  const auto key = test::make_key({});
  write(folder.path() / "netops.pem", test::certificate_pem(key));
  write(folder.path() / "policy.toml", policy_text("1"));

  auto compiled = compile_policy(parse_policy_file(folder.path() / "policy.toml"));
  REQUIRE(compiled);
  auto certificates = keyring::read_certificates(folder.path() / "netops.pem");
  REQUIRE(certificates);
  const bw_signer& signer = compiled->image->signers[BW_SIGNER_FIRST_KEY];
  const auto& expected = certificates->front().public_key;
  REQUIRE(signer.key_length == expected.size());
  CHECK(std::memcmp(signer.key, expected.data(), expected.size()) == 0);
  CHECK(compiled->certificates.size() == 1);
}

TEST_CASE("another text or another certificate is another policy") {
  const test::TempDir folder;
  const auto digest = [&] {
    auto compiled = compile_policy(parse_policy_file(folder.path() / "policy.toml"));
    REQUIRE(compiled);
    return std::vector<uint8_t>(std::begin(compiled->image->policy_digest),
                                std::end(compiled->image->policy_digest));
  };
  write(folder.path() / "netops.pem", test::certificate_pem(test::make_key({})));
  write(folder.path() / "policy.toml", policy_text("1"));
  const auto first = digest();
  CHECK(digest() == first);
  write(folder.path() / "policy.toml", policy_text("2"));
  const auto second = digest();
  CHECK(second != first);
  write(folder.path() / "netops.pem", test::certificate_pem(test::make_key({})));
  CHECK(digest() != second);
}

TEST_CASE("a snapshot gives the same policy when its files are gone") {
  const test::TempDir folder;
  write(folder.path() / "netops.pem", test::certificate_pem(test::make_key({})));
  write(folder.path() / "policy.toml", policy_text("1"));
  CheckedPolicy checked = check_policy_file(folder.path() / "policy.toml");
  REQUIRE(checked.compiled);
  std::filesystem::remove(folder.path() / "netops.pem");
  std::filesystem::remove(folder.path() / "policy.toml");

  const CheckedPolicy again = check_snapshot(checked.snapshot);
  REQUIRE(again.compiled);
  CHECK(std::memcmp(again.compiled->image.get(), checked.compiled->image.get(), sizeof(bw_image)) ==
        0);
  CHECK(again.compiled->certificates.size() == 1);

  checked.snapshot.certificates.clear();
  CHECK_FALSE(check_snapshot(checked.snapshot).compiled);
}

TEST_CASE("a policy in audit mode has no rule that enforces") {
  const test::TempDir folder;
  write(folder.path() / "netops.pem", test::certificate_pem(test::make_key({})));
  write(folder.path() / "policy.toml", policy_text("1") + "mode = \"enforce\"\n");
  const CheckedPolicy checked = check_policy_file(folder.path() / "policy.toml");
  REQUIRE(checked.compiled);
  REQUIRE(checked.compiled->image->enforce.words[0] == 1);
  const auto audit = in_audit_mode(*checked.compiled->image);
  CHECK(audit->mode == BW_MODE_AUDIT);
  CHECK(audit->enforce.words[0] == 0);
  CHECK(bw_enforces(checked.compiled->image.get()) != 0);
  CHECK(bw_enforces(audit.get()) == 0);  // what is refused for any rule that enforces
  CHECK_FALSE(is_on_trial(*checked.compiled->image));
  CHECK(is_on_trial(*audit));
  CHECK(audit->policy_version == checked.compiled->image->policy_version);
}

TEST_CASE("a policy with errors is not compiled") {
  const test::TempDir folder;
  write(folder.path() / "policy.toml", policy_text("1"));  // its certificate is missing
  auto parsed = parse_policy_file(folder.path() / "policy.toml");
  CHECK_FALSE(parsed);
  CHECK_FALSE(parsed.diagnostics.empty());
  CHECK_FALSE(compile_policy(std::move(parsed)));
}

}  // namespace bpfwarden::loader
