// Certificates that issue one another, and signatures that carry them.
#pragma once

#include <string>
#include <vector>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

struct Issued {
  std::string name;
  bool ca = true;
  const char* key_usage = nullptr;  // of the certificate; null: it names none
};

// A key with a certificate that another one issued, or that it signed for itself.
class Link {
 public:
  explicit Link(const Issued& issued);                        // a root
  Link(const Issued& issued, const Link& issuer);             // below `issuer`
  Link(const Link& same_key, const Link& issuer, int again);  // the same key, certified once more

  [[nodiscard]] X509* certificate() const { return cert_.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] keyring::KeySerial make_ring() const;  // that holds it

 private:
  void write(const std::string& name);

  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> cert_;
  std::shared_ptr<test::TempDir> folder_ = std::make_shared<test::TempDir>();
  std::string file_;
};

// `count` CAs, each issued by the one before; the first by `root`. `wrong` of them is described by
// `otherwise` instead.
std::vector<Link> make_chain(const Link& root, size_t count, size_t wrong = SIZE_MAX,
                             const Issued& otherwise = {});

struct Signing {
  std::vector<const Link*> signers;
  std::vector<const Link*> carried;  // certificates beside those of the signers
  bool attributes = false;           // signed ones, among them the time
};

// `request`, signed so, for verification with `ring`.
[[nodiscard]] Load sign(Load request, const Signing& signing, keyring::KeySerial ring);

}  // namespace bpfwarden::vm
