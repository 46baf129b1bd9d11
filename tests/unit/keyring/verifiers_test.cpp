#include "keyring/verifiers.h"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::keyring {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

// A root with os-release and a hierarchy.
class Root {
 public:
  Root() { write("etc/os-release", "NAME=Test\nID=\"testos\"\nVERSION_ID='13'\n"); }

  [[nodiscard]] const fs::path& path() const { return folder_.path(); }

  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((path() / file).parent_path());
    std::ofstream(path() / file) << text;
    fs::permissions(path() / file, fs::perms{0644});
    fs::permissions((path() / file).parent_path(), fs::perms{0755});
  }

  void certificate(const std::string& file, const test::CertificateOptions& options = {}) const {
    write(file, test::certificate_pem(test::make_key(options)));
  }

  // The files of what is found, and of what is refused, without the root.
  [[nodiscard]] Names found() const {
    Names names;
    for (const Certificate& one : find_verifiers(path()).certificates)
      names.push_back(fs::relative(one.path, path()));
    return names;
  }
  [[nodiscard]] Names refused() const {
    Names messages;
    for (const Error& one : find_verifiers(path()).refused)
      messages.push_back(one.message.substr(path().string().size() + 1));
    return messages;
  }

 private:
  test::TempDir folder_;
};

constexpr const char* kPlace = "etc/voa/testos/kernel-keyring/bpf/x509/";
std::string in_place(const std::string& file) { return kPlace + file; }

}  // namespace

TEST_CASE("verifiers are found by what the system is called, exactly and by its ID") {
  const Root root;
  CHECK(os_names(root.path()) == Names{"testos:13", "testos"});
  root.write("etc/os-release", "ID=testos\nVERSION_ID=13\nIMAGE_ID=edge\n");
  CHECK(os_names(root.path()) == Names{"testos:13::edge", "testos"});
  root.write("etc/os-release", "ID=../etc\n");
  CHECK(os_names(root.path()) == Names{"linux"});
  root.write("etc/os-release", "NAME=nobody\n");
  CHECK(os_names(root.path()) == Names{"linux"});
}

TEST_CASE("every copy of a verifier counts, once, and a mask hides its name everywhere") {
  const Root root;
  CHECK(root.found().empty());
  root.certificate(in_place("a-certificate.pem"));
  root.certificate(in_place("b-certificate.pem"));
  root.certificate("usr/share/voa/testos/kernel-keyring/bpf/x509/a-certificate.pem");
  root.certificate("usr/share/voa/testos:13/kernel-keyring/bpf/x509/c-certificate.pem");
  root.certificate("run/voa/testos/trust-anchor-kernel-keyring/bpf/x509/ca-certificate.pem",
                   {.ca = true, .key_usage = "critical,keyCertSign"});
  root.certificate("etc/voa/other/kernel-keyring/bpf/x509/d-certificate.pem");
  root.certificate("etc/voa/testos/kernel-keyring/dm-verity/x509/e-certificate.pem");
  root.certificate(in_place("f.pem"));
  root.certificate(in_place("-certificate.pem"));
  CHECK(root.found() ==
        Names{"usr/share/voa/testos:13/kernel-keyring/bpf/x509/c-certificate.pem",
              in_place("a-certificate.pem"), in_place("b-certificate.pem"),
              "usr/share/voa/testos/kernel-keyring/bpf/x509/a-certificate.pem",
              "run/voa/testos/trust-anchor-kernel-keyring/bpf/x509/ca-certificate.pem"});
  CHECK(root.refused().empty());
  fs::copy(root.path() / in_place("b-certificate.pem"),
           root.path() / "usr/share/voa/testos/kernel-keyring/bpf/x509/z-certificate.pem");
  CHECK(root.found().size() == 5);  // the same certificate
  fs::create_directories(root.path() / "run/voa/testos/kernel-keyring/bpf/x509");
  fs::create_symlink("/dev/null",
                     root.path() / "run/voa/testos/kernel-keyring/bpf/x509/a-certificate.pem");
  CHECK(root.found().size() == 3);
}

TEST_CASE("a certificate that is not for signing code is refused, with its file") {
  const Root root;
  root.certificate(in_place("code-certificate.pem"),
                   {.key_usage = "digitalSignature", .extended_key_usage = "codeSigning"});
  root.certificate(in_place("any-certificate.pem"), {.extended_key_usage = "anyExtendedKeyUsage"});
  CHECK(root.found().size() == 2);
  root.certificate(in_place("tls-certificate.pem"), {.extended_key_usage = "serverAuth"});
  root.certificate(in_place("usage-certificate.pem"), {.key_usage = "keyEncipherment"});
  root.certificate(in_place("ca-certificate.pem"), {.ca = true, .key_usage = "keyCertSign"});
  root.write(in_place("text-certificate.pem"), "no certificate\n");
  root.write(in_place("two-certificate.pem"),
             test::certificate_pem(test::make_key({})) + test::certificate_pem(test::make_key({})));
  CHECK(root.found().size() == 2);
  const Names refused = root.refused();
  REQUIRE(refused.size() == 5);
  CHECK(refused[0] == in_place("ca-certificate.pem: its key is not for signatures (keyUsage)"));
  CHECK(refused[1].starts_with(in_place("text-certificate.pem: ")));
  CHECK(refused[2] ==
        in_place("tls-certificate.pem: its key is not for signing code (extendedKeyUsage)"));
  CHECK(refused[3] == in_place("two-certificate.pem: more than one certificate"));
  CHECK(refused[4] == in_place("usage-certificate.pem: its key is not for signatures (keyUsage)"));
}

TEST_CASE("what others may write, or what leads out of the hierarchy, is refused") {
  const Root root;
  root.certificate(in_place("a-certificate.pem"));
  root.certificate("elsewhere/b-certificate.pem");
  REQUIRE(root.found().size() == 1);
  fs::create_symlink(root.path() / "elsewhere/b-certificate.pem",
                     root.path() / in_place("b-certificate.pem"));
  CHECK(root.found().size() == 1);
  CHECK(root.refused() == Names{in_place("b-certificate.pem: it leads out of the hierarchy")});
  fs::permissions(root.path() / in_place("a-certificate.pem"), fs::perms{0664});
  CHECK(root.found().empty());
  fs::permissions(root.path() / in_place("a-certificate.pem"), fs::perms{0644});
  CHECK(root.found().size() == 1);
  fs::permissions(root.path() / kPlace, fs::perms{0777});
  CHECK(root.found().empty());
}

TEST_CASE("files and folders that are named are read, DER as well") {
  const Root root;
  root.write("x.der", test::certificate_der(test::make_key({})));
  root.certificate("ca.pem", {.ca = true, .key_usage = "keyCertSign"});
  root.certificate("folder/a-certificate.pem");
  root.certificate("folder/b.pem");
  const std::vector<fs::path> named = {root.path() / "x.der", root.path() / "ca.pem",
                                       root.path() / "folder"};
  const Verifiers found = read_verifiers(named);
  CHECK(found.certificates.size() == 3);
  CHECK(found.refused.empty());
  fs::create_directories(root.path() / "empty");
  const std::vector<fs::path> wrong = {root.path() / "none.pem", root.path() / "empty"};
  const Verifiers missing = read_verifiers(wrong);
  REQUIRE(missing.refused.size() == 2);
  CHECK(missing.refused[0].message.find("none.pem") != std::string::npos);
  CHECK(missing.refused[0].is_unreadable);
  CHECK(missing.refused[1].message.ends_with("empty: the folder has no certificate"));
  CHECK(missing.refused[1].is_unreadable);
}

}  // namespace bpfwarden::keyring
