#include "loader/rollout/boot.h"

#include <catch2/catch_test_macros.hpp>

namespace bpfwarden::loader {

TEST_CASE("the kernel's command line says off or audit, by the last word that is ours", "[boot]") {
  CHECK(boot_word("") == BootWord::none);
  CHECK(boot_word("quiet splash\n") == BootWord::none);
  CHECK(boot_word("quiet bpfwarden=off\n") == BootWord::off);
  CHECK(boot_word("bpfwarden=audit") == BootWord::audit);
  CHECK(boot_word("bpfwarden=off bpfwarden=audit") == BootWord::audit);
  CHECK(boot_word("bpfwarden=off bpfwarden=") == BootWord::none);
  CHECK(boot_word("bpfwarden=OFF") == BootWord::unknown);
  CHECK(boot_word("bpfwarden=off,audit") == BootWord::unknown);
}

TEST_CASE("what only looks like our parameter is none", "[boot]") {
  CHECK(boot_word("xbpfwarden=off bpfwarden.off bpfwarden off") == BootWord::none);
  CHECK(boot_word("init=/bin/sh -- bpfwarden=off") == BootWord::none);
  CHECK(boot_word("  bpfwarden=off  ") == BootWord::off);
}

}  // namespace bpfwarden::loader
