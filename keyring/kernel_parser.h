// What the kernel's X.509 parser refuses, beyond the key itself: crypto/asymmetric_keys/
// x509_cert_parser.c and x509_public_key.c, and lib/asn1_decoder.c of Linux 7.3. `add_key` says
// only EBADMSG, ENOPKG or EKEYREJECTED then; this says why before.
#pragma once

#include <openssl/x509.h>

#include "base/result.h"

namespace bpfwarden::keyring {

// Errors: the reason for which no kernel takes the certificate into a keyring, with a hint.
[[nodiscard]] Status require_parsed_by_kernel(X509* certificate);

}  // namespace bpfwarden::keyring
