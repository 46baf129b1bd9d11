// Bundles signed by a key in a PKCS#11 token: SoftHSM2, through OpenSSL's engine.
#include <catch2/catch_test_macros.hpp>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

class Token {
 public:
  Token() {
    const auto tokens = folder_.path() / "tokens";
    std::filesystem::create_directory(tokens);
    const auto settings = folder_.write("conf", "directories.tokendir = " + tokens.string() + "\n");
    REQUIRE(::setenv("SOFTHSM2_CONF", settings.c_str(), 1) == 0);
    pin_file_ = folder_.write("pin", "5678\n");
    must(std::string("softhsm2-util --module ") + kModule +
         " --init-token --free --label release --so-pin 1234 --pin 5678");
  }

  void import(const Signer& signer, const std::string& label, const std::string& id) const {
    must(std::string("softhsm2-util --module ") + kModule + " --import " +
         signer.key_file.string() + " --token release --pin 5678 --label " + label + " --id " + id);
  }

  // The bundle.
  [[nodiscard]] std::string sign(const Signer& signer, const std::string& label) const {
    const std::string bundle = folder_.path() / (label + ".bpfsig");
    must("bpfwarden sign " + std::string(kObjects) + "/xdp_pass.bpf.o --key 'pkcs11:token=release" +
         ";object=" + label + ";type=private' --passphrase-file " + pin_file_.string() +
         " --pkcs11-module " + kModule + " --cert " + signer.certificate_file.string() + " -o " +
         bundle);
    return bundle;
  }

 private:
  static void must(const std::string& command) {
    const Ran ran = run(command);
    INFO(ran.output);
    REQUIRE(ran.status == 0);
  }

  test::TempDir folder_;
  std::filesystem::path pin_file_;
};

}  // namespace

TEST_CASE(
    "allow_bundle_signed_by_a_key_in_a_token",
    "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const Token token;
  token.import(warden.netops(), "team", "01");
  token.import(warden.stranger(), "stranger", "02");
  const Ran admitted = run("bpfwarden run " + token.sign(warden.netops(), "team"));
  INFO(admitted.output);
  CHECK(admitted.status == 0);
  const Ran refused = run("bpfwarden run " + token.sign(warden.stranger(), "stranger") +
                          " --keyring " + std::to_string(warden.stranger().ring));
  CHECK(refused.status == 1);
  CHECK(refused.output.find("Operation not permitted") != std::string::npos);
}

}  // namespace bpfwarden::vm
