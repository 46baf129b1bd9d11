#include "tests/vm/attack/seal/victim.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <keyutils.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "decoy.skel.h"
#include "keyring/kernel_keyring.h"
#include "tests/vm/helpers/handles.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kDecoyPins = "/sys/fs/bpf/decoy/";

Fd program_named(const std::string& name) {
  for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
    Fd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (program && bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0 && info.name == name)
      return program;
  }
  FAIL("no program " << name);
  return {};
}

bpf_prog_info info_of_program(int program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program, &info, &size) == 0);
  return info;
}

// In the first slot that has one.
Fd image_in(const Fd& generations, uint32_t& slot) {
  uint32_t id = 0;
  while (slot < 8 && bpf_map_lookup_elem(generations.get(), &slot, &id) != 0) slot++;
  Fd image(bpf_map_get_fd_by_id(id));
  REQUIRE(image);
  return image;
}

}  // namespace

uint32_t function_of(int program, const char* name) {
  btf* const all = btf__load_from_kernel_by_id(info_of_program(program).btf_id);
  REQUIRE(all != nullptr);
  const int id = btf__find_by_name_kind(all, name, BTF_KIND_FUNC);
  btf__free(all);
  REQUIRE(id > 0);
  return static_cast<uint32_t>(id);
}

Fd root_cgroup() {
  Fd root(::open("/sys/fs/cgroup", O_RDONLY | O_CLOEXEC));
  REQUIRE(root);
  return root;
}

uint32_t id_of_map(const Fd& map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_map_get_info_by_fd(map.get(), &info, &size) == 0);
  return info.id;
}

Fd map_by_number(uint32_t id, uint32_t flags) {
  struct bpf_get_fd_by_id_opts options = {};
  options.sz = sizeof(options);
  options.open_flags = flags;
  return Fd(bpf_map_get_fd_by_id_opts(id, &options));
}

Fd map_by_pin(const std::string& pin, uint32_t flags) {
  struct bpf_obj_get_opts options = {};
  options.sz = sizeof(options);
  options.file_flags = flags;
  return Fd(bpf_obj_get_opts(pin.c_str(), &options));
}

Victim::Victim(const std::string& folder, keyring::KeySerial keyring)
    : pins(folder), ring(keyring) {
  control = map_by_pin(map_pin("control"), 0);
  programs = map_by_pin(map_pin("programs"), 0);
  generations = map_by_pin(map_pin("generations"), 0);
  notes = map_by_pin(map_pin("notes"), 0);
  link = Fd(bpf_obj_get(link_pin().c_str()));
  REQUIRE((control && programs && generations && notes && link));
  program = Fd(bpf_prog_get_fd_by_id(linked_program(link)));
  guard = program_named("guard_bpf");
  types = Fd(bpf_btf_get_fd_by_id(info_of_program(program.get()).btf_id));
  REQUIRE((program && guard && types));
  function = function_of(program.get(), info_of_program(program.get()).name);
  replaceable = function_of(program.get(), "reach_own");
  image = image_in(generations, slot);
}

Decoy::Decoy() {
  std::unique_ptr<decoy_bpf, void (*)(decoy_bpf*)> object(decoy_bpf__open_and_load(),
                                                          decoy_bpf__destroy);
  REQUIRE(object);
  REQUIRE(::mkdir(kDecoyPins, 0700) == 0);
  const auto pin = [](int fd, const std::string& name) {
    REQUIRE(bpf_obj_pin(fd, (kDecoyPins + name).c_str()) == 0);
  };
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object->obj) if (!bpf_map__is_internal(map))
      pin(bpf_map__fd(map), std::string("map_") + bpf_map__name(map));
  object->links.decoy_prog = bpf_program__attach(object->progs.decoy_prog);
  REQUIRE(object->links.decoy_prog != nullptr);
  pin(bpf_link__fd(object->links.decoy_prog), "link_warden_prog");
  struct bpf_prog_attach_opts options = {};
  options.sz = sizeof(options);
  options.flags = BPF_F_ALLOW_MULTI;
  REQUIRE(bpf_prog_attach_opts(bpf_program__fd(object->progs.guard_bpf), root_cgroup().get(),
                               BPF_LSM_CGROUP, &options) == 0);
  const Fd image(bpf_map_create(BPF_MAP_TYPE_ARRAY, nullptr, 4, 8, 1, nullptr));
  const uint32_t slot = 0;
  const int number = image.get();
  REQUIRE(bpf_map_update_elem(bpf_map__fd(object->maps.generations), &slot, &number, 0) == 0);
  const auto ring = ::add_key("keyring", "decoy", nullptr, 0, KEY_SPEC_SESSION_KEYRING);
  REQUIRE((ring > 0 && ::add_key("user", "inside", "1", 1, ring) > 0));
  victim_ = std::make_unique<Victim>(kDecoyPins, ring);
}

Decoy::~Decoy() {
  (void)bpf_prog_detach2(victim_->guard.get(), root_cgroup().get(), BPF_LSM_CGROUP);
  std::filesystem::remove_all(kDecoyPins);
  (void)::keyctl_unlink(victim_->ring, KEY_SPEC_SESSION_KEYRING);
}

}  // namespace bpfwarden::vm
