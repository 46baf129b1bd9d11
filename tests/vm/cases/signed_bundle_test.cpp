// From `sign` to `run`: what is signed on one machine is what another one loads.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/verified.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kOptional = "/opt/bpfwarden/places/optional.bpf.o";
constexpr const char* kFolder = "/sys/fs/bpf/signed";

bpf_prog_info pinned(const std::string& name) {
  const Fd program(bpf_obj_get((std::string(kFolder) + "/" + name).c_str()));
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
  return info;
}

void must(const std::string& command) {
  const Ran ran = run(command);
  INFO(command << ":\n" << ran.output);
  REQUIRE(ran.status == 0);
}

// A key of `keys new --csr`, whose certificate `ca` issues as docs/signing.md says.
std::string issued_by(const Signer& ca, const test::TempDir& folder) {
  const std::string at = folder.path().string();
  must("cd " + at + " && bpfwarden keys new leaf --csr && openssl x509 -req -in leaf.csr -CA " +
       ca.certificate_file.string() + " -CAkey " + ca.key_file.string() +
       " -CAcreateserial -days 9 -sha256 -out leaf.pem -extfile " +
       folder
           .write("extensions",
                  "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
                  "keyUsage=critical,digitalSignature\n")
           .string());
  return at + "/leaf";
}

}  // namespace

TEST_CASE("allow_each_program_of_a_bundle_under_its_own_name",
          "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
          "maps]") {
  Warden warden;
  std::filesystem::remove_all(kFolder);
  warden.apply("enforce",
               "[[rules]]\nname = \"all\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  must(std::string("bpfwarden sign ") + kOptional + " -o /tmp/optional.bundle " +
       warden.netops().options());
  const Ran ran =
      run_as_verified(warden, "/tmp/optional.bundle", std::string("--json --pin ") + kFolder);
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  const auto programs = nlohmann::json::parse(ran.output)["programs"];
  REQUIRE(programs.size() == 2);
  for (const auto& program : programs) {
    const bpf_prog_info info = pinned(program["program"]);
    CHECK(program["program_id"] == info.id);
    CHECK(program["program"] == std::string(info.name));
  }
  std::filesystem::remove_all(kFolder);
}

TEST_CASE("allow_a_bundle_of_who_was_issued_a_certificate",
          "[vm][keyring][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
          "maps]") {
  Warden warden;
  const Signer ca("ca", {.ca = true});
  const test::TempDir folder;
  const std::string leaf = issued_by(ca, folder);
  must(std::string("bpfwarden sign ") + kObjects + "/xdp_pass.bpf.o -o /tmp/issued.bundle --key " +
       leaf + ".key --cert " + leaf + ".pem");
  const auto under = [&](const std::string& key) {
    warden.apply("enforce", "[keys.lab]\n" + key +
                                "\n[[rules]]\nname = \"all\"\nallow = [\"xdp\"]\nsigned-by = "
                                "[\"lab\"]\n");
    INFO(key);
    return run_as_verified(warden, "/tmp/issued.bundle").status;
  };
  const std::string issuer = "issuer = [\"" + ca.certificate_file.string() + "\"]";
  CHECK(under(issuer) == 0);
  CHECK(under("certificates = [\"" + leaf + ".pem\"]") == 0);
  CHECK(under("issuer = [\"" + warden.stranger().certificate_file.string() + "\"]") == 1);
  CHECK(under(issuer + "\nrevoked = [\"" + leaf + ".pem\"]") == 1);
}

}  // namespace bpfwarden::vm
