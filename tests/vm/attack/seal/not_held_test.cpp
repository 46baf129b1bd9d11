// What a sealed host does not hold (docs/threat-model.md).
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/seal/host.h"

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

bool tells_of_a_load(Warden& warden) { return !events_of_hook(warden, "bpf_prog_load").empty(); }

// As a reader who has told of all that there will ever be.
void mark_all_summaries_told() {
  const Fd summaries = map_by_pin("/sys/fs/bpf/bpfwarden/map_summaries", BPF_F_RDONLY);
  const Fd told(bpf_obj_get("/sys/fs/bpf/bpfwarden/map_summaries_told"));
  REQUIRE((summaries && told));
  std::array<char, 256> key = {};
  const uint64_t count = UINT64_MAX;
  const void* before = nullptr;
  while (bpf_map_get_next_key(summaries.get(), before, key.data()) == 0) {
    CHECK(bpf_map_update_elem(told.get(), key.data(), &count, BPF_ANY) == 0);
    before = key.data();
  }
}

}  // namespace

TEST_CASE("attack_seal_keep_denials_from_being_told",
          "[vm][attack][not-held][bare][kernel][kernel:signature_attr][slow]") {
  SealedHost host;
  (void)host.warden().events();
  CHECK(host.load_unsigned() == EPERM);
  CHECK(tells_of_a_load(host.warden()));
  // What finds no room in the ring is summed up, and told from there.
  read_past_the_end("/sys/fs/bpf/bpfwarden/map_denials");
  CHECK(host.load_unsigned() == EPERM);
  CHECK(tells_of_a_load(host.warden()));
  // That can be marked as told.
  read_past_the_end("/sys/fs/bpf/bpfwarden/map_denials");
  CHECK(host.load_unsigned() == EPERM);
  mark_all_summaries_told();
  CHECK_FALSE(tells_of_a_load(host.warden()));
}

}  // namespace bpfwarden::vm
