#include "policy/image/compile.h"

#include <linux/bpf.h>

#include <bit>
#include <cstring>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "bpf-lsm/decide.h"
#include "compiled.h"
#include "fake_reader.h"
#include "policy/text/wording.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

std::string names(std::string_view family, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; i++)
    text += "\"" + std::string(family) + "/name_" + std::to_string(i) + "\",";
  return text;
}

bool has_bit(const bw_vector& vector, uint32_t bit) { return bw_test_bit(&vector, bit) != 0; }

bpfwarden::Result<std::unique_ptr<bw_image>> compiled(const Policy& policy) {
  return compile(policy, std::array<uint8_t, 32>{});
}

}  // namespace

TEST_CASE("the header of an image") {
  const Policy policy = must_parse(with_header("[[rules]]\nname=\"röte\"\ndeny=[\"xdp\"]\n"));
  const Compiled result(policy);
  const bw_image& image = result.image();
  CHECK(image.magic == BW_IMAGE_MAGIC);
  CHECK(image.abi == BW_IMAGE_ABI);
  CHECK(image.size == sizeof(bw_image));
  CHECK(image.policy_version == 1);
  CHECK(image.rule_count == 1);
  CHECK(image.mode == BW_MODE_ENFORCE);
  CHECK(image.default_allow == 0);
  CHECK(image.policy_digest[31] == 0xd1);
  CHECK(std::string(image.policy_name) == "test");
  CHECK(std::string(image.rules[0].name) == "röte");
  CHECK(image.rules[0].line == 8);
}

namespace {

// Its header goes before the keys.
Policy sealed_policy(const std::string& settings, const std::string& keys) {
  return must_parse(
      "schema = 1\nname = \"test\"\nversion = 1\nmode = \"enforce\"\n"
      "default = \"deny\"\n" +
      settings + "[keys.first]\ncertificates = [\"first.pem\"]\n" + keys);
}

uint64_t signer_bit(const bw_image& image, uint16_t kind, const char* name) {
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++)
    if (image.signers[slot].kind == kind && std::string_view(image.signers[slot].name) == name)
      return uint64_t{1} << slot;
  return 0;
}

}  // namespace

TEST_CASE("who may sign the next policy: no bit where nobody may") {
  const Compiled open(sealed_policy("", ""));
  CHECK((open.image().flags & BW_IMAGE_SEAL) == 0);
  CHECK(open.image().policy_signers == 0);
  CHECK(open.image().policy_signatures == 0);
  CHECK(open.image().confirm_within_s == 0);
  const Compiled unsealed(sealed_policy("seal = false\n", ""));
  CHECK((unsealed.image().flags & BW_IMAGE_SEAL) == 0);
  const Compiled sealed(sealed_policy("seal = true\n", ""));
  CHECK((sealed.image().flags & BW_IMAGE_SEAL) != 0);
  CHECK(sealed.image().policy_signers == 0);
  CHECK(sealed.image().policy_signatures == 0);
}

TEST_CASE("who may sign the next policy: keys and issuers that count, and nobody else") {
  const Compiled compiled(sealed_policy(
      "policy-signed-by = [\"both\"]\npolicy-signatures-needed = 2\n",
      "[keys.both]\ncertificates = [\"bundle.pem\", \"lost.pem\"]\nissuer = [\"ca.pem\", "
      "\"no-ca.pem\"]\nrevoked = [\"copy-of-lost.pem\"]\n"
      "[keys.ring]\nkeyring = \"builtin\"\n"));
  const bw_image& image = compiled.image();
  CHECK(image.policy_signatures == 2);
  uint64_t expected = 0;
  for (uint32_t slot = BW_SIGNER_FIRST_KEY; slot < image.signer_count; slot++) {
    const bw_signer& signer = image.signers[slot];
    if (std::string_view(signer.name) != "both" || signer.kind == BW_SIGNER_REVOKED) continue;
    if (bw_unless_revoked(&image, slot) != BW_SIGNER_UNKNOWN) expected |= uint64_t{1} << slot;
  }
  CHECK(std::popcount(expected) == 3);  // two of the bundle, and the CA
  CHECK(image.policy_signers == expected);
  CHECK((image.policy_signers & signer_bit(image, BW_SIGNER_ISSUER, "both")) != 0);
  CHECK((image.policy_signers & signer_bit(image, BW_SIGNER_REVOKED, "both")) == 0);
  CHECK((image.policy_signers & signer_bit(image, BW_SIGNER_KEY, "first")) == 0);
  CHECK((image.policy_signers & ((1U << BW_SIGNER_FIRST_KEY) - 1)) == 0);
}

TEST_CASE(
    "who may sign the next policy: one is enough unless it is said, and keys of drop-ins may") {
  const ParseResult parsed =
      parse({{"p.toml",
              "schema = 1\nname = \"test\"\nversion = 1\nmode = \"enforce\"\ndefault = "
              "\"deny\"\nseal = true\npolicy-signed-by = [\"later\"]\n"},
             {"p.d/50.toml",
              "[keys.later]\nkeyring = \"platform\"\ncertificates = "
              "[\"later.pem\"]\n"}},
            read_fake, kNow);
  REQUIRE(parsed.policy);
  const Compiled compiled(*parsed.policy);
  CHECK(compiled.image().policy_signatures == 1);
  CHECK(compiled.image().policy_signers == uint64_t{1} << BW_SIGNER_FIRST_KEY);
  CHECK(compiled.image().signers[BW_SIGNER_FIRST_KEY].keyring == BW_SIGNER_PLATFORM);
}

TEST_CASE("the same policy gives the same bytes") {
  const std::string text = with_header("[[rules]]\nname=\"a\"\ndeny=[" + names("lsm", 300) + "]\n");
  const Compiled first(must_parse(text)), second(must_parse(text));
  CHECK(std::memcmp(&first.image(), &second.image(), sizeof(bw_image)) == 0);
}

TEST_CASE("signers: one slot a public key, and who satisfies which rule") {
  const Policy policy = must_parse(
      with_header("[keys.copy]\ncertificates=[\"copy-of-netops.pem\", \"other.pem\"]\n"
                  "[keys.distro]\nkeyring=\"builtin\"\n"
                  "[[rules]]\nname=\"netops\"\nallow=[\"xdp\"]\nsigned-by=[\"netops\"]\n"
                  "[[rules]]\nname=\"both\"\nallow=[\"xdp\"]\nsigned-by=[\"copy\", \"distro\"]\n"
                  "[[rules]]\nname=\"anyone\"\ndeny=[\"xdp\"]\n"));
  const Compiled result(policy);
  const bw_image& image = result.image();
  REQUIRE(image.signer_count == BW_SIGNER_FIRST_KEY + 2);
  const bw_signer& signer = image.signers[BW_SIGNER_FIRST_KEY];
  CHECK(std::string(signer.name) == "netops");
  CHECK(signer.key_length == 65);
  CHECK(std::memcmp(signer.key, fake_key("netops").data(), 65) == 0);
  CHECK(std::string(reinterpret_cast<const char*>(signer.algorithm)) == "ecdsa-nist-p256");
  CHECK(std::string(image.signers[BW_SIGNER_FIRST_KEY + 1].name) == "copy");
  CHECK(std::string(image.signers[BW_SIGNER_BUILTIN].name) == "distro");
  CHECK(image.signers[BW_SIGNER_BUILTIN].key_length == 0);
  const auto rules_of = [&](uint32_t slot) {
    std::set<uint32_t> rules;
    for (uint32_t i = 0; i < 3; i++)
      if (has_bit(image.signer[slot], i)) rules.insert(i);
    return rules;
  };
  CHECK(rules_of(BW_SIGNER_UNKNOWN) == std::set<uint32_t>{2});
  CHECK(rules_of(BW_SIGNER_BUILTIN) == std::set<uint32_t>{1, 2});
  CHECK(rules_of(BW_SIGNER_SECONDARY) == std::set<uint32_t>{2});
  CHECK(rules_of(BW_SIGNER_FIRST_KEY) == std::set<uint32_t>{0, 1, 2});
  CHECK(rules_of(BW_SIGNER_FIRST_KEY + 1) == std::set<uint32_t>{1, 2});
  CHECK(has_bit(image.keyed, 0));
  CHECK_FALSE(has_bit(image.keyed, 2));
  CHECK_FALSE(has_bit(image.signature[BW_SIGNATURE_UNSIGNED], 0));
  CHECK(has_bit(image.signature[BW_SIGNATURE_PROG_ONLY], 0));
  CHECK(has_bit(image.signature[BW_SIGNATURE_PROG_USED_MAPS], 0));
}

TEST_CASE("classes: syscall is the loader's, named ones say so") {
  const Compiled result(must_parse(with_header("")));
  const bw_image& image = result.image();
  const auto flags = [&](uint32_t prog_type, uint32_t attach_type) {
    return image.classes[bw_class_of(&image, prog_type, attach_type)].flags;
  };
  CHECK(flags(BPF_PROG_TYPE_SYSCALL, 0) == BW_CLASS_LOADER);
  CHECK(flags(BPF_PROG_TYPE_LSM, BPF_LSM_MAC) == BW_CLASS_NAMED);
  CHECK(flags(BPF_PROG_TYPE_XDP, 0) == 0);
  CHECK(bw_class_of(&image, BPF_PROG_TYPE_TRACING, 0) == BW_CLASS_UNKNOWN);
}

TEST_CASE("every pattern is found, sure is part of may, and vectors are shared") {
  const Compiled result(must_parse(
      with_header("[[rules]]\nname=\"a\"\nallow=[\"kprobe/*\", \"tc\", " + names("fentry", 50) +
                  "]\nsigned-by=[\"netops\"]\n[[rules]]\nname=\"b\"\ndeny=[\"*\", \"lsm/*\"]\n")));
  const bw_image& image = result.image();
  std::set<uint64_t> hashes;
  std::set<uint16_t> vectors;
  for (const bw_pattern& pattern : image.patterns) {
    if (pattern.hash == 0) continue;
    CHECK(hashes.insert(pattern.hash).second);
    vectors.insert({pattern.rules.sure, pattern.rules.may});
    for (size_t i = 0; i < BW_VECTOR_WORDS; i++)
      CHECK((image.vectors[pattern.rules.sure].words[i] &
             ~image.vectors[pattern.rules.may].words[i]) == 0);
  }
  CHECK(hashes.size() == 50);
  CHECK(vectors.size() == 1);  // {a, b}
  // Rule a names only part of what a kprobe program may become.
  const bw_class_info& kprobe = image.classes[load_class_of(BPF_PROG_TYPE_KPROBE, 0)];
  CHECK_FALSE(has_bit(image.vectors[kprobe.unknown.sure], 0));
  CHECK(has_bit(image.vectors[kprobe.unknown.may], 0));
  CHECK(has_bit(image.vectors[kprobe.unknown.sure], 1));
  CHECK(image.vectors[BW_VECTOR_NONE].words[0] == 0);
  CHECK(~image.vectors[BW_VECTOR_ALL].words[BW_VECTOR_WORDS - 1] == 0);
}

TEST_CASE("a full table of patterns still finds a seed; one more is refused") {
  const auto text = [](size_t count) {
    return with_header("[[rules]]\nname=\"a\"\ndeny=[" + names("fentry", count / 2) +
                       names("fexit", count - count / 2) + "]\n");
  };
  const Compiled full(must_parse(text(BW_MAX_PATTERNS)));
  for (size_t i = 0; i < BW_MAX_PATTERNS; i++) {
    Load load;
    load.prog_type = BPF_PROG_TYPE_TRACING;
    load.attach_type = i % 2 ? BPF_TRACE_FENTRY : BPF_TRACE_FEXIT;
    load.name = "name_" + std::to_string(i / 2);
    REQUIRE(full.decide(load).rule == 0);
  }
  const auto over = compiled(must_parse(text(BW_MAX_PATTERNS + 1)));
  REQUIRE_FALSE(over.has_value());
  CHECK(over.error().message.find("8192 fit") != std::string::npos);
}

TEST_CASE("a model made by hand that does not fit is refused, not cut") {
  Policy policy = must_parse(with_header("[[rules]]\nname=\"a\"\ndeny=[\"xdp\"]\n"));
  const auto refused = [](const Policy& changed) { return !compiled(changed).has_value(); };
  CHECK_FALSE(refused(policy));
  Policy changed = policy;
  changed.name.assign(64, 'x');
  CHECK(refused(changed));
  changed = policy;
  changed.rules[0].name.assign(96, 'x');
  CHECK(refused(changed));
  changed = policy;
  changed.rules.resize(1025, changed.rules[0]);
  CHECK(refused(changed));
  changed = policy;
  changed.keys[0].certificates[0].public_key.resize(BW_KEY_SIZE);
  CHECK(refused(changed));
}

TEST_CASE("every cause has its words") {
  std::set<std::string_view> texts;
  for (int cause = 0; cause < BW_CAUSES; cause++) {
    CHECK(texts.insert(cause_text(static_cast<bw_cause>(cause))).second);
    CHECK(next_step(static_cast<bw_cause>(cause)).size() > 20);
  }
  CHECK(signature_name(BW_SIGNATURE_PROG_USED_MAPS) == "prog-used-maps");
  CHECK(origin_name(BW_ORIGIN_RESIDENT) == "resident");
  CHECK(mode_name(BW_MODE_ENFORCE) == "enforce");
}
