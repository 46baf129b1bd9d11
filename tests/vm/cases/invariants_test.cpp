// What holds whatever the rules say (KERNEL-FACTS section 3), under a policy that allows
// everything.
#include <openssl/cms.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "loader/btf/kernel_has.h"
#include "tests/vm/helpers/issued.h"
#include "tests/vm/helpers/relocated.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kAnything = R"(
[[rules]]
name = "netops may do anything"
allow = ["*"]
signed-by = ["netops"]
[[rules]]
name = "and so may anyone"
allow = ["*"]
signature = "unsigned"
)";

constexpr const char* kNetopsOnly = R"(
[[rules]]
name = "netops only"
allow = ["*"]
signed-by = ["netops"]
)";

std::vector<std::string> causes(Warden& warden, const char* decision) {
  std::vector<std::string> found;
  for (const auto& event : warden.events())
    if (event["decision"] == decision) found.push_back(event["cause"]);
  return found;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "deny_co_re_relocation_of_signed_instructions",
    "[vm][holes][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kAnything);
  Relocated relocated;
  REQUIRE(relocated.types_fd);
  CHECK(load(relocated.request(warden.netops())).error == EPERM);
  CHECK(causes(warden, "deny") == Strings{"unsigned-parts"});
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

TEST_CASE("deny_instructions_rewritten_after_their_signature",
          "[vm][holes][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]"
          "[kernel:program_digest]") {
  if (!BW_KERNEL_HAS(folded_maps)) SKIP("at the first hook there is no digest yet");
  Warden warden;
  warden.apply("audit", kAnything);
  Relocated relocated;
  REQUIRE(relocated.types_fd);
  // Audit lets the load pass the first hook: the second sees that the program is another one.
  CHECK(load(relocated.request(warden.netops())).error == 0);
  CHECK(causes(warden, "deny") == Strings{"unsigned-parts", "digest-changed"});
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
  CHECK(causes(warden, "deny").empty());
}

TEST_CASE(
    "deny_unsigned_parts_beside_a_signature",
    "[vm][holes][replay][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kAnything);
  using Change = void (*)(bpf_attr&);
  for (const Change change : {Change([](bpf_attr& attr) { attr.func_info_cnt = 1; }),
                              Change([](bpf_attr& attr) { attr.line_info_cnt = 1; }),
                              Change([](bpf_attr& attr) { attr.core_relo_cnt = 1; }),
                              Change([](bpf_attr& attr) { attr.prog_btf_fd = 1; })}) {
    Load request = Load{}.signed_by(warden.netops());
    request.change = change;
    CHECK(load(request).error == EPERM);
    CHECK(causes(warden, "deny") == Strings{"unsigned-parts"});
  }
  CHECK(load(Load{}.signed_by(warden.netops())).error == 0);
}

TEST_CASE("deny_fmod_ret_on_security_functions",
          "[vm][holes][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kAnything);
  Load request;
  request.type = BPF_PROG_TYPE_TRACING;
  request.attach_type = BPF_MODIFY_RETURN;
  request.insns = Load::return_value(0);
  for (const char* name : {"security_bpf_prog_load", "security_file_open"}) {
    request.btf_id = function_id(name);
    CHECK(load(request).error == EPERM);
    CHECK(causes(warden, "deny") == Strings{"lsm-bypass"});
    request.signed_by(warden.netops());
    CHECK(load(request).error == EPERM);
    CHECK(causes(warden, "deny") == Strings{"lsm-bypass"});
  }
  request.attach_type = BPF_TRACE_FEXIT;  // watching is not answering
  CHECK(load(request).error == 0);
}

TEST_CASE("deny_exclusive_map_that_stays_writable",
          "[vm][holes][replay][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]"
          "[kernel:exclusive_maps]") {
  if (!BW_KERNEL_HAS(exclusive_maps)) SKIP("this kernel has no maps for one program alone");
  Warden warden;
  warden.apply("enforce", kAnything);
  Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
  CHECK(skeleton.create_map().error == 0);
  skeleton.map_flags = BPF_F_MMAPABLE;
  CHECK(skeleton.create_map().error == EPERM);
  CHECK(causes(warden, "deny") == Strings{"writable-exclusive-map"});
}

TEST_CASE(
    "deny_two_signers_in_one_signature",
    "[vm][holes][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kNetopsOnly);
  Load request = Load{}.signed_by(warden.netops());
  const test::BioPtr content(BIO_new_mem_buf(request.insns.data(), 16));
  constexpr unsigned flags = CMS_NOCERTS | CMS_BINARY | CMS_DETACHED;
  CMS_ContentInfo* cms =
      test::require(CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL | CMS_STREAM));
  for (const Signer* signer : {&warden.netops(), &warden.stranger()}) {
    const uint8_t* der = signer->certificate.der.data();
    X509* certificate =
        test::require(d2i_X509(nullptr, &der, static_cast<long>(signer->certificate.der.size())));
    test::require(
        CMS_add1_signer(cms, certificate, signer->key.get(), EVP_sha256(),
                        CMS_NOCERTS | CMS_BINARY | CMS_NOSMIMECAP | CMS_USE_KEYID | CMS_NOATTR));
    X509_free(certificate);
  }
  test::require(CMS_final(cms, content.get(), nullptr, CMS_NOCERTS | CMS_BINARY));
  uint8_t* der = nullptr;
  const int size = i2d_CMS_ContentInfo(cms, &der);
  Load twice = request;
  twice.signature.assign(der, der + size);
  OPENSSL_free(der);
  CMS_ContentInfo_free(cms);
  CHECK(load(twice).error == EPERM);
  CHECK(causes(warden, "deny") == Strings{"default"});
  CHECK(load(request).error == 0);
}

TEST_CASE(
    "deny_certificate_issued_by_a_trusted_key",
    "[vm][holes][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kNetopsOnly);
  const Load request = Load{}.signed_by(warden.netops());
  const Load by_leaf = IssuedSigner(warden.netops()).sign({});
  CHECK(load(by_leaf).error == EPERM);
  const auto events = warden.events();
  REQUIRE(events.size() == 1);
  CHECK(events[0]["signature"] == "prog-only");  // the kernel was content; we are not
  CHECK(events[0]["signer"].is_null());
  CHECK(load(request).error == 0);
}

}  // namespace bpfwarden::vm
