// Where file systems are mounted, from /proc/PID/mountinfo.
#include "loader/policies/host_mounts.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace bpfwarden::loader {
namespace {

std::string path_of(const __u64 (&words)[BW_NAME_WORDS], size_t length) {
  return {reinterpret_cast<const char*>(words), length};
}

// `DEVICE ROOT POINT`, one a line.
std::string seen(const std::string& mountinfo) {
  std::string text;
  for (const bw_mount& mount : visible_mounts(mountinfo))
    text += std::to_string(mount.device) + " " + path_of(mount.root, mount.root_length) + " " +
            path_of(mount.point, mount.point_length) + "\n";
  return text;
}

}  // namespace

TEST_CASE("mounts are listed by device, root and folder, the shortest folders first") {
  CHECK(seen("30 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n"
             "31 30 254:2 / /home/far rw - ext4 /dev/vda2 rw\n"
             "32 30 0:22 /sub /srv rw - btrfs /dev/vdb rw\n") ==
        "266338305  \n22 /sub /srv\n266338306  /home/far\n");
  CHECK(seen("30 1 8:1 / /with\\040space rw - ext4 /dev/sda1 rw\n") == "8388609  /with space\n");
}

TEST_CASE("what is mounted over is not listed") {
  CHECK(seen("30 1 8:1 / / rw - a b rw\n31 30 8:2 / /x/y rw - a b rw\n"
             "32 30 8:3 / /x rw - a b rw\n33 32 8:4 / /x rw - a b rw\n"
             "34 30 8:5 / /xy rw - a b rw\n") == "8388609  \n8388612  /x\n8388613  /xy\n");
}

TEST_CASE("lines that are none, and paths that are too long, are left out") {
  CHECK(seen("nothing\n\n30 1 8 / / rw\n").empty());
  CHECK(seen("30 1 8:1 / /" + std::string(127, 'a') + " rw - a b rw\n").empty());
  CHECK(seen("30 1 8:1 / /" + std::string(126, 'a') + " rw - a b rw\n").size() > 127);
}

}  // namespace bpfwarden::loader
