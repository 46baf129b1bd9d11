// bpfwarden's own maps, programs, links and pins, reached for by somebody else: root can, and is
// told of. Nothing of it is refused.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

const std::string kOwnPins = "/sys/fs/bpf/bpfwarden/";
constexpr const char* kNothing = "";

// Of this test's own process, and of what it has started: all but the manager.
std::vector<nlohmann::json> touches(Warden& warden) {
  std::vector<nlohmann::json> events = events_of_hook(warden, "own-object");
  std::erase_if(events, [](const auto& one) { return one["cause"] != "own-object-touched"; });
  return events;
}

void check_is_told(Warden& warden, const std::string& object, const std::string& route) {
  CAPTURE(object, route);
  const auto told = touches(warden);
  REQUIRE(told.size() == 1);
  CHECK(told[0]["object"] == object);
  CHECK(told[0]["route"] == route);
  CHECK(told[0]["refused"] == false);
  CHECK(told[0]["pid"] == ::getpid());
  CHECK(told[0]["comm"] == "vm_tests");
  CHECK(told[0]["uid"] == 0);
}

uint32_t map_id(const Fd& map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_map_get_info_by_fd(map.get(), &info, &size) == 0);
  return info.id;
}

Fd opened_to_read(const std::string& pin) {
  struct bpf_obj_get_opts options = {};
  options.sz = sizeof(options);
  options.file_flags = BPF_F_RDONLY;
  return Fd(bpf_obj_get_opts(pin.c_str(), &options));
}

Fd read_by_number(uint32_t id) {
  struct bpf_get_fd_by_id_opts options = {};
  options.sz = sizeof(options);
  options.open_flags = BPF_F_RDONLY;
  return Fd(bpf_map_get_fd_by_id_opts(id, &options));
}

// Nothing is there to be told of, and nobody who would.
const Control without_hooks([] {
  const Fd map = make_map(BPF_MAP_TYPE_ARRAY, 4);
  return bpf_obj_pin(map.get(), "/sys/fs/bpf/somebodys") == 0 &&
         Fd(bpf_map_get_fd_by_id(map_id(map))) && ::unlink("/sys/fs/bpf/somebodys") == 0;
});

void check_still_decides() { CHECK(load({}).error == EPERM); }

void try_maps(Warden& warden) {
  const Fd control(bpf_obj_get((kOwnPins + "map_control").c_str()));
  REQUIRE(control);
  check_is_told(warden, "map control", "writable-by-pin");
  const uint32_t id = map_id(control);
  REQUIRE(Fd(bpf_map_get_fd_by_id(id)));
  check_is_told(warden, "map control", "writable-by-number");
  REQUIRE(Fd(bpf_map_get_fd_by_id(id)));  // each is told of
  check_is_told(warden, "map control", "writable-by-number");

  // What tools read.
  REQUIRE(opened_to_read(kOwnPins + "map_control"));
  REQUIRE(read_by_number(id));
  CHECK(touches(warden).empty());
  REQUIRE(opened_to_read(kOwnPins + "map_denied_second"));
  check_is_told(warden, "map denied_second", "by-pin");
}

void try_programs_and_links(Warden& warden) {
  const Fd link(bpf_obj_get((kOwnPins + "link_warden_prog").c_str()));
  REQUIRE(link);
  check_is_told(warden, "link warden_prog", "by-pin");
  REQUIRE(Fd(bpf_link_get_fd_by_id(link_id(link))));
  check_is_told(warden, "link warden_prog", "by-number");
  const Fd program(bpf_prog_get_fd_by_id(linked_program(link)));
  REQUIRE(program);
  const auto told = touches(warden);
  REQUIRE(told.size() == 1);
  CHECK(told[0]["object"] == "program warden_prog");
  CHECK(told[0]["route"] == "by-number");
  CHECK(told[0]["program_id"] == linked_program(link));

  // Who only looks is told of once for each kind, not for each object.
  for (const char* other : {"link_warden_prog_load", "link_warden_bpf"})
    CHECK(Fd(bpf_obj_get((kOwnPins + other).c_str())));
  CHECK(touches(warden).empty());
  const Fd types(bpf_btf_get_fd_by_id([&] {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
    return info.btf_id;
  }()));
  REQUIRE(types);
  check_is_told(warden, "BTF", "by-number");
}

void try_pins(Warden& warden) {
  const std::string pin = kOwnPins + "map_allowed_second", moved = kOwnPins + "moved";
  REQUIRE(std::rename(pin.c_str(), moved.c_str()) == 0);
  check_is_told(warden, "map allowed_second", "pin-renamed");
  REQUIRE(std::rename(moved.c_str(), pin.c_str()) == 0);
  check_is_told(warden, "map allowed_second", "pin-renamed");
  REQUIRE(std::rename("/sys/fs/bpf/bpfwarden", "/sys/fs/bpf/elsewhere") == 0);
  REQUIRE(std::rename("/sys/fs/bpf/elsewhere", "/sys/fs/bpf/bpfwarden") == 0);
  const auto told = touches(warden);
  REQUIRE(told.size() == 2);
  CHECK(told[0]["object"] == "folder of the pins");
  CHECK(told[0]["route"] == "pin-renamed");

  REQUIRE(::unlink(pin.c_str()) == 0);
  check_is_told(warden, "map allowed_second", "pin-removed");
}

}  // namespace

TEST_CASE("attack_reach_for_own_objects_unseen", "[vm][attack][control]") {
  without_hooks.must_have_worked();
  Warden warden;
  for (const char* mode : {"enforce", "audit"}) {
    CAPTURE(mode);
    warden.apply(mode, kNothing);
    (void)warden.events();
    try_maps(warden);
    try_programs_and_links(warden);
  }
  warden.apply("enforce", kNothing);
  (void)warden.events();
  check_still_decides();
  try_pins(warden);
  check_still_decides();

  // The manager's own work is nothing to tell of.
  for (const char* work : {"status", "inventory", "metrics", "why", "doctor"})
    (void)run(std::string("bpfwarden ") + work);
  CHECK(touches(warden).empty());
}

}  // namespace bpfwarden::vm
