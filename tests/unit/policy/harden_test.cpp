// [harden]: read from text, and compiled.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "compiled.h"
#include "fake_reader.h"
#include "policy/language/read_harden.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

TEST_CASE("what [harden] closes is a bit of the image for each") {
  const auto bits_of = [](const std::string& settings) {
    const Policy policy = must_parse(
        "schema = 1\nname = \"a\"\nversion = 1\nmode = \"audit\"\ndefault = \"deny\"\n[harden]\n" +
        settings);
    return Compiled(policy).image().harden;
  };
  const auto bit = [](uint32_t one) { return uint64_t{1} << one; };
  CHECK(bits_of("") == 0);
  CHECK(bits_of("modules = \"allow\"\nkexec = \"allow\"\n") == 0);
  CHECK(bits_of("modules = \"deny\"\n") == bit(BW_HARDENING_MODULES));
  CHECK(bits_of("modules = \"signed\"\n") == bit(BW_LOCKDOWN_MODULE_SIGNATURE));
  CHECK(bits_of("kexec = \"deny\"\ndev-mem = \"deny\"\n") ==
        (bit(BW_HARDENING_KEXEC) | bit(BW_LOCKDOWN_DEV_MEM)));
  CHECK(bits_of("lockdown = [\"integrity\", \"kcore\"]\n") ==
        (bit(BW_HARDENING_INTEGRITY) | bit(BW_LOCKDOWN_KCORE)));
  for (const LockdownReason& reason : lockdown_reasons()) {
    INFO(reason.name);
    CHECK(bits_of("lockdown = [\"" + std::string(reason.name) + "\"]\n") == bit(reason.hardening));
    CHECK(closes(bit(reason.hardening), reason.hardening));
    CHECK(closes(bit(BW_HARDENING_INTEGRITY), reason.hardening) ==
          (reason.hardening < BW_LOCKDOWN_KCORE));
  }
  CHECK(kernel_name({"pci-access", BW_LOCKDOWN_PCI_ACCESS}) == "LOCKDOWN_PCI_ACCESS");
}
