// What `check` says of a certificate is what the kernel says when it is put into a keyring.
#include <catch2/catch_test_macros.hpp>
#include <sstream>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// Makes certificates of many kinds in $1, tries each in both, and prints a line for each that could
// be made: its name, whether a keyring took it, whether `check` did, and what that said.
constexpr const char* kTryAll = R"script(
cd "$1" || exit 1
exec 2>/dev/null
mkdir policy
openssl genrsa -out rsa.key 2048  # once: it takes long under emulation
self() { # NAME REQ-OPTIONS...
  local name=$1; shift
  openssl req -x509 -nodes -days 9 -subj "/CN=$name" -out "$name.pem" "$@"
}
leaf() { # NAME CA KEY X509-OPTIONS...
  local name=$1 ca=$2 key=$3; shift 3
  openssl req -new -key rsa.key -subj "/CN=$name" -out "$name.csr"
  openssl x509 -req -in "$name.csr" -CA "$ca.pem" -CAkey "$key" -CAcreateserial -days 9 -out "$name.pem" "$@"
}
self rsa2048 -key rsa.key -sha256
self rsa512hash -key rsa.key -sha512
self rsa224hash -key rsa.key -sha224
self rsa1hash -key rsa.key -sha1
self rsa5hash -key rsa.key -md5
self rsasha3 -key rsa.key -sha3-256
self rsapss -key rsa.key -sha256 -sigopt rsa_padding_mode:pss
self rsa1032 -newkey rsa:1032 -keyout odd.key -sha256
for curve in P-224 P-256 P-384 P-521 secp256k1 brainpoolP256r1 prime192v1; do
  self "ec-$curve" -keyout "$curve.key" -newkey ec -pkeyopt "ec_paramgen_curve:$curve" -sha256
done
openssl ecparam -name prime256v1 -genkey -conv_form compressed -out compressed.key
self ec-compressed -key compressed.key -sha256
self ecsha1 -key P-256.key -sha1
self ecsha3 -key P-256.key -sha3-256
self ed25519 -newkey ed25519 -keyout ed25519.key
self ed448 -newkey ed448 -keyout ed448.key
openssl ecparam -name SM2 -genkey -out sm2.key
self sm2 -key sm2.key -sm3
self noskid -key rsa.key -sha256 -addext subjectKeyIdentifier=none
self skid200 -key rsa.key -sha256 -addext "subjectKeyIdentifier=$(printf 'ab%.0s' {1..200})"
self skid100 -key rsa.key -sha256 -addext "subjectKeyIdentifier=$(printf 'ab%.0s' {1..100})"
self noca -key rsa.key -sha256 -addext basicConstraints=critical,CA:FALSE
printf '[req]\ndistinguished_name=d\n[d]\n[big]\nnsComment=%s\n' "$(head -c 70000 /dev/zero | tr '\0' x)" >big.cnf
self big -key rsa.key -sha256 -config big.cnf -extensions big
printf '[req]\ndistinguished_name=d\n[d]\n[big]\nnsComment=%s\n' "$(head -c 30000 /dev/zero | tr '\0' x)" >large.cnf
self large -key rsa.key -sha256 -config large.cnf -extensions big
self far -key rsa.key -sha256 -days 36500
leaf by-rsa rsa2048 rsa.key -sha256
leaf by-pss rsa2048 rsa.key -sha256 -sigopt rsa_padding_mode:pss
leaf by-sha1 rsa2048 rsa.key -sha1
leaf by-ed25519 ed25519 ed25519.key
leaf by-sm2 sm2 sm2.key -sm3
leaf by-k1 ec-secp256k1 secp256k1.key -sha256
openssl req -new -key P-256.key -subj /CN=rsa2048 -out namesake.csr
openssl x509 -req -in namesake.csr -CA rsa2048.pem -CAkey rsa.key -CAcreateserial -days 9 -sha256 -out namesake.pem
for file in *.pem; do
  name=${file%.pem}
  openssl x509 -in "$file" -outform DER -out "$name.der" || continue
  kernel=no check=no
  keyctl padd asymmetric "try:$name" @s <"$name.der" >/dev/null && kernel=yes
  printf 'schema = 1\nname = "t"\nversion = 1\nmode = "audit"\ndefault = "deny"\n[keys.k]\ncertificates = ["%s"]\n[[rules]]\nname = "r"\nallow = ["xdp"]\nsigned-by = ["k"]\n' "$PWD/$file" >policy/one.toml
  said=$(bpfwarden check policy/one.toml 2>&1) && check=yes
  echo "$name $kernel $check $(printf %s "$said" | grep -m1 error:)"
done
)script";

}  // namespace

TEST_CASE("allow_exactly_those_certificates_that_the_kernel_takes",
          "[vm][bare][keyring][kernel][kernel:signature_attr][slow]") {
  const test::TempDir folder;
  const std::string script = folder.write("try.sh", kTryAll).string();
  const Ran ran = run("bash " + script + " " + folder.path().string());
  INFO(ran.output);
  std::istringstream lines(ran.output);
  size_t taken = 0, refused = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, kernel, check;
    words >> name >> kernel >> check;
    INFO(line);
    CHECK(kernel == check);
    (kernel == "yes" ? taken : refused)++;
  }
  CHECK(taken >= 8);
  CHECK(refused >= 8);
}

}  // namespace bpfwarden::vm
