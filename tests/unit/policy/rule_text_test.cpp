// Rules from recorded loads: each must read as what it is meant for, and admit that load.
#include <catch2/catch_test_macros.hpp>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/answers/rule_text.h"
#include "policy/image/signers.h"
#include "policy/image/situation.h"

using namespace bpfwarden;
using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

const std::string kDigest(64, 'a');

RecordedLoad signed_load(const std::string& attach) {
  return {.attach = attach,
          .program = "p",
          .signer = "netops",
          .signature = Signature::prog_only,
          .digest = {}};
}

RecordedLoad unsigned_load(const std::string& attach, const std::string& digest = kDigest) {
  return {.attach = attach, .program = "p", .signer = {}, .digest = digest};
}

std::string text_for(const RecordedLoad& load) {
  const auto rule = smallest_rule(load);
  REQUIRE(rule.has_value());
  return toml_text(*rule);
}

// What the rule, and nothing else, says to a load.
bool admits(const RecordedLoad& by, const RecordedLoad& load) {
  const Policy policy = must_parse(with_header(text_for(by)));
  const Compiled compiled(policy);
  Situation situation;
  std::string attach = load.attach;
  if (attach.ends_with("/…")) attach.replace(attach.size() - 4, 4, "/any");
  situation.attach = parse_attach_point(attach).value();
  situation.signature = load.signature;
  situation.is_only_load = true;
  if (!load.signer.empty()) situation.signer = *signer_slot(compiled.image(), policy, load.signer);
  if (!load.digest.empty()) {
    situation.digest = ProgramDigest{};
    situation.digest->fill(load.digest == kDigest ? 0xaa : 0xbb);
  }
  return decide_on(compiled.image(), situation).load.allow == 1;
}

}  // namespace

TEST_CASE("a rule for a signed load names its key, in normal form") {
  CHECK(text_for(signed_load("fentry/tcp_connect")) ==
        "[[rules]]\n"
        "name      = \"netops: fentry/tcp_connect\"\n"
        "allow     = [\"fentry/tcp_connect\"]\n"
        "signed-by = [\"netops\"]\n");
  RecordedLoad load = signed_load("kprobe/…");
  load.signature = Signature::prog_used_maps;
  CHECK(text_for(load) ==
        "[[rules]]\n"
        "name      = \"netops: kprobe/*\"\n"
        "allow     = [\"kprobe/*\"]\n"
        "signed-by = [\"netops\"]\n"
        "signature = \"prog-used-maps\"\n");
}

TEST_CASE("a rule for an unsigned load names its digest") {
  CHECK(text_for(unsigned_load("xdp")) ==
        "[[rules]]\n"
        "name      = \"p aaaaaaaaaaaa: xdp\"\n"
        "allow     = [\"xdp\"]\n"
        "signature = \"unsigned\"\n"
        "digests   = [\"sha256:" +
            kDigest + "\"]\n");
  const auto unknown = smallest_rule(unsigned_load("xdp", ""));
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error().message.find("digest") != std::string::npos);
}

TEST_CASE("a rule admits the load it was made for, and no other") {
  const std::string other(64, 'b');
  for (const std::string attach : {"xdp", "fentry/tcp_connect", "kprobe/…", "tcx/ingress", "tp/…",
                                   "cgroup/connect4", "struct_ops/tcp_congestion_ops", "lsm/…"}) {
    CAPTURE(attach);
    CHECK(admits(signed_load(attach), signed_load(attach)));
    CHECK_FALSE(admits(signed_load(attach), unsigned_load(attach)));
    CHECK_FALSE(admits(signed_load(attach), signed_load("sk_lookup")));
    CHECK(admits(unsigned_load(attach), unsigned_load(attach)));
    CHECK_FALSE(admits(unsigned_load(attach), unsigned_load(attach, other)));
    CHECK_FALSE(admits(unsigned_load(attach), unsigned_load("sk_lookup")));
  }
  RecordedLoad weak = signed_load("xdp"), strong = signed_load("xdp");
  strong.signature = Signature::prog_used_maps;
  CHECK_FALSE(admits(strong, weak));
  CHECK(admits(weak, strong));
}

TEST_CASE("what no rule could name gets none") {
  CHECK_FALSE(smallest_rule(signed_load("program type 99, attach type 3")).has_value());
  CHECK_FALSE(pattern_for("").has_value());
}

TEST_CASE("comments and names are quoted as TOML wants it") {
  RuleText rule;
  rule.comment = "seen 3 times\nby \"agent\"";
  rule.name = "a \"b\" \\ \x01";
  rule.allow = {"xdp"};
  const std::string text = toml_text(rule);
  CHECK(text.starts_with("# seen 3 times\n# by \"agent\"\n[[rules]]\n"));
  CHECK(text.find(R"("a \"b\" \\ \u0001")") != std::string::npos);
  RecordedLoad load = signed_load("fentry/" + std::string(120, 'x'));
  const auto longest = smallest_rule(load);
  REQUIRE(longest.has_value());
  CHECK(longest->name.size() == BW_RULE_NAME_SIZE - 1);
  CHECK(admits(load, load));
}
