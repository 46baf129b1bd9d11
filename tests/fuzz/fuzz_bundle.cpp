// Any bytes: decode() ends in a bundle that encodes to the very same bytes, or in an error.
#include <cstdlib>

#include "keyring/bundle.h"
#include "keyring/cms.h"

using namespace bpfwarden::keyring;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bundle = decode({data, size});
  if (!bundle) {
    if (bundle.error().message.empty()) std::abort();
    return 0;
  }
  // Sections that are not known and not critical are skipped, so the file may hold more.
  const auto again = encode(*bundle);
  if (!again || again->size() > size || decode(*again).value() != *bundle) std::abort();
  (void)inspect_cms(bundle->signature);
  return 0;
}
