#include "policy/language/revoke.h"

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/language/parse.h"

namespace bpfwarden::policy::test {
namespace {

std::string fingerprint(const std::string& name) {
  return "sha256:" + read_fake(name + ".pem")->front().fingerprint_hex;
}

Result<std::vector<SourceFile>> revoke_in(const std::string& text, const std::string& entry) {
  const ParseResult parsed = parse_text(text);
  INFO(render_all(parsed.diagnostics, parsed.sources));
  REQUIRE(parsed.policy);
  return revoke(*parsed.policy, parsed.sources, 0, entry);
}

const std::string kBefore =
    "schema = 1\nname = \"ü\"\nversion = 1_2 # raise me\nmode = \"audit\"\ndefault = \"deny\"\n";

TEST_CASE("a revocation is a line of its own, or one more element", "[revoke]") {
  const auto once = revoke_in(
      kBefore + "[keys.netops] # ours\ncertificates = [\"a.pem\", \"b.pem\"]\n", fingerprint("a"));
  REQUIRE(once);
  CHECK(once->front().text ==
        "schema = 1\nname = \"ü\"\nversion = 13 # raise me\nmode = \"audit\"\ndefault = \"deny\"\n"
        "[keys.netops] # ours\nrevoked = [\"" +
            fingerprint("a") + "\"]\ncertificates = [\"a.pem\", \"b.pem\"]\n");
  const Policy policy = must_parse(once->front().text);
  CHECK(policy.version == 13);
  REQUIRE(policy.keys.front().certificates.size() == 1);
  CHECK(policy.keys.front().certificates.front().subject == "CN=b");

  const auto twice = revoke_in(once->front().text, fingerprint("b"));
  REQUIRE(twice);
  const Policy none = must_parse(twice->front().text);
  CHECK(none.version == 14);
  CHECK(none.keys.front().certificates.empty());
}

TEST_CASE("a key that is no table is left to its owner", "[revoke]") {
  const auto inline_table =
      revoke_in(kBefore + "[keys]\nnetops = { certificates = [\"a.pem\"] }\n", fingerprint("a"));
  REQUIRE_FALSE(inline_table);
  CHECK(inline_table.error().hint.find(fingerprint("a")) != std::string::npos);
}

}  // namespace
}  // namespace bpfwarden::policy::test
