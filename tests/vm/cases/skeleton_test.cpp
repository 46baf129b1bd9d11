// Signed light skeletons of stock bpftool, both ways: its headers in our hands, and ours in the
// hands of a program that knows nothing of bpfwarden.
#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/verified.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
signature = "prog-used-maps"
)";

std::string header_of(const test::TempDir& folder, const Signer& signer, const std::string& name) {
  const std::string header = folder.path() / (name + ".h");
  const Ran made =
      run("bpftool gen skeleton -L -S -k " + signer.key_file.string() + " -i " +
          signer.certificate_file.string() + " " + kObjects + "/xdp_pass.bpf.o > " + header);
  INFO(made.output);
  REQUIRE(made.status == 0);
  return header;
}

}  // namespace

TEST_CASE(
    "allow_a_header_of_stock_bpftool",
    "[vm][keyring][tools][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
    "folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const test::TempDir folder;
  const Ran admitted = run_as_verified(warden, header_of(folder, warden.netops(), "ours"));
  INFO(admitted.output);
  CHECK(admitted.status == 0);
  const std::string strange = header_of(folder, warden.stranger(), "strange");
  const Ran refused =
      run_as_verified(warden, strange, "--keyring " + std::to_string(warden.stranger().ring));
  CHECK(refused.status == 1);
  CHECK(refused.output.find("Operation not permitted") != std::string::npos);
}

TEST_CASE("allow_a_header_signed_again_as_a_bundle",
          "[vm][keyring][tools][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const test::TempDir folder;
  const std::string header = header_of(folder, warden.stranger(), "strange");
  const std::string bundle = folder.path() / "again.bpfsig";
  const Ran made =
      run("bpfwarden sign " + header + " -o " + bundle + " " + warden.netops().options());
  INFO(made.output);
  REQUIRE(made.status == 0);
  const Ran admitted = run_as_verified(warden, bundle);  // on every kernel: it checks itself, too
  INFO(admitted.output);
  CHECK(admitted.status == 0);
}

TEST_CASE("deny_a_stock_program_until_its_signer_is_trusted",
          "[vm][keyring][tools][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  needs_tools_whose_signatures_hold();
  if (!BW_KERNEL_HAS(signature_attr)) SKIP("stock tools know no place for signatures here");
  Warden warden;
  const std::string stock =
      "[keys.stock]\ncertificates = [\"/opt/bpfwarden/stock/stock.pem\"]\n"
      "[[rules]]\nname = \"stock\"\nallow = [\"xdp\"]\nsigned-by = [\"";
  const auto rules = [&](const std::string& key) {
    return stock + key + "\"]\nsignature = \"prog-used-maps\"\n";
  };
  const auto load = [&] { return run("stock_loader " + std::to_string(warden.ring())); };
  warden.apply("enforce", rules("netops"));
  const Ran refused = load();
  INFO(refused.output);
  CHECK(refused.output == "load: -1\n");
  warden.apply("enforce", rules("stock"));
  const Ran admitted = load();
  INFO(admitted.output);
  CHECK(admitted.output == "load: 0\n");
}

}  // namespace bpfwarden::vm
