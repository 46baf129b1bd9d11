// What `doctor --fix` changes, in folders made for it.
#include "loader/rollout/boot_options.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/keyring/test_keys.h"

using namespace bpfwarden;
using namespace bpfwarden::loader;

namespace {

std::string text_of_file(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("the option adds bpf to the modules that are active") {
  CHECK(lsm_option("lockdown,yama") == "lsm=lockdown,yama,bpf");
  CHECK(lsm_option("lockdown,bpf,yama").empty());
  CHECK(lsm_option("").empty());
}

TEST_CASE("each boot loader's file is changed where it is, with a copy kept") {
  const test::TempDir root;
  const std::filesystem::path at = root.path();
  for (const char* folder : {"etc/default", "etc/kernel", "boot/loader/entries"})
    std::filesystem::create_directories(at / folder);
  std::ofstream(at / "etc/default/grub") << "GRUB_CMDLINE_LINUX=\"quiet\"\n";
  std::ofstream(at / "etc/kernel/cmdline") << "root=/dev/vda lsm=yama quiet\n";
  std::ofstream(at / "boot/loader/entries/a.conf") << "title A\noptions root=/dev/vda\nlinux /a\n";
  const auto changes = boot_changes(at.string(), "lsm=yama,bpf");
  REQUIRE(changes.size() == 3);
  for (const BootChange& change : changes) REQUIRE(write_boot_change(change).has_value());
  CHECK(text_of_file(at / "etc/default/grub") == "GRUB_CMDLINE_LINUX=\"quiet\"\n");
  CHECK(text_of_file(at / "etc/default/grub.d/50-bpfwarden.cfg")
            .ends_with("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX lsm=yama,bpf\"\n"));
  CHECK(text_of_file(at / "etc/kernel/cmdline") == "root=/dev/vda quiet lsm=yama,bpf\n");
  CHECK(text_of_file(at / "etc/kernel/cmdline.before-bpfwarden") ==
        "root=/dev/vda lsm=yama quiet\n");
  CHECK(text_of_file(at / "boot/loader/entries/a.conf") ==
        "title A\noptions root=/dev/vda lsm=yama,bpf\nlinux /a\n");
  CHECK(boot_changes(at.string(), "lsm=yama,bpf").empty());
}
