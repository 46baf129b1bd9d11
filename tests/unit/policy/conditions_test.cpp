// The conditions of rules beside attach point and signer: read from text, and decided by.
#include <linux/bpf.h>

#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/image/signers.h"
#include "policy/image/situation.h"
#include "random_policy.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

constexpr int64_t kJune30 = 1'814'313'600;  // 2027-06-30T00:00:00Z

std::string rule(std::string_view rest) {
  return "[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n" + std::string(rest) +
         "\n";
}

std::string digest_text(char last) { return "sha256:" + std::string(63, '0') + last; }

Load xdp() {
  Load load;
  load.prog_type = BPF_PROG_TYPE_XDP;
  load.attach_type = BPF_XDP;
  return load;
}

// By the image, and the reference must agree.
bool allows(const std::string& rules, const Load& load) {
  const Policy policy = must_parse(with_header(rules));
  const Verdict verdict = Compiled(policy).decide(load);
  CHECK(describe(verdict) == describe(judge(policy, load)));
  return verdict.allow;
}

std::string errors_of(std::string_view rules) {
  std::string all;
  for (const Diagnostic& found : parse_text(with_header(rules)).diagnostics)
    if (found.severity == Severity::error) all += found.message + " — " + found.hint + "\n";
  return all;
}

}  // namespace

// Where it refuses, as a deny rule does; where it admits, as an allow rule does not.
TEST_CASE("a load-only rule refuses who cannot be identified at attach, and admits nobody such") {
  for (const std::string what : {"exe = [\"/usr/bin/probe\"]", "cgroup = [\"/probe/*\"]"}) {
    const std::string only =
        "[[rules]]\nname=\"only\"\nload-only=[\"xdp\"]\n"
        "signature=\"unsigned\"\n" +
        what + "\n";
    const std::string later =
        "[[rules]]\nname=\"later\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n";
    Load load = xdp();
    load.exe = load.cgroup = std::nullopt;
    CHECK_FALSE(allows(only, load));
    CHECK(allows(only + later, load));
    load.attach = parse_attach_point("xdp@eth0").value();
    CHECK_FALSE(allows(only + later, load));
    CHECK(allows(later, load));
    load.exe = "/usr/bin/other";
    load.cgroup = "/other";
    CHECK(allows(only + later, load));
  }
}

TEST_CASE("dates: from the first second of not-before to the last before expires") {
  const std::string dated = rule("not-before = 2027-06-30\nexpires = 2027-07-01T00:00:00Z");
  Load load = xdp();
  load.time = kJune30 - 1;
  CHECK_FALSE(allows(dated, load));
  load.time = kJune30;
  CHECK(allows(dated, load));
  load.time = kJune30 + 86'399;
  CHECK(allows(dated, load));
  load.time = kJune30 + 86'400;
  CHECK_FALSE(allows(dated, load));
  load.time = kJune30;
  CHECK(allows(rule("not-before = 2027-06-30T02:00:00+02:00"), load));
  CHECK_FALSE(allows(rule("not-before = 2027-06-30T00:00:01Z"), load));
  CHECK(errors_of(rule("expires = \"2027-06-30\"")).find("a date has no quotes") !=
        std::string::npos);
  CHECK(errors_of(rule("expires = 2027-06-30T12:00:00")).find("without a zone") !=
        std::string::npos);
  CHECK(errors_of(rule("expires = 2027-06-30\nnot-before = 2027-06-30"))
            .find("expires before it begins") != std::string::npos);
}

TEST_CASE("a subject: uid, executable, cgroup") {
  Load load = xdp();
  load.uid = 1000;
  CHECK(allows(rule("uid = [0, 1000]"), load));
  CHECK_FALSE(allows(rule("uid = [0]"), load));
  CHECK(allows(rule("exe = [\"/usr/bin/*\"]"), load));
  CHECK(allows(rule("exe = [\"/usr/bin/loader\"]"), load));
  CHECK_FALSE(allows(rule("exe = [\"/usr/bin/load\"]"), load));
  load.cgroup = "/system.slice/agent.service";
  CHECK(allows(rule("cgroup = [\"/system.slice/*\"]"), load));
  CHECK_FALSE(allows(rule("cgroup = [\"/user.slice/*\"]"), load));
}

TEST_CASE("who could not be identified meets the conditions of deny rules and of no others") {
  const std::string everyone = "[[rules]]\nname=\"b\"\nallow=[\"xdp\"]\nsignature=\"unsigned\"\n";
  const std::string deny = "[[rules]]\nname=\"d\"\ndeny=[\"xdp\"]\nexe=[\"/usr/bin/x\"]\n";
  Load load = xdp();
  CHECK(allows(deny + everyone, load));
  load.exe = std::nullopt;
  CHECK_FALSE(allows(deny + everyone, load));
  CHECK_FALSE(allows(rule("exe = [\"/*\"]"), load));
}

TEST_CASE("digests: open until known, then exact; deny-digests come first") {
  const std::string exact = rule("digests = [\"" + digest_text('1') + "\"]");
  Load load = xdp();
  CHECK(allows(exact, load));  // may turn out to be it
  load.digest.emplace();
  CHECK_FALSE(allows(exact, load));
  load.digest->back() = 1;
  CHECK(allows(exact, load));
  CHECK(errors_of(rule("digests = [\"sha256:00\"]")).find("64 small hexadecimal") !=
        std::string::npos);
  CHECK(errors_of(rule("digests = [\"" + digest_text('G') + "\"]")) != "");

  const Policy policy = must_parse(
      "schema=1\nname=\"t\"\nversion=1\nmode=\"enforce\"\ndefault=\"allow\"\ndeny-digests=[\"" +
      digest_text('1') + "\"]\n");
  CHECK(Compiled(policy).decide(load).cause == BW_CAUSE_DENIED_DIGEST);
  load.digest->back() = 2;
  CHECK(Compiled(policy).decide(load).allow);
}

TEST_CASE("origin, sleepable, delegated, license") {
  Load load = xdp();
  CHECK(allows(rule("origin = \"user\""), load));
  CHECK_FALSE(allows(rule("origin = \"loader\""), load));
  CHECK(allows(rule("sleepable = false"), load));
  CHECK_FALSE(allows(rule("sleepable = true"), load));
  CHECK(allows(rule("delegated = false"), load));
  CHECK_FALSE(allows(rule("delegated = true"), load));
  CHECK(allows(rule("license = \"gpl-compatible\""), load));
  CHECK_FALSE(allows(rule("license = \"proprietary\""), load));
  CHECK(errors_of(rule("origin = \"kernel\"")).find("`user`, `loader`") != std::string::npos);
  CHECK(errors_of(rule("sleepable = \"yes\"")).find("`true` or `false`") != std::string::npos);
}

TEST_CASE("a place and a target known at attach: open at load, exact at attach") {
  const std::string eth =
      "[[rules]]\nname=\"a\"\nallow=[\"xdp@eth*\", \"kprobe/tcp_*\"]\n"
      "signature=\"unsigned\"\n";
  Load load = xdp();
  CHECK(allows(eth, load));
  load.attach = AttachPoint{*find_family("xdp"), "", "eth0"};
  CHECK(allows(eth, load));
  load.attach->place = "lo";
  CHECK_FALSE(allows(eth, load));
  load.attach->place = "";
  CHECK_FALSE(allows(eth, load));
  load = Load();
  load.prog_type = BPF_PROG_TYPE_KPROBE;
  CHECK(allows(eth, load));
  load.attach = AttachPoint{*find_family("kprobe"), "tcp_connect", ""};
  CHECK(allows(eth, load));
  load.attach = AttachPoint{*find_family("kprobe"), "udp_sendmsg", ""};
  CHECK_FALSE(allows(eth, load));
  load.attach = AttachPoint{*find_family("uprobe"), "tcp_connect", ""};
  CHECK_FALSE(allows(eth, load));
}

TEST_CASE("load-only admits a load and no attachment") {
  const std::string probe =
      "[[rules]]\nname=\"p\"\nload-only=[\"socket\"]\nsignature=\"unsigned\"\n";
  Load load;
  load.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  CHECK(allows(probe, load));
  load.attach = AttachPoint{*find_family("socket"), "", ""};
  CHECK_FALSE(allows(probe, load));
}

TEST_CASE("issuer: a key that a CA issued, not the CA's own and not another's") {
  const std::string issued =
      "[keys.ca]\nissuer=[\"ca.pem\"]\n[[rules]]\nname=\"a\"\n"
      "allow=[\"xdp\"]\nsigned-by=[\"ca\"]\n";
  Load load = xdp();
  load.signature = Signature::prog_only;
  load.public_key = fake_key("ca");
  CHECK_FALSE(allows(issued, load));
  load.issued = true;
  CHECK(allows(issued, load));
  load.public_key = fake_key("ca2");
  CHECK_FALSE(allows(issued, load));
}

TEST_CASE("a keyring with certificates stands for these alone; the whole keyring for them too") {
  const std::string keys =
      "[keys.narrow]\nkeyring=\"builtin\"\ncertificates=[\"n.pem\"]\n"
      "[keys.whole]\nkeyring=\"builtin\"\n";
  const std::string narrow =
      keys + "[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\nsigned-by=[\"narrow\"]\n";
  const std::string whole =
      keys + "[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\nsigned-by=[\"whole\"]\n";
  Load load = xdp();
  load.signature = Signature::prog_only;
  load.keyring = SystemKeyring::builtin;
  CHECK_FALSE(allows(narrow, load));
  CHECK(allows(whole, load));
  load.public_key = fake_key("n");
  CHECK(allows(narrow, load));
  CHECK(allows(whole, load));
  load.keyring = std::nullopt;
  CHECK_FALSE(allows(narrow, load));
}

TEST_CASE("revoked: by fingerprint of a certificate, by file of an issued one") {
  const std::string fingerprint = bpfwarden::hex(read_fake("a.pem")->front().fingerprint);
  const auto key = [&](std::string_view rest) {
    return "[keys.k]\n" + std::string(rest) +
           "\n[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\n"
           "signed-by=[\"k\"]\n";
  };
  const Policy policy = must_parse(with_header(
      key("certificates=[\"a.pem\", \"b.pem\"]\nrevoked=[\"sha256:" + fingerprint + "\"]")));
  REQUIRE(policy.keys[1].certificates.size() == 1);
  CHECK(policy.keys[1].certificates[0].path == "b.pem");
  const std::string last = "certificates=[\"a.pem\"]\nrevoked=[\"sha256:" + fingerprint + "\"]";
  const Policy none = must_parse(with_header(key(last)));
  CHECK(none.keys[1].certificates.empty());
  CHECK(errors_of(key(last + "\nkeyring=\"builtin\"")).find("every certificate") !=
        std::string::npos);  // not the whole keyring instead
  CHECK(errors_of(key("certificates=[\"a.pem\"]\nrevoked=[\"sha256:12\"]"))
            .find("has that fingerprint") != std::string::npos);
  CHECK(errors_of(key("certificates=[\"a.pem\"]\nrevoked=[\"b.pem\"]")).find("no `issuer`") !=
        std::string::npos);
  const Policy issued =
      must_parse(with_header(key("issuer=[\"ca.pem\"]\nrevoked=[\"stolen.pem\"]")));
  const Compiled compiled(issued);
  CHECK(compiled.image().signer_count == BW_SIGNER_FIRST_KEY + 3);
  CHECK(compiled.image().signers[BW_SIGNER_FIRST_KEY + 2].kind == BW_SIGNER_REVOKED);
}

TEST_CASE("log = false is for what a rule admits") {
  const Policy policy = must_parse(with_header(rule("log = false")));
  CHECK((Compiled(policy).image().quiet.words[0] & 1) == 1);
  CHECK(errors_of("[[rules]]\nname=\"d\"\ndeny=[\"xdp\"]\nlog = false\n").find("always logged") !=
        std::string::npos);
}

TEST_CASE("multithreaded-attach is the rule's own, or the policy's") {
  const auto image_of = [](const std::string& of_policy, const std::string& of_rule) {
    const Policy policy = must_parse(
        "schema = 1\nname = \"a\"\nversion = 1\nmode = \"audit\"\ndefault = \"deny\"\n" +
        of_policy + "[[rules]]\nname = \"first\"\nallow = [\"xdp\"]\nsignature = \"unsigned\"\n" +
        of_rule + "[[rules]]\nname = \"second\"\nallow = [\"tc\"]\nsignature = \"unsigned\"\n");
    const Compiled compiled(policy);
    return std::pair(compiled.image().detect.words[0],
                     compiled.image().flags & (BW_IMAGE_DETECT | BW_IMAGE_DETECT_SOME));
  };
  const std::string deny = "multithreaded-attach = \"deny\"\n";
  const std::string detect = "multithreaded-attach = \"detect\"\n";
  CHECK(image_of("", "") == std::pair(__u64{0}, __u32{0}));
  CHECK(image_of("", detect) == std::pair(__u64{1}, __u32{BW_IMAGE_DETECT_SOME}));
  CHECK(image_of(detect, deny) ==
        std::pair(__u64{2}, __u32{BW_IMAGE_DETECT | BW_IMAGE_DETECT_SOME}));
  CHECK(image_of(detect, "").first == 3);
}

TEST_CASE("bpf-tokens is a flag of the image, of whatever ABI knows it") {
  const auto flag_of = [](const std::string& setting) {
    const Policy policy = must_parse(
        "schema = 1\nname = \"a\"\nversion = 1\nmode = \"audit\"\ndefault = \"deny\"\n" + setting);
    const Compiled compiled(policy);
    return compiled.image().flags & BW_IMAGE_NO_TOKENS;
  };
  static_assert(BW_IMAGE_ABI >= 9, "an older kernel part would not look at it");
  CHECK(flag_of("") == 0);
  CHECK(flag_of("bpf-tokens = \"allow\"\n") == 0);
  CHECK(flag_of("bpf-tokens = \"deny\"\n") == BW_IMAGE_NO_TOKENS);
}

TEST_CASE("log-allowed and its limit are one number of the image") {
  const auto logged = [](const std::string& setting) {
    return Compiled(must_parse("schema = 1\nname = \"a\"\nversion = 1\nmode = \"audit\"\n"
                               "default = \"deny\"\n" +
                               setting))
        .image()
        .log_allowed;
  };
  CHECK(logged("") == BW_LOG_ALL);
  CHECK(logged("log-allowed = true") == BW_LOG_ALL);
  CHECK(logged("log-allowed = false") == 0);
  CHECK(logged("log-allowed-per-second = 50") == 50);
}

TEST_CASE("a path that the kernel could not compare is an error") {
  for (const std::string_view path : {"usr/bin/x", "/a*b", "/a//b", "/a/../b", "/a/./b", "/a/"})
    CHECK(errors_of(rule("exe = [\"" + std::string(path) + "\"]")) != "");
  CHECK(errors_of(rule("exe = [\"/" + std::string(127, 'x') + "\"]")) != "");
  CHECK(errors_of(rule("cgroup = [\"/\"]")).empty());
  CHECK(errors_of(rule("uid = [-1]")) != "");
  CHECK(errors_of(rule("uid = [4294967295]")) != "");
  CHECK(errors_of(rule("uid = 0")).find("write uid = [0]") != std::string::npos);
}

TEST_CASE("several lsm_cgroup places in one rule would mix; one rule each is fine") {
  CHECK(errors_of("[[rules]]\nname=\"a\"\ndeny=[\"lsm_cgroup/a@/x\", \"lsm_cgroup/b\"]\n")
            .find("several `lsm_cgroup`") != std::string::npos);
  CHECK(errors_of("[[rules]]\nname=\"a\"\ndeny=[\"lsm_cgroup/a@/x\", \"xdp@eth0\"]\n").empty());
}

TEST_CASE("drop-ins add keys and rules; what they cannot say, and conflicts, name both places") {
  const std::string main = with_header(rule(""));
  const auto errors = [&](std::string_view drop_in) {
    std::string all;
    for (const Diagnostic& found :
         parse({{"p.toml", main}, {"p.d/50.toml", std::string(drop_in)}}, read_fake, kNow)
             .diagnostics)
      if (found.severity == Severity::error)
        all += found.file + ": " + found.message + " — " + found.hint + "\n";
    return all;
  };
  CHECK(errors("[keys.more]\ncertificates=[\"m.pem\"]\n[[rules]]\nname=\"b\"\nallow=[\"tc\"]\n"
               "signed-by=[\"more\", \"netops\"]\n")
            .empty());
  for (const char* setting :
       {"seal = true", "policy-signed-by = [\"a\"]", "policy-signatures-needed = 1"})
    CHECK(errors(setting + std::string("\n")).find("` of the policy is set in p.toml") !=
          std::string::npos);
  CHECK(errors("mode = \"audit\"\n").find("p.d/50.toml: `mode` of the policy is set in p.toml:4") !=
        std::string::npos);
  CHECK(errors("[[rules]]\nname=\"a\"\ndeny=[\"tc\"]\n").find("the first one is at p.toml:8") !=
        std::string::npos);
  CHECK(errors("[keys.netops]\ncertificates=[\"m.pem\"]\n").find("the first one is at p.toml:6") !=
        std::string::npos);
  CHECK(errors("schema = 2\n") != "");
  CHECK(errors("x = \n").starts_with("p.d/50.toml: "));
}

TEST_CASE("parse_file finds the drop-ins beside a policy, in the order of their names") {
  const auto folder = std::filesystem::temp_directory_path() / "bpfwarden-drop-ins-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "p.d");
  std::ofstream(folder / "p.toml") << with_header(rule(""));
  std::ofstream(folder / "p.d/20.toml") << "[[rules]]\nname=\"late\"\ndeny=[\"tc\"]\n";
  std::ofstream(folder / "p.d/10.toml") << "[[rules]]\nname=\"early\"\ndeny=[\"tc\"]\n";
  std::ofstream(folder / "p.d/README") << "not a policy";
  const ParseResult result = parse_file(folder / "p.toml", read_fake, kNow);
  INFO(render_all(result.diagnostics, result.sources));
  REQUIRE(result.policy.has_value());
  REQUIRE(result.policy->rules.size() == 3);
  CHECK(result.policy->rules[1].name == "early");
  CHECK(result.policy->rules[2].position.file == 2);
  std::filesystem::remove_all(folder);
}

TEST_CASE("decide_on: load, then attach where the policy decides there") {
  const Policy policy = must_parse(
      with_header("[[rules]]\nname=\"eth\"\nallow=[\"xdp@eth0\"]\nsigned-by=[\"netops\"]\n"));
  const Compiled compiled(policy);
  Situation situation;
  situation.attach = *parse_attach_point("xdp@eth0");
  situation.signature = Signature::prog_only;
  situation.signer = *signer_slot(compiled.image(), policy, "netops");
  CHECK(decide_on(compiled.image(), situation).last().allow);
  situation.attach.place = "lo";
  const LoadOutcome elsewhere = decide_on(compiled.image(), situation);
  CHECK(elsewhere.load.allow);
  REQUIRE(elsewhere.attach.has_value());
  CHECK_FALSE(elsewhere.attach->allow);
  CHECK(signer_slot(compiled.image(), policy, "nobody").error().hint == "it has `netops`");
}
