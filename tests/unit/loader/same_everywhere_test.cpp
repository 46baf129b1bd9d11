// What a signed policy, which is the same on every host, cannot look up there.
#include "loader/signed/same_everywhere.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "loader/policies/policy_file.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {

TEST_CASE("signed policy: what only a host could look up is told") {
  const test::TempDir folder;
  const auto warned = [&](const std::string& action, const std::string& point) {
    const std::string file =
        folder.write("edge.toml",
                     "schema = 1\nname = \"edge\"\nversion = 12\nmode = \"enforce\"\n"
                     "default = \"deny\"\n[[rules]]\nname = \"a\"\n" +
                         action + " = [\"" + point + "\"]\nsignature = \"prog-only\"\n");
    const CheckedPolicy checked = check_policy_file(file);
    REQUIRE(checked.compiled);
    return not_looked_up(checked.compiled->policy).size();
  };
  CHECK(warned("allow", "uprobe//usr/bin/bash:readline") == 1);
  CHECK(warned("allow", "uprobe//usr/bin/bash:readline+8") == 1);
  CHECK(warned("allow", "uprobe//usr/bin/bash:0x4a1f0") == 0);
  CHECK(warned("allow", "uprobe//usr/bin/bash:*") == 0);
  CHECK(warned("deny", "uprobe//usr/bin/bash:readline") == 1);
  CHECK(warned("deny", "kprobe/vfs_read") == 1);
  CHECK(warned("allow", "kprobe/vfs_read") == 0);
  CHECK(warned("deny", "kprobe/*") == 0);
  CHECK(warned("deny", "xdp") == 0);
}

}  // namespace bpfwarden::loader
