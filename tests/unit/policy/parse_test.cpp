#include "policy/language/parse.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"

using namespace bpfwarden;
using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

std::string first_of(const ParseResult& result) {
  if (result.diagnostics.empty()) return "";
  const Diagnostic& first = result.diagnostics.front();
  return std::to_string(first.line) + ":" + std::to_string(first.column) + " " + first.message;
}

std::string errors_of(std::string_view rest) {
  const std::string text = with_header(rest);
  const ParseResult result = parse_text(text);
  std::string all;
  for (const Diagnostic& diagnostic : result.diagnostics)
    if (diagnostic.severity == Severity::error) all += diagnostic.message + "\n";
  CHECK(result.policy.has_value() == all.empty());
  return all;
}

constexpr std::string_view kFull = R"(schema  = 1
name    = "edge-fleet"
version = 12
mode    = "audit"
default = "deny"

[keys.distro]
keyring = "builtin"

[keys.netops]
certificates = ["certs/netops.pem", "bundle.pem"]

[[rules]]
name = "never"
deny = ["fmod_ret/security_*", "lsm_cgroup/*"]

[[rules]]
name      = "network"
allow     = ["xdp"]
signed-by = ["netops"]
signature = "prog-used-maps"
mode      = "enforce"

[[rules]]
name      = "tracing"
allow     = ["fentry/*", "iter/task"]
signed-by = ["netops", "distro"]
)";

}  // namespace

TEST_CASE("a full policy becomes a typed model") {
  const Policy policy = must_parse(kFull);
  CHECK(policy.schema == 1);
  CHECK(policy.name == "edge-fleet");
  CHECK(policy.version == 12);
  CHECK(policy.mode == Mode::audit);
  CHECK(policy.default_action == Action::deny);
  REQUIRE(policy.keys.size() == 2);
  CHECK(policy.keys[0].keyring == SystemKeyring::builtin);
  CHECK(policy.keys[1].certificates.size() == 3);
  CHECK(policy.keys[1].certificates[0].path == "certs/netops.pem");
  REQUIRE(policy.rules.size() == 3);
  CHECK(policy.rules[0].action == Action::deny);
  CHECK(policy.rules[0].signature == Signature::unsigned_);
  CHECK(policy.rules[1].signature == Signature::prog_used_maps);
  CHECK(policy.rules[1].mode == Mode::enforce);
  CHECK(policy.rules[1].position.line == 17);
  CHECK(policy.rules[2].signature == Signature::prog_only);
  CHECK_FALSE(policy.rules[2].mode.has_value());
  REQUIRE(policy.rules[2].signed_by.size() == 2);
  CHECK(policy.rules[2].signed_by[1].key == 0);
  CHECK(policy.rules[2].attach[1].position.line == 26);
  CHECK(policy.rules[2].attach[1].position.column == 26);
  CHECK(policy.rules[2].attach[1].position.width == 11);
}

TEST_CASE("the text is kept for rendering and for the digest") {
  CHECK(parse_text(kFull).sources.at(0).text == kFull);
  CHECK(parse_text("broken").sources.at(0).text == "broken");
}

TEST_CASE("relative certificate paths start at the policy's folder, absolute ones do not") {
  std::vector<std::string> asked;
  const CertificateReader reader = [&](const std::filesystem::path& path) {
    asked.push_back(path.string());
    return read_fake(path);
  };
  const std::string text =
      "schema=1\nname=\"a\"\nversion=1\nmode=\"audit\"\ndefault=\"deny\"\n[keys.k]\n"
      "certificates=[\"certs/a.pem\", \"/etc/b.pem\"]\n";
  REQUIRE(parse({{"/etc/bpfwarden/policy.toml", text}}, reader, kNow).policy.has_value());
  CHECK(asked == std::vector<std::string>{"/etc/bpfwarden/certs/a.pem", "/etc/b.pem"});
}

TEST_CASE("an empty text lacks everything, and says so in one run") {
  const ParseResult result = parse_text("");
  CHECK_FALSE(result.policy.has_value());
  size_t errors = 0;
  for (const Diagnostic& diagnostic : result.diagnostics)
    errors += diagnostic.severity == Severity::error;
  CHECK(errors == 5);
}

TEST_CASE("signature and signed-by") {
  CHECK(errors_of("[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n").empty());
  CHECK(errors_of("[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\n").find("does not say whose") !=
        std::string::npos);
  CHECK(errors_of("[[rules]]\nname=\"a\"\ndeny=[\"xdp\"]\n").empty());
  CHECK(errors_of("[[rules]]\nname=\"a\"\ndeny=[\"xdp\"]\nsigned-by=[\"netops\"]\n"
                  "signature=\"unsigned\"\n")
            .find("contradicts") != std::string::npos);
  const Policy policy =
      must_parse(with_header("[[rules]]\nname=\"a\"\ndeny=[\"xdp\"]\nsigned-by=[\"netops\"]\n"
                             "[[rules]]\nname=\"b\"\nallow=[\"xdp\"]\nsignature=\"prog-only\"\n"));
  CHECK(policy.rules[0].signature == Signature::prog_only);
  CHECK(policy.rules[1].signature == Signature::prog_only);
  CHECK(policy.rules[1].signed_by.empty());
}

TEST_CASE("limits") {
  std::string rules;
  for (int i = 0; i < 1024; i++)
    rules += "[[rules]]\nname=\"r" + std::to_string(i) + "\"\ndeny=[\"xdp\"]\n";
  CHECK(errors_of(rules).empty());
  CHECK(errors_of(rules + "[[rules]]\nname=\"last\"\ndeny=[\"xdp\"]\n")
            .find("more than 1024 rules") != std::string::npos);
  std::string certificates;
  for (int i = 0; i < 58; i++) certificates += "\"k" + std::to_string(i) + ".pem\",";
  CHECK(errors_of("[keys.many]\ncertificates=[" + certificates + "]\n").empty());
  CHECK(errors_of("[keys.many]\ncertificates=[" + certificates + "\"x.pem\"]\n").find("59 fit") !=
        std::string::npos);
  CHECK(errors_of("[keys.copy]\ncertificates=[" + certificates + "\"copy-of-netops.pem\"]\n")
            .empty());
  CHECK(errors_of("[[rules]]\nname=\"" + std::string(95, 'n') + "\"\ndeny=[\"xdp\"]\n").empty());
  CHECK(errors_of("[[rules]]\nname=\"" + std::string(96, 'n') + "\"\ndeny=[\"xdp\"]\n") != "");
  CHECK(errors_of("[keys." + std::string(64, 'k') + "]\nkeyring=\"builtin\"\n") != "");
}

TEST_CASE("hostile texts end in one diagnostic, quickly") {
  const std::string deep_key = std::string("a") + [] {
    std::string dots;
    for (int i = 0; i < 1'000'000; i++) dots += ".a";
    return dots;
  }();
  for (const std::string& text :
       {std::string(kMaxPolicyBytes + 1, '#'), deep_key + " = 1", "[" + deep_key + "]",
        "a = " + std::string(1'000'000, '['), "a = '''x\n" + deep_key, std::string("a = \"\0\"", 7),
        std::string("\xff\xfe"), "x = { y = \"\"\"\nit's\"\"\", " + deep_key + " = 1 }"}) {
    const ParseResult result = parse_text(text);
    CHECK_FALSE(result.policy.has_value());
    CHECK(result.diagnostics.size() == 1);
  }
}

TEST_CASE("dots in strings and comments nest nothing") {
  CHECK(errors_of("# 1. 2. 3. 4. 5. 6. 7. 8. 9. 10. 11. 12. 13. 14. 15. 16. 17. 18.\n[keys.k]\n"
                  "certificates=[\"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.pem\"]\n")
            .empty());
}

TEST_CASE("syntax errors have toml++'s place and a friendly text") {
  CHECK(first_of(parse_text("schema = 1\nname = edge\n")).starts_with("2:"));
  CHECK(first_of(parse_text("schema = 1\nname = edge\n")).find("this is no value") !=
        std::string::npos);
  CHECK(first_of(parse_text("a = 1\na = 2\n")).find("is already defined") != std::string::npos);
}

TEST_CASE("parse_file: a file, no file, a folder") {
  const auto folder = std::filesystem::temp_directory_path() / "bpfwarden-parse-test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "policy.toml") << kFull;
  CHECK(parse_file(folder / "policy.toml", read_fake, kNow).policy.has_value());
  const ParseResult missing = parse_file(folder / "none.toml", read_fake, kNow);
  CHECK(first_of(missing) == "1:1 the policy cannot be read: No such file or directory");
  CHECK(missing.diagnostics.front().file == (folder / "none.toml").string());
  CHECK(first_of(parse_file(folder, read_fake, kNow)).find("Is a directory") != std::string::npos);
  CHECK(first_of(parse_file("/dev/zero", read_fake, kNow)).find("neither a file nor a pipe") !=
        std::string::npos);
  std::ofstream(folder / "large.toml") << "";
  std::filesystem::resize_file(folder / "large.toml", kMaxPolicyBytes + 1);
  CHECK(first_of(parse_file(folder / "large.toml", read_fake, kNow)).find("10 MiB") !=
        std::string::npos);
  std::filesystem::remove_all(folder);
}
