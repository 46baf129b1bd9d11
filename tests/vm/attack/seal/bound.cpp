// Attacks on maps through programs that the policy admits: a descriptor that only reads would do,
// for the kernel looks at the map's own flags.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kBound = "a program that binds a map";
constexpr const char* kPinnedIterator = "/sys/fs/bpf/iterator";

template <size_t N>
std::vector<uint8_t> insns_of(const bpf_insn (&insns)[N]) {
  std::vector<uint8_t> bytes(sizeof(insns));
  std::memcpy(bytes.data(), insns, sizeof(insns));
  return bytes;
}

Attempt bound_to(const Fd& map) {
  Load request = Load::packet_filter();
  request.insns = insns_of({{.code = BPF_LD | BPF_IMM | BPF_DW,
                             .dst_reg = BPF_REG_1,
                             .src_reg = BPF_PSEUDO_MAP_FD,
                             .imm = map.get()},
                            {},
                            {.code = BPF_ALU64 | BPF_MOV | BPF_K},
                            {.code = BPF_JMP | BPF_EXIT}});
  return load(request);
}

int bind_it(const Fd& map) { return bound_to(map).error; }

// Writes into each value: the fourth pointer of the context.
Load writing_iterator() {
  Load request = program_of("iter", "bpf_map_elem");
  request.insns = insns_of(
      {{.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_1, .off = 24},
       {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_1, .off = 1},
       {.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_1, .imm = 1},
       {.code = BPF_ALU64 | BPF_MOV | BPF_K},
       {.code = BPF_JMP | BPF_EXIT}});
  return request;
}

Fd iterator_over(const Fd& map) {
  const Attempt program = load(writing_iterator());
  union bpf_iter_link_info over = {};
  over.map.map_fd = static_cast<uint32_t>(map.get());
  struct bpf_link_create_opts options = {};
  options.sz = sizeof(options);
  options.iter_info = &over;
  options.iter_info_len = sizeof(over);
  return Fd(bpf_link_create(program.fd.get(), 0, BPF_TRACE_ITER, &options));
}

int iterate_over(const Fd& map) {
  const Fd link = iterator_over(map);
  return link ? error_of_made(bpf_iter_create(link.get())) : errno;
}

}  // namespace

Fd binding_program(const Fd& map) { return bound_to(map).fd; }

Fd reading_iterator(const Fd& map) {
  const Fd link = iterator_over(map);
  return Fd(link ? bpf_iter_create(link.get()) : -1);
}

std::string pin_iterator_over(const Fd& map) {
  const Fd link = iterator_over(map);
  REQUIRE(link);
  REQUIRE(bpf_obj_pin(link.get(), kPinnedIterator) == 0);
  return kPinnedIterator;
}

namespace {

int open_iterator_over(const Fd& map) {
  const std::string pin = pin_iterator_over(map);
  const int error = error_of_made(::open(pin.c_str(), O_RDONLY | O_CLOEXEC));
  ::unlink(kPinnedIterator);
  return error;
}

// A map of maps that takes this one. No descriptor of the second is needed any more.
Fd outer_of(const Fd& inner) {
  struct bpf_map_create_opts options = {};
  options.sz = sizeof(options);
  options.inner_map_fd = static_cast<uint32_t>(inner.get());
  return Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, nullptr, 4, 4, 1, &options));
}

int bind_what_holds(const Fd& inner) {
  const Fd outer = outer_of(inner);
  const uint32_t key = 0;
  const int value = inner.get();
  if (!outer || bpf_map_update_elem(outer.get(), &key, &value, BPF_ANY) != 0) return errno;
  return bind_it(outer);
}

// It is put there after the program has been loaded.
int bind_what_will_hold(const Fd& inner) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(inner.get(), &info, &size) != 0) return errno;
  struct bpf_map_create_opts options = {};
  options.sz = sizeof(options);
  options.map_flags = info.map_flags;
  const Fd twin(bpf_map_create(static_cast<bpf_map_type>(info.type), nullptr, info.key_size,
                               info.value_size, info.max_entries, &options));
  return twin ? bind_it(outer_of(twin)) : errno;
}

int put_into_another(const Fd& inner) {
  const Fd outer = outer_of(inner);
  const uint32_t key = 0;
  const int value = inner.get();
  return outer ? error_of(bpf_map_update_elem(outer.get(), &key, &value, BPF_ANY)) : errno;
}

Fd to_read(const Victim& victim, const char* map) {
  return map_by_pin(victim.map_pin(map), BPF_F_RDONLY);
}

}  // namespace

SealAttacks attacks_through_programs() {
  const auto by_pin = [](int (*attempt)(const Fd&), const char* map) -> TryOn {
    return [=](Victim& victim) { return attempt(to_read(victim, map)); };
  };
  const auto by_earlier = [](int (*attempt)(const Fd&), Fd Victim::* map) -> TryOn {
    return [=](Victim& victim) { return attempt(victim.*map); };
  };
  return {
      {"load a program that binds a map it may read", kBound, EPERM, by_pin(bind_it, "programs")},
      {"load a program that binds the control word", kBound, EPERM, by_pin(bind_it, "control")},
      {"load a program that binds a map of tasks", kBound, EPERM,
       by_earlier(bind_it, &Victim::notes)},
      {"load a program that binds the images", kBound, EPERM, by_pin(bind_it, "generations")},
      {"an iterator over a map it may read", kBound, EPERM, by_pin(iterate_over, "programs")},
      {"an iterator over the control word", kBound, EPERM,
       by_earlier(iterate_over, &Victim::control)},
      {"an iterator over the image of the policy", kBound, EPERM,
       [](Victim& victim) {
         return iterate_over(Fd(bpf_map_get_fd_by_id(id_of_map(victim.image))));
       }},
      {"a pinned iterator over a map, opened", kBound, EPERM,
       by_pin(open_iterator_over, "programs")},
      {"a pinned iterator over the image, opened", kBound, EPERM,
       by_earlier(open_iterator_over, &Victim::image)},
      {"put a map into another one's map of maps", kBound, 0, by_pin(put_into_another, "programs")},
      {"load a program that binds a map which holds one", kBound, EPERM,
       by_pin(bind_what_holds, "programs")},
      {"the same, with the control word", kBound, EPERM, by_pin(bind_what_holds, "control")},
      {"the same, with the image of the policy", kBound, EPERM,
       by_earlier(bind_what_holds, &Victim::image)},
      {"load a program that binds the image", kBound, EPERM, by_earlier(bind_it, &Victim::image)},
      {"the same, by a descriptor of before", kBound, EPERM,
       by_earlier(bind_what_holds, &Victim::programs)},
      {"the same, beside a thread", kBound, EPERM,
       [](Victim& victim) {
         const Companion thread;
         return bind_what_holds(to_read(victim, "programs"));
       }},
      {"load a program that binds a map which will hold one", kBound, EPERM,
       by_pin(bind_what_will_hold, "programs")},
  };
}

}  // namespace bpfwarden::vm
