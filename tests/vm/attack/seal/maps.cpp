// Attacks on what bpfwarden decides by: its maps, by number, by pin and by descriptors of before.
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kOpen = "a descriptor of a map";
constexpr const char* kEarlier = "a descriptor of before the seal";

int opened(const Fd& map) { return map ? 0 : errno; }

// A key and a value that fit, and that are nobody's.
struct Entry64 {
  std::vector<uint8_t> key, value;

  explicit Entry64(const Fd& map) {
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_map_get_info_by_fd(map.get(), &info, &size) != 0) return;
    key.resize(info.key_size);
    value.resize((info.value_size + 7) / 8 * 8 * 64);  // for each processor, if need be
  }
};

int write_to_map(const Fd& map) {
  Entry64 entry(map);
  return error_of(bpf_map_update_elem(map.get(), entry.key.data(), entry.value.data(), BPF_ANY));
}

// There, so that it can be taken away. What is refused here is refused there.
void put_in(const Fd& map) { (void)write_to_map(map); }

int remove_from(const Fd& map) {
  put_in(map);
  return error_of(bpf_map_delete_elem(map.get(), Entry64(map).key.data()));
}

int take_from(const Fd& map) {
  put_in(map);
  Entry64 entry(map);
  return error_of(bpf_map_lookup_and_delete_elem(map.get(), entry.key.data(), entry.value.data()));
}

int write_many(const Fd& map) {
  Entry64 entry(map);
  uint32_t count = 1;
  return error_of(
      bpf_map_update_batch(map.get(), entry.key.data(), entry.value.data(), &count, nullptr));
}

int remove_many(const Fd& map) {
  put_in(map);
  uint32_t count = 1;
  return error_of(bpf_map_delete_batch(map.get(), Entry64(map).key.data(), &count, nullptr));
}

int take_many(const Fd& map) {
  put_in(map);
  std::vector<uint8_t> keys(8 * 4096), values(4096 * 4096);
  uint32_t count = 1, next = 0;
  const int error = error_of(bpf_map_lookup_and_delete_batch(map.get(), nullptr, &next, keys.data(),
                                                             values.data(), &count, nullptr));
  return error == ENOENT && count == 1 ? 0 : error;  // it was the last one
}

int put_note(Victim& victim) {
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  Entry64 entry(victim.notes);
  const int key = self.get();
  return error_of(bpf_map_update_elem(victim.notes.get(), &key, entry.value.data(), BPF_ANY));
}

// ---- Descriptors that go from one process to another --------------------------------------------

int send_and_write(const Fd& map) {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return errno;
  const Fd from(ends[0]), to(ends[1]);
  char byte = 0;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  *reinterpret_cast<int*>(CMSG_DATA(header)) = map.get();
  if (::sendmsg(from.get(), &message, 0) != 1) return errno;
  if (::recvmsg(to.get(), &message, MSG_CMSG_CLOEXEC) != 1) return errno;
  return write_to_map(Fd(*reinterpret_cast<int*>(CMSG_DATA(CMSG_FIRSTHDR(&message)))));
}

int fetch_and_write(const Fd& map) {
  const Sharer holder(0);  // a copy of this process, with all that it has open
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, holder.pid(), 0)));
  const Fd got(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), map.get(), 0)));
  return got ? write_to_map(got) : errno;
}

// ---- Other ways ---------------------------------------------------------------------------------

int number_by_int80(uint32_t id) {
  bpf_attr& attr = low_attr();
  attr.map_id = id;
  const long made =
      by_int80(357, BPF_MAP_GET_FD_BY_ID, reinterpret_cast<uint64_t>(&attr), sizeof(attr));
  return made < 0 ? static_cast<int>(-made) : opened(Fd(static_cast<int>(made)));
}

int write_by_int80(const Fd& map) {
  Entry64 entry(map);
  struct Low {
    bpf_attr attr;
    uint64_t key[8], value[4096];
  };
  Low& low = low_memory<Low>();
  low.attr.map_fd = static_cast<uint32_t>(map.get());
  low.attr.key = loader::as_u64(low.key);
  low.attr.value = loader::as_u64(low.value);
  const long done =
      by_int80(357, BPF_MAP_UPDATE_ELEM, reinterpret_cast<uint64_t>(&low.attr), sizeof(low.attr));
  return done < 0 ? static_cast<int>(-done) : 0;
}

int with_a_thread(const std::function<int()>& attempt) {
  const Companion thread;
  return attempt();
}

// The pin of a pin, which has not been opened to read.
int pin_elsewhere_and_open(Victim& victim) {
  constexpr const char* kElsewhere = "/sys/fs/bpf/elsewhere";
  const Fd map = map_by_pin(victim.map_pin("programs"), BPF_F_RDONLY);
  if (bpf_obj_pin(map.get(), kElsewhere) != 0) return errno;
  const int error = opened(map_by_pin(kElsewhere, 0));
  ::unlink(kElsewhere);
  return error;
}

int exchange_image(Victim& victim) {
  const Fd other(bpf_map_get_fd_by_id(id_of_map(victim.image)));
  const int number = other.get();
  return error_of(bpf_map_update_elem(victim.generations.get(), &victim.slot, &number, BPF_ANY));
}

int remove_image(Victim& victim) {
  return error_of(bpf_map_delete_elem(victim.generations.get(), &victim.slot));
}

}  // namespace

SealAttacks attacks_on_maps() {
  const auto number = [](Fd Victim::* map, uint32_t flags) -> TryOn {
    return [=](Victim& victim) { return opened(map_by_number(id_of_map(victim.*map), flags)); };
  };
  const auto pin = [](const char* map, uint32_t flags) -> TryOn {
    return [=](Victim& victim) { return opened(map_by_pin(victim.map_pin(map), flags)); };
  };
  const auto with = [](int (*change)(const Fd&), Fd Victim::* map) -> TryOn {
    return [=](Victim& victim) { return change(victim.*map); };
  };
  return {
      {"a map by its number, to write", kOpen, ENOENT, number(&Victim::control, 0)},
      {"a map by its number, only to write", kOpen, ENOENT,
       number(&Victim::programs, BPF_F_WRONLY)},
      {"a map that no tool reads, by its number", kOpen, ENOENT,
       number(&Victim::notes, BPF_F_RDONLY)},
      {"a map by its number, by int 0x80", kOpen, ENOENT,
       [](Victim& victim) { return number_by_int80(id_of_map(victim.control)); }},
      {"a map by its number, beside a thread", kOpen, ENOENT,
       [](Victim& victim) {
         return with_a_thread([&] { return opened(map_by_number(id_of_map(victim.control), 0)); });
       }},
      {"a map by its pin, to write", kOpen, EPERM, pin("control", 0)},
      {"a map by its pin, only to write", kOpen, EPERM, pin("programs", BPF_F_WRONLY)},
      {"a map that no tool reads, by its pin", kOpen, EPERM, pin("notes", BPF_F_RDONLY)},
      {"a map pinned elsewhere, opened from there to write", kOpen, EPERM, pin_elsewhere_and_open},
      {"write the control word", kEarlier, EPERM, with(write_to_map, &Victim::control)},
      {"write the control word, by int 0x80", kEarlier, EPERM,
       with(write_by_int80, &Victim::control)},
      {"write an entry", kEarlier, EPERM, with(write_to_map, &Victim::programs)},
      {"write an entry, beside a thread", kEarlier, EPERM,
       [](Victim& victim) { return with_a_thread([&] { return write_to_map(victim.programs); }); }},
      {"take an entry away", kEarlier, EPERM, with(remove_from, &Victim::programs)},
      {"look an entry up and take it away", kEarlier, EPERM, with(take_from, &Victim::programs)},
      {"write many entries", kEarlier, EPERM, with(write_many, &Victim::programs)},
      {"take many entries away", kEarlier, EPERM, with(remove_many, &Victim::programs)},
      {"look many entries up and take them away", kEarlier, EPERM,
       with(take_many, &Victim::programs)},
      {"write by a descriptor sent by SCM_RIGHTS", kEarlier, EPERM,
       with(send_and_write, &Victim::control)},
      {"write by a descriptor of another process, by pidfd_getfd", kEarlier, EPERM,
       with(fetch_and_write, &Victim::control)},
      {"write by an inherited descriptor", kEarlier, EPERM,
       [](Victim& victim) { return in_child([&] { return write_to_map(victim.control); }); }},
      {"freeze a map by a descriptor", kEarlier, EPERM,
       [](Victim& victim) { return error_of(bpf_map_freeze(victim.programs.get())); }},
      {"write a note into a task, by its pidfd", kEarlier, EPERM, put_note},
      {"put another image into its slot", kEarlier, EPERM, exchange_image},
      {"take the image out of its slot", kEarlier, EPERM, remove_image},
      {"write the image, by its number", kEarlier, EPERM,
       [](Victim& victim) {
         return write_to_map(Fd(bpf_map_get_fd_by_id(id_of_map(victim.image))));
       }},
  };
}

}  // namespace bpfwarden::vm
