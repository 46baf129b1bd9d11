// The manifest section of a bundle: its descriptive fields as canonical JSON (RFC 8259). Private to
// bundle.cpp; the only place in keyring/ that sees JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "keyring/bundle.h"

namespace bpfwarden::keyring {

// Canonical: keys sorted, no spaces, no key missing. The strings must be printable ASCII, which
// bundle.cpp has checked.
[[nodiscard]] std::string encode_manifest(const Bundle& bundle);

// Fills the fields encode_manifest() writes. Errors: not JSON, a key missing, unknown or twice, a
// wrong type, not canonical. On failure `bundle` is unchanged.
[[nodiscard]] Status decode_manifest(std::string_view text, Bundle& bundle);

}  // namespace bpfwarden::keyring
