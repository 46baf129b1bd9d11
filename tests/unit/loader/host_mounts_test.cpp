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
std::string seen(const std::string& mountinfo, const std::string& next_root = "") {
  std::string text;
  for (const bw_mount& mount : visible_mounts(mountinfo, next_root))
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

// Else /usr/lib/systemd/systemd would be /root/usr/lib/systemd/systemd until somebody looks again.
TEST_CASE("in an initramfs the real root's files have the names that they will have") {
  const std::string initramfs =
      "1 1 0:2 / / rw - rootfs rootfs rw\n20 1 0:21 / /sys rw - sysfs sysfs rw\n"
      "30 1 254:0 / /root rw - ext4 /dev/vda rw\n31 30 254:1 / /root/usr rw - ext4 /dev/vdb rw\n"
      "32 1 0:30 / /rooted rw - tmpfs tmpfs rw\n33 1 0:2 /usr /usr ro - rootfs rootfs rw\n"
      "34 1 0:31 / /run rw - tmpfs tmpfs rw\n35 1 0:32 / /runner rw - tmpfs tmpfs rw\n";
  CHECK(seen(initramfs, "/root") == "266338304  \n21  /sys\n266338305  /usr\n31  /run\n");
  CHECK(seen(initramfs, "/sysroot") == seen(initramfs));
  CHECK(seen(initramfs, "/root/") == seen(initramfs));
}

}  // namespace bpfwarden::loader
