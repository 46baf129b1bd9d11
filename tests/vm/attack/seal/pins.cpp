// Attacks on the pins, and on the mounts above them. What takes all links away is in
// gone_test.cpp.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPin = "a pin removed or renamed";
constexpr const char* kFolder = "the folder of the pins removed or renamed";
constexpr const char* kHidden = "the pins hidden";
constexpr const char* kKept = "a pin kept";
constexpr const char* kBpffs = "/sys/fs/bpf";
constexpr const char* kOther = "/sys/fs/bpf/other";
constexpr const char* kHardLink = "/sys/fs/bpf/hard-link";
constexpr const char* kSecondPin = "/sys/fs/bpf/second-pin";

std::string folder_of(const Victim& victim) {
  return victim.pins.substr(0, victim.pins.size() - 1);
}

// Somebody else's, there to be put in a pin's place.
void pin_another() {
  ::unlink(kOther);
  const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, 8, 1, nullptr));
  (void)bpf_obj_pin(map.get(), kOther);
}

int rename_to(const std::string& from, const std::string& to, unsigned flags = 0) {
  return error_of(static_cast<int>(
      ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags)));
}

int rename_over(Victim& victim) {
  pin_another();
  const int error = rename_to(kOther, victim.map_pin("programs"));
  ::unlink(kOther);
  return error;
}

int exchange(Victim& victim) {
  pin_another();
  const int error = rename_to(kOther, victim.map_pin("programs"), RENAME_EXCHANGE);
  ::unlink(kOther);
  return error;
}

int exchange_folder(Victim& victim) {
  ::mkdir(kOther, 0700);
  const int error = rename_to(kOther, folder_of(victim), RENAME_EXCHANGE);
  if (error == 0) (void)rename_to(kOther, folder_of(victim), RENAME_EXCHANGE);
  ::rmdir(kOther);
  return error;
}

int unlink_by_int_at(Victim& victim) {
  const Fd folder(::open(victim.pins.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return error_of(::unlinkat(folder.get(), "map_programs", 0));
}

// From where the file system is mounted as well.
int unlink_by_another_mount(Victim& victim) {
  constexpr const char* kMount = "/tmp/bpffs";
  ::mkdir(kMount, 0700);
  if (::mount(kBpffs, kMount, nullptr, MS_BIND, nullptr) != 0) return errno;
  const std::string pin = kMount + victim.link_pin().substr(std::string(kBpffs).size());
  const int error = error_of(::unlink(pin.c_str()));
  ::umount2(kMount, MNT_DETACH);
  return error;
}

int unlink_in_a_namespace(Victim& victim) {
  return in_child([&] {
    return ::unshare(CLONE_NEWNS) != 0 ? errno : error_of(::unlink(victim.link_pin().c_str()));
  });
}

int unlink_as_tree(Victim& victim) {
  const Fd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, kBpffs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree) return errno;
  const std::string pin = victim.link_pin().substr(std::string(kBpffs).size() + 1);
  return error_of(::unlinkat(tree.get(), pin.c_str(), 0));
}

// ---- What stays possible, and changes nothing ---------------------------------------------------

int keep_by_a_hard_link(Victim& victim) {
  const int error = error_of(::link(victim.link_pin().c_str(), kHardLink));
  ::unlink(kHardLink);
  return error;
}

int pin_elsewhere(Victim& victim) {
  const Fd link(bpf_obj_get(victim.link_pin().c_str()));
  const int error = error_of(bpf_obj_pin(link.get(), kSecondPin));
  ::unlink(kSecondPin);
  return error;
}

int forbid_to_open(Victim& victim) {
  if (::chmod(folder_of(victim).c_str(), 0) != 0) return errno;
  return error_of(::chmod(folder_of(victim).c_str(), 0700));
}

int mount_over(const char* where, const char* type) {
  if (::mount("over", where, type, 0, nullptr) != 0) return errno;
  return 0;
}

int hide_in(const std::string& where, const char* type) {
  const int error = mount_over(where.c_str(), type);
  if (error != 0) return error;
  const int loaded = load(Load{}).error;
  ::umount2(where.c_str(), 0);
  return loaded;
}

int move_mount_away() {
  constexpr const char* kAway = "/tmp/away";
  ::mkdir(kAway, 0700);
  return in_own_mounts([&] {
    if (::mount(kBpffs, kAway, nullptr, MS_MOVE, nullptr) != 0) return errno;
    return load(Load{}).error;
  });
}

// Elsewhere it stays mounted.
int unmount_in_a_namespace() {
  return in_own_mounts([] {
    if (::umount2("/sys", MNT_DETACH) != 0) return errno;
    return load(Load{}).error;
  });
}

int remount_to_read() {
  if (::mount(nullptr, kBpffs, nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return errno;
  const int loaded = load(Load{}).error;
  return ::mount(nullptr, kBpffs, nullptr, MS_REMOUNT, nullptr) != 0 ? errno : loaded;
}

}  // namespace

SealAttacks attacks_on_pins() {
  const auto alone = [](int (*attempt)()) -> TryOn { return [=](Victim&) { return attempt(); }; };
  return {
      {"unlink the pin of a link", kPin, EPERM,
       [](Victim& victim) { return error_of(::unlink(victim.link_pin().c_str())); }},
      {"unlink the pin of a map", kPin, EPERM,
       [](Victim& victim) { return error_of(::unlink(victim.map_pin("programs").c_str())); }},
      {"unlink a pin from its folder", kPin, EPERM, unlink_by_int_at},
      {"unlink a pin in another mount", kPin, EPERM, unlink_by_another_mount},
      {"unlink a pin in another mount namespace", kPin, EPERM, unlink_in_a_namespace},
      {"unlink a pin in a mount that is nowhere", kPin, EPERM, unlink_as_tree},
      {"rename a pin", kPin, EPERM,
       [](Victim& victim) { return rename_to(victim.link_pin(), victim.pins + "renamed"); }},
      {"rename a pin into another folder", kPin, EPERM,
       [](Victim& victim) { return rename_to(victim.link_pin(), kOther); }},
      {"rename another one over a pin", kPin, EPERM, rename_over},
      {"exchange a pin for another one", kPin, EPERM, exchange},
      {"rename the folder", kFolder, EPERM,
       [](Victim& victim) {
         const int error = rename_to(folder_of(victim), kOther);
         if (error == 0) (void)rename_to(kOther, folder_of(victim));
         return error;
       }},
      {"exchange the folder", kFolder, EPERM, exchange_folder},
      {"remove the folder", kFolder, ENOTEMPTY,
       [](Victim& victim) { return error_of(::rmdir(folder_of(victim).c_str())); }, On::sealed},
      {"keep a link by a hard link to its pin", kKept, 0, keep_by_a_hard_link},
      {"keep a link by a pin elsewhere", kKept, 0, pin_elsewhere},
      {"forbid to look into the folder", kHidden, 0, forbid_to_open},
      {"a mount over the folder, and an unsigned load", kHidden, EPERM,
       [](Victim& victim) { return hide_in(folder_of(victim), "tmpfs"); }},
      {"another BPF file system over it, and an unsigned load", kHidden, EPERM,
       [](Victim&) { return hide_in(kBpffs, "bpf"); }},
      {"the mount moved away, and an unsigned load", kHidden, EPERM, alone(move_mount_away)},
      {"/sys unmounted in a mount namespace, and an unsigned load", kHidden, EPERM,
       alone(unmount_in_a_namespace)},
      {"the mount made read-only, and an unsigned load", kHidden, EPERM, alone(remount_to_read)},
  };
}

}  // namespace bpfwarden::vm
