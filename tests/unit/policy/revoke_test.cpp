#include "policy/language/revoke.h"

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/language/parse.h"

namespace bpfwarden::policy::test {
namespace {

std::string fingerprint(const std::string& name) {
  return fingerprint_text(read_fake(name + ".pem")->front());
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

// Each way in which TOML can write a key: afterwards it is good, newer, and trusts one less.
TEST_CASE("a revocation is spelt as the key is", "[revoke]") {
  struct Form {
    std::string before, after;  // REVOKED stands for the setting
  };
  const std::string both = "certificates = [\"a.pem\", \"b.pem\"]";
  const Form forms[] = {
      {"keys.netops." + both + "\n", "keys.netops.REVOKED\nkeys.netops." + both + "\n"},
      {"keys.netops = { " + both + " }\n", "keys.netops = { REVOKED, " + both + " }\n"},
      {"keys.netops={" + both + "}\n", "keys.netops={REVOKED, " + both + "}\n"},
      {"keys = { netops = { " + both + " } }\n", "keys = { netops = { REVOKED, " + both + " } }\n"},
      {"keys = { netops." + both + " }\n", "keys = { netops.REVOKED, netops." + both + " }\n"},
      {"[keys]\nnetops = { " + both + " }\n", "[keys]\nnetops = { REVOKED, " + both + " }\n"},
      {"[keys]\n  netops." + both + "\n", "[keys]\n  netops.REVOKED\n  netops." + both + "\n"},
      {"[ keys . \"netops\" ]\n\t" + both + "\n",
       "[ keys . \"netops\" ]\n\tREVOKED\n\t" + both + "\n"},
      {"\"keys\" . 'netops' . \"certificates\" = ['a.pem', \"b.pem\"]\n",
       "\"keys\" . 'netops' . REVOKED\n\"keys\" . 'netops' . \"certificates\" = ['a.pem', "
       "\"b.pem\"]\n"},
      {"[keys.netops]\n# both\ncertificates =   [\n  \"a.pem\",\n  \"b.pem\",\n]\n",
       "[keys.netops]\n# both\nREVOKED\ncertificates =   [\n  \"a.pem\",\n  \"b.pem\",\n]\n"},
      {"[keys.netops]\n" + both, "[keys.netops]\nREVOKED\n" + both}};
  for (const Form& form : forms) {
    INFO(form.before);
    const auto once = revoke_in(kBefore + form.before, fingerprint("a"));
    REQUIRE(once);
    std::string expected = form.after;
    expected.replace(expected.find("REVOKED"), 7, "revoked = [\"" + fingerprint("a") + "\"]");
    CHECK(once->front().text.ends_with("default = \"deny\"\n" + expected));
    const Policy policy = must_parse(once->front().text);
    CHECK(policy.version == 13);
    REQUIRE(policy.keys.front().certificates.size() == 1);
    CHECK(policy.keys.front().certificates.front().subject == "CN=b");
  }
}

// The version may stand behind the key.
TEST_CASE("a revocation before the version", "[revoke]") {
  const auto once = revoke_in(
      "schema = 1\nname = \"x\"\nkeys.netops = { certificates = [\"a.pem\", \"b.pem\"] }\n"
      "version = 9\nmode = \"audit\"\ndefault = \"deny\"\n",
      fingerprint("b"));
  REQUIRE(once);
  const Policy policy = must_parse(once->front().text);
  CHECK(policy.version == 10);
  CHECK(policy.keys.front().certificates.front().subject == "CN=a");
}

}  // namespace
}  // namespace bpfwarden::policy::test
