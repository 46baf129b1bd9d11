// What is not held (docs/threat-model.md): each still works. A case that fails here is good news:
// what it tries is held now, and the case and its row belong elsewhere.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <fstream>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

std::string allow(const std::string& attach, const std::string& more = "") {
  return "[[rules]]\nname = \"here\"\nallow = [\"" + attach + "\"]\nsignature = \"unsigned\"\n" +
         more;
}

}  // namespace

TEST_CASE("attack_give_a_device_the_name_that_a_rule_allows", "[vm][attack][not-held]") {
  run("ip link del nh0; ip link del nh1; ip link del nh9");
  must("ip link add nh0 type veth peer name nh9");
  Warden warden;
  warden.apply("enforce", allow("xdp@nh1"));
  const Fd program = loaded({});
  const auto index = static_cast<int>(::if_nametoindex("nh0"));
  CHECK(error_of_made(bpf_link_create(program.get(), index, BPF_XDP, nullptr)) == EPERM);
  must("ip link set dev nh0 name nh1");
  const Fd link = make_link(program, index, BPF_XDP);
  must("ip link set dev nh1 name nh0");
  CHECK(must("ip link show dev nh0").find("xdp") != std::string::npos);
  run("ip link del nh0");
}

TEST_CASE("attack_attach_where_nothing_falls_at_attach", "[vm][attack][not-held]") {
  Warden warden;
  warden.apply("enforce", allow("xdp"));
  const Fd program = loaded({});
  const auto index = static_cast<int>(::if_nametoindex("lo"));
  CHECK(error_of_made(bpf_link_create(program.get(), index, BPF_XDP, nullptr)) == 0);
}

TEST_CASE("attack_use_a_program_from_before_the_policy", "[vm][attack][not-held][bare]") {
  run("bpfwarden off");
  const Fd resident = loaded({});
  Warden warden;
  warden.apply("enforce", allow("socket"));
  CHECK(load(Load{}).error == EPERM);
  const auto index = static_cast<int>(::if_nametoindex("lo"));
  CHECK(error_of_made(bpf_link_create(resident.get(), index, BPF_XDP, nullptr)) == 0);
}

TEST_CASE("attack_join_the_cgroup_that_a_rule_names", "[vm][attack][not-held]") {
  Warden warden;
  warden.apply("enforce", allow("xdp", "cgroup = [\"/trusted.service\"]\n"));
  CHECK(load(Load{}).error == EPERM);
  const std::string root = "/sys/fs/cgroup", trusted = root + "/trusted.service";
  ::mkdir(trusted.c_str(), 0755);
  std::ofstream(trusted + "/cgroup.procs") << ::getpid();
  CHECK(load(Load{}).error == 0);
  std::ofstream(root + "/cgroup.procs") << ::getpid();
  ::rmdir(trusted.c_str());
}

TEST_CASE("attack_set_the_clock_back", "[vm][attack][not-held]") {
  Warden warden;
  warden.apply("enforce", allow("xdp", "expires = 2021-01-01\n"));
  CHECK(load(Load{}).error == EPERM);
  timespec now = {};
  REQUIRE(::clock_gettime(CLOCK_REALTIME, &now) == 0);
  const timespec then = {.tv_sec = 1'600'000'000, .tv_nsec = 0};
  REQUIRE(::clock_settime(CLOCK_REALTIME, &then) == 0);
  const int error = load(Load{}).error;
  REQUIRE(::clock_settime(CLOCK_REALTIME, &now) == 0);
  CHECK(error == 0);
}

TEST_CASE("attack_switch_it_off", "[vm][attack][not-held]") {
  Warden warden;
  warden.apply("enforce", allow("socket"));
  CHECK(load(Load{}).error == EPERM);
  CHECK(run("bpfwarden off").status == 0);
  CHECK(load(Load{}).error == 0);
}

}  // namespace bpfwarden::vm
