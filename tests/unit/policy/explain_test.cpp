// Explanations, and policy tests that rest on them.
#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/answers/explain.h"
#include "policy/answers/test_run.h"
#include "policy/image/signers.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

const std::string kRules =
    "[[rules]]\nname=\"no fentry\"\ndeny=[\"fentry/*\"]\n"                 // line 8
    "[[rules]]\nname=\"ours\"\nallow=[\"xdp\"]\nsigned-by=[\"netops\"]\n"  // line 11
    "signature=\"prog-used-maps\"\nuid=[0]\ndescription=\"ticket 7\"\n";   //

Situation situation(const Policy& policy, const bw_image& image, std::string_view attach,
                    Signature signature) {
  Situation result;
  result.attach = *parse_attach_point(attach);
  result.signature = signature;
  if (signature != Signature::unsigned_) result.signer = *signer_slot(image, policy, "netops");
  return result;
}

// Writes a test file beside a policy that nobody reads here.
TestFileResult test_file(std::string_view text) {
  const auto path = std::filesystem::temp_directory_path() / "bpfwarden-test-file.toml";
  std::ofstream(path, std::ios::binary) << text;
  TestFileResult result = parse_test_file(path);
  std::filesystem::remove(path);
  return result;
}

std::string errors_of(const TestFileResult& result) {
  return render_all(result.diagnostics, result.sources);
}

}  // namespace

TEST_CASE("an explanation names the rule, and why each rule before it did not match") {
  const Policy policy = must_parse(with_header(kRules));
  const Compiled compiled(policy);
  const auto allowed = explain(
      compiled.image(), situation(policy, compiled.image(), "xdp", Signature::prog_used_maps));
  CHECK(decider_text(policy, allowed.decision()) == "rule `ours` (test.toml:11)");
  REQUIRE(allowed.stages.size() == 1);
  REQUIRE(allowed.stages[0].passed.size() == 1);
  CHECK(allowed.stages[0].passed[0].reasons == std::vector<std::string>{"another attach point"});
  CHECK(to_text(allowed, policy).find("ticket 7") != std::string::npos);
  CHECK(effect_text(allowed.decision()) == "allowed");
}

TEST_CASE("a denial by default names what would have been enough") {
  const Policy policy = must_parse(with_header(kRules));
  const Compiled compiled(policy);
  Situation one = situation(policy, compiled.image(), "xdp", Signature::prog_only);
  one.uid = 7;
  const auto denied = explain(compiled.image(), one);
  CHECK(decider_text(policy, denied.decision()) == "the default");
  CHECK(effect_text(denied.decision()) == "refused with EPERM");
  REQUIRE(denied.stages[0].near_misses.size() == 1);
  CHECK(denied.stages[0].near_misses[0].reason ==
        "signature prog-used-maps or more and another user");
  CHECK(to_text(denied, policy).find("next: ") != std::string::npos);
}

TEST_CASE("each condition that is not met has its words") {
  const auto reason = [](std::string_view condition, auto change) {
    const Policy policy =
        must_parse(with_header("[[rules]]\nname=\"a\"\nallow=[\"xdp\"]\n"
                               "signature=\"unsigned\"\n" +
                               std::string(condition) + "\n"));
    const Compiled compiled(policy);
    Situation one = situation(policy, compiled.image(), "xdp", Signature::unsigned_);
    one.digest = ProgramDigest{};
    change(one);
    const auto passed = explain(compiled.image(), one).stages[0].passed;
    return passed.empty() || passed[0].reasons.empty() ? "" : passed[0].reasons[0];
  };
  const auto nothing = [](Situation&) {};
  CHECK(reason("", nothing) == "");
  CHECK(reason("exe=[\"/a\"]", nothing) == "another executable");
  CHECK(reason("exe=[\"/a\"]", [](Situation& one) { one.exe.reset(); }).find("could not be read") !=
        std::string::npos);
  CHECK(reason("cgroup=[\"/a\"]", nothing) == "another cgroup");
  CHECK(reason("digests=[\"sha256:" + std::string(64, 'a') + "\"]", nothing) ==
        "another program (digest)");
  CHECK(reason("origin=\"loader\"", nothing) == "origin loader");
  CHECK(reason("sleepable=true", nothing) == "a sleepable program");
  CHECK(reason("delegated=true", nothing) == "a load with a BPF token");
  CHECK(reason("license=\"proprietary\"", nothing) == "a proprietary license");
  CHECK(reason("expires=1999-01-01", [](Situation& one) { one.time = kNow; }) == "another date");
}

TEST_CASE("what skips every security module is refused, whatever the policy says") {
  const Policy policy = must_parse(
      with_header("[[rules]]\nname=\"all\"\nallow=[\"fmod_ret/*\"]\nsigned-by=[\"netops\"]\n"));
  const Compiled compiled(policy);
  const auto decided = [&](std::string_view attach) {
    SituationSettings settings;
    settings.attach = *parse_attach_point(attach);
    settings.key = "netops";
    return explain(compiled.image(), situation_of(settings, policy, compiled.image(), kNow).value())
        .decision();
  };
  CHECK(decided("fmod_ret/bpf_modify_return_test").allow == 1);
  CHECK(decided("fmod_ret/security_bpf").allow == 0);
  CHECK(decided("fmod_ret/security_bpf").cause == BW_CAUSE_LSM_BYPASS);
}

TEST_CASE("policy tests: what holds, what does not and why, and which rules were reached") {
  const Policy policy = must_parse(with_header(kRules));
  const Compiled compiled(policy);
  const auto parsed = test_file(
      "policy=\"p.toml\"\n[defaults]\nsignature=\"prog-used-maps\"\nkey=\"netops\"\n"
      "[[tests]]\nname=\"holds\"\nattach=\"xdp\"\nexpect=\"allow\"\nrule=\"ours\"\nmode="
      "\"enforce\"\n"
      "[[tests]]\nname=\"wrong answer\"\nattach=\"xdp\"\nexpect=\"deny\"\n"
      "[[tests]]\nname=\"wrong rule\"\nattach=\"xdp\"\nuid=1\nexpect=\"deny\"\nrule=\"ours\"\n"
      "[[tests]]\nname=\"wrong mode\"\nattach=\"xdp\"\nexpect=\"allow\"\nmode=\"audit\"\n"
      "[[tests]]\nname=\"no such key\"\nattach=\"xdp\"\nkey=\"nobody\"\nexpect=\"deny\"\n");
  INFO(errors_of(parsed));
  REQUIRE(parsed.tests.has_value());
  const TestReport report = run_tests(*parsed.tests, policy, compiled.image(), kNow);
  REQUIRE(report.outcomes.size() == 5);
  CHECK(report.failed() == 4);
  CHECK(report.outcomes[0].passed);
  CHECK(report.outcomes[1].reason.find("expected deny, got allow from rule `ours`") == 0);
  CHECK(report.outcomes[2].reason.find("asks for another user") != std::string::npos);
  CHECK(report.outcomes[3].reason.find("expected mode audit, got enforce") == 0);
  CHECK(report.outcomes[4].reason.find("no key `nobody`") != std::string::npos);
  CHECK(report.covered() == 1);
  CHECK(report.coverage() == 50);
}

TEST_CASE("a test file that is wrong says all that is wrong, with places and hints") {
  CHECK(errors_of(test_file("")).find("has no `policy`") != std::string::npos);
  const std::string all =
      errors_of(test_file("policy=\"p\"\n[[tests]]\nname=\"a\"\natach=\"xdp\"\nexpect=\"alow\"\n"
                          "[[tests]]\nname=\"b\"\nattach=\"xpd\"\nexpect=\"deny\"\nuid=-1\n"
                          "digest=\"sha256:1\"\ntime=\"2027-01-01\"\n"));
  CHECK(all.find("did you mean `attach`?") != std::string::npos);
  CHECK(all.find("did you mean `allow`?") != std::string::npos);
  CHECK(all.find("did you mean `xdp`?") != std::string::npos);
  CHECK(all.find("has no `attach`") != std::string::npos);
  CHECK(all.find("-1 is no user id") != std::string::npos);
  CHECK(all.find("is no digest") != std::string::npos);
  CHECK(all.find("a date has no quotes") != std::string::npos);
  CHECK(errors_of(test_file("policy=\"p\"\ntests=1\n")).find("array of tables") !=
        std::string::npos);
}
