// What a sealed host does not hold (docs/threat-model.md).
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/seal_host.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

// As a reader who is past all that was ever written: there is room for nothing any more.
void read_past_the_end(const char* ring) {
  const Fd map(bpf_obj_get(ring));
  REQUIRE(map);
  const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  REQUIRE(page != MAP_FAILED);
  std::atomic_ref<unsigned long>(*static_cast<unsigned long*>(page)) = 1UL << 40;
  ::munmap(page, size);
}

bool tells_of_a_load(Warden& warden) {
  const auto events = warden.events();
  return std::ranges::any_of(events, [](const auto& one) { return one["hook"] == "load"; });
}

}  // namespace

TEST_CASE("attack_seal_take_the_room_of_denials_away",
          "[vm][attack][not-held][bare][kernel][kernel:signature_attr]") {
  SealedHost host;
  (void)host.warden().events();
  CHECK(host.load_unsigned() == EPERM);
  CHECK(tells_of_a_load(host.warden()));
  read_past_the_end("/sys/fs/bpf/bpfwarden/map_denials");
  CHECK(host.load_unsigned() == EPERM);  // as before, and nobody hears of it
  const auto events = host.warden().events();
  for (const auto& one : events) std::printf("%s\n", one.dump().c_str());
  CHECK_FALSE(tells_of_a_load(host.warden()));
  std::printf("%s\n", run("bpfwarden metrics | grep -i 'lost\\|dropped'; bpfwarden status").output.c_str());
}

}  // namespace bpfwarden::vm
