// Who signed, where keys are revoked: one look-up, asked by all who want to know.
#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/answers/explain.h"
#include "policy/answers/read_situation.h"
#include "policy/answers/test_run.h"
#include "policy/image/signers.h"
#include "policy/lint/lint.h"

using namespace bpfwarden;
using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

std::string with_keys(std::string_view keys) {
  return "schema = 1\nname = \"test\"\nversion = 1\nmode = \"enforce\"\ndefault = "
         "\"deny\"\n[keys]\n" +
         std::string(keys) +
         "[[rules]]\nname = \"team xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"team\"]\n";
}

// One table names it, another one revokes it.
constexpr std::string_view kRevoked =
    "team.certificates = [\"dev.pem\"]\n"
    "vendor.issuer = [\"ca.pem\"]\nvendor.revoked = [\"copy-of-dev.pem\"]\n";

Situation signed_by_team(const Policy& policy, const bw_image& image) {
  SituationSettings settings;
  settings.attach = *parse_attach_point("xdp");
  settings.key = "team";
  return *situation_of(settings, policy, image, kNow);
}

std::vector<std::string> codes_of(const Policy& policy, const bw_image& image) {
  DiagnosticList diagnostics({"test.toml"});
  lint(policy, image, kNow, diagnostics);
  std::vector<std::string> codes;
  for (const Diagnostic& one : diagnostics.take()) codes.push_back(std::string(one.code));
  return codes;
}

bool has(const std::vector<std::string>& codes, std::string_view code) {
  return std::ranges::find(codes, code) != codes.end();
}

}  // namespace

TEST_CASE("a key that one table names and another revokes vouches for nothing") {
  const Policy policy = must_parse(with_keys(kRevoked));
  const Compiled compiled(policy);
  CHECK(*signer_slot(compiled.image(), policy, "team") == BW_SIGNER_UNKNOWN);
  CHECK(slot_named(compiled.image(), "team") == BW_SIGNER_UNKNOWN);
  CHECK(slot_named(compiled.image(), "vendor") != BW_SIGNER_UNKNOWN);

  const Explanation explained = explain(compiled.image(), signed_by_team(policy, compiled.image()));
  CHECK(explained.decision().allow == 0);
  CHECK(to_text(explained, policy).find("key `team` vouches for nothing") != std::string::npos);

  TestFile tests;
  TestCase& one = tests.cases.emplace_back();
  one.situation.attach = *parse_attach_point("xdp");
  one.situation.key = "team";
  one.expected = Expectation::allow;
  const TestReport report = run_tests(tests, policy, compiled.image(), kNow);
  CHECK(report.failed() == 1);
  CHECK(report.covered() == 0);
}

TEST_CASE("a key stands for the first of its certificates that counts") {
  const Policy policy =
      must_parse(with_keys("team.certificates = [\"dev.pem\", \"own.pem\"]\n"
                           "vendor.issuer = [\"ca.pem\"]\nvendor.revoked = [\"dev.pem\"]\n"));
  const Compiled compiled(policy);
  const auto slot = signer_slot(compiled.image(), policy, "team");
  REQUIRE(slot);
  const bw_signed_by own = signed_by(kernel_key(fake_key("own"), "ecdsa-nist-p256"));
  CHECK(*slot == bw_find_signer(&compiled.image(), &own, 0));
  CHECK(explain(compiled.image(), signed_by_team(policy, compiled.image())).decision().allow != 0);
  CHECK_FALSE(has(codes_of(policy, compiled.image()), "revoked-key"));
}

TEST_CASE("no way to find a signer finds a revoked one") {
  const Policy policy = must_parse(
      with_keys("team.certificates = [\"dev.pem\", \"own.pem\"]\n"
                "vendor.issuer = [\"ca.pem\"]\nvendor.revoked = [\"dev.pem\", \"leaf.pem\"]\n"
                "distro.keyring = \"builtin\"\n"));
  const Compiled compiled(policy);
  const bw_image& image = compiled.image();
  const auto key = [](std::string_view name) {
    return kernel_key(fake_key(name), "ecdsa-nist-p256");
  };
  const bw_signed_by dev = signed_by(key("dev"));
  CHECK(bw_find_signer(&image, &dev, 0) == BW_SIGNER_UNKNOWN);
  CHECK(bw_find_signer(&image, &dev, BW_SIGNER_BUILTIN) == BW_SIGNER_UNKNOWN);
  bw_signed_by leaf = issued_by(key("ca"), true);
  CHECK(bw_find_signer(&image, &leaf, 0) >= BW_SIGNER_FIRST_KEY);
  const bw_key revoked = key("leaf");
  leaf.chain[leaf.chain_length++] = bw_hash_of_key(&revoked);
  CHECK(bw_find_signer(&image, &leaf, 0) == BW_SIGNER_UNKNOWN);
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    __u64 digest[BW_DIGEST_SIZE / 8] = {};
    std::copy_n(image.signers[slot].key_digest, BW_DIGEST_SIZE, reinterpret_cast<uint8_t*>(digest));
    const uint32_t found = bw_signer_by_digest(&image, digest);
    CHECK((found == BW_SIGNER_UNKNOWN || image.signers[found].kind == BW_SIGNER_KEY));
  }
}

TEST_CASE("a warning names the table that revokes all of a key") {
  const Policy policy = must_parse(with_keys(kRevoked));
  const auto codes = codes_of(policy, Compiled(policy).image());
  CHECK(has(codes, "revoked-key"));
  // Without `vendor`, `team` would count again: it is no key to take out.
  CHECK_FALSE(has(codes, "unused-key"));
}
