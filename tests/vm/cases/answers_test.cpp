// `verify` and the kernel about the same signatures: who signed, through whom, revoked or not.
#include <catch2/catch_test_macros.hpp>
#include <ctime>

#include "loader/bundles/verify_bundle.h"
#include "tests/vm/helpers/issued.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// What `bpfwarden verify --policy` says of the program in `request`.
bool is_verified(const Warden& warden, const Load& request) {
  loader::CheckedPolicy checked = loader::check_policy_file(warden.policy_file());
  REQUIRE(checked.compiled);
  keyring::Bundle bundle = {};
  bundle.kind = keyring::Bundle::Kind::program;
  bundle.name = "answers";
  bundle.insns = request.insns;
  bundle.signature = request.signature;
  bundle.license = "GPL";
  bundle.programs.push_back(
      {.name = "answers", .section = "xdp", .prog_type = BPF_PROG_TYPE_XDP, .attach = {}});
  bundle.programs.front().expected_attach_type = BPF_XDP;
  const auto signer = loader::find_bundle_signer(bundle, checked.compiled->certificates);
  if (!signer) return false;
  const auto decisions =
      loader::decide_on_bundle(bundle, *checked.compiled, *signer, true, std::time(nullptr));
  REQUIRE(decisions);
  return decisions->front().decision.allow != 0;
}

// Both, with bpfwarden's own keyring. The load is that of an XDP program as libbpf makes it.
void both_say(bool admitted, const Warden& warden, Load request, const char* what) {
  INFO(what);
  request.attach_type = BPF_XDP;
  request.keyring = warden.ring();
  CHECK((load(request).error == 0) == admitted);
  CHECK(is_verified(warden, request) == admitted);
}

}  // namespace

TEST_CASE(
    "allow_and_deny_the_answers_that_verify_gives",
    "[vm][keyring][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
    "maps]") {
  Warden warden;
  const Signer ca("ca", {.ca = true}), plain("plain"), other("other");
  const IssuedSigner leaf(ca), second(ca), foreign(warden.stranger()), below(plain);
  const auto rules = [&](const std::string& vendor) {
    return "[keys.ca]\nissuer = [\"" + ca.certificate_file.string() + "\"]\n[keys.plain]\n" +
           "certificates = [\"" + plain.certificate_file.string() + "\"]\n" + vendor +
           "\n[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"ca\", \"plain\"]\n";
  };
  warden.apply("enforce", rules(""));
  both_say(true, warden, Load{}.signed_by(plain), "by a key that the rule names");
  both_say(false, warden, Load{}.signed_by(warden.netops()), "by a key of another rule");
  both_say(false, warden, Load{}.signed_by(warden.stranger()), "by a key of nobody");
  both_say(true, warden, leaf.sign({}), "by a key that the CA certified");
  both_say(false, warden, Load{}.signed_by(ca), "by the CA itself");
  both_say(false, warden, foreign.sign({}), "by a key that a stranger certified");
  both_say(false, warden, below.sign({}), "by a key that a mere signer certified");
  Load changed = Load{}.signed_by(plain);
  changed.insns.front() ^= 0xff;
  both_say(false, warden, changed, "other instructions than were signed");

  warden.apply("enforce", rules("[keys.vendor]\nissuer = [\"" + other.certificate_file.string() +
                                "\"]\nrevoked = [\"" + plain.certificate_file.string() + "\", \"" +
                                leaf.certificate_file().string() + "\"]\n"));
  both_say(false, warden, Load{}.signed_by(plain), "revoked by another key's table");
  both_say(false, warden, leaf.sign({}), "certified by the CA, and revoked");
  both_say(true, warden, second.sign({}), "certified by the CA, and not revoked");
}

}  // namespace bpfwarden::vm
