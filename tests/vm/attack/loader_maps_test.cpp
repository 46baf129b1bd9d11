// The maps of a signed loader: written by others before they are frozen, shared by two runs, or
// taken from elsewhere.
#include <bpf/bpf.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include "dawdle.skel.h"
#include "loader/bundles/light_skeleton.h"
#include "loader/bundles/run_bundle.h"
#include "loader/bundles/signed_load.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/shared_memory.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kVerdict = "/opt/bpfwarden/places/verdict";  // as signed: 1
constexpr uint32_t kSigned = 1, kWritten = 2;
constexpr const char* kRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
)";

// Loaded before there is a policy that could refuse it.
class Dawdle {
 public:
  Dawdle() : skeleton_(dawdle_bpf::open_and_load()) {
    if (!skeleton_ || dawdle_bpf::attach(skeleton_.get()) != 0)
      throw std::runtime_error("cannot keep a loader waiting");
    skeleton_->bss->loader = static_cast<uint32_t>(::getpid());
  }

 private:
  std::unique_ptr<dawdle_bpf, decltype([](dawdle_bpf* it) { dawdle_bpf::destroy(it); })> skeleton_;
};

// ---- Another process writes ---------------------------------------------------------------------

struct Tally {
  std::atomic<bool> looks = false, stops = false;
  std::atomic<uint32_t> asked = 0, wrote = 0, not_there = 0, failed_otherwise = 0;
};

// Writes once, if it is the data of the program and the loader has filled it: who is caught writing
// while it freezes the map only makes the loader fail.
void write_verdict(const Fd& map, Tally& tally) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_map_get_info_by_fd(map.get(), &info, &size) != 0) return;
  if (std::strstr(info.name, "rodata") == nullptr || info.value_size != sizeof(kWritten)) return;
  const uint32_t key = 0;
  uint32_t value = 0;
  if (tally.wrote != 0 || bpf_map_lookup_elem(map.get(), &key, &value) != 0) return;
  if (value == kSigned && bpf_map_update_elem(map.get(), &key, &kWritten, BPF_ANY) == 0)
    tally.wrote++;
}

void count_failure(int error, int harmless, Tally& tally) {
  (error == harmless ? tally.not_there : tally.failed_otherwise)++;
}

using Take = void (*)(Tally&);

void take_by_number(Tally& tally) {
  static uint32_t first = 0;
  for (uint32_t next = 0; first == 0 && bpf_map_get_next_id(next, &next) == 0;)
    if (uint32_t after = 0; bpf_map_get_next_id(next, &after) != 0) first = next;
  for (uint32_t id = first; bpf_map_get_next_id(id, &id) == 0;) {
    tally.asked++;
    const Fd map(bpf_map_get_fd_by_id(id));
    if (map)
      write_verdict(map, tally);
    else
      count_failure(errno, ENOENT, tally);
  }
}

void take_from_the_loader(Tally& tally) {
  static const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0)));
  for (int number = 3; number < 40; number++) {
    const Fd taken(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
    tally.asked++;
    if (taken)
      write_verdict(taken, tally);
    else
      count_failure(errno, EBADF, tally);
  }
}

// In a child, for as long as the object lives.
class Writer {
 public:
  Writer(Take take, Tally& tally) : tally_(tally), pid_(::fork()) {
    if (pid_ == 0) {
      run_on(1);
      while (!tally.stops) {
        take(tally);
        tally.looks = true;
      }
      ::_exit(0);
    }
    while (pid_ > 0 && !tally.looks) ::usleep(1000);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    tally_.stops = true;
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  Tally& tally_;
  pid_t pid_;
};

uint32_t verdict_of(const Fd& program) {
  char packet[64] = {};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));
  return bpf_prog_test_run_opts(program.get(), &options) == 0 ? options.retval : 0;
}

// Where nobody verifies, as before 6.18 without bpfwarden.
Fd load_unverified(const keyring::Bundle& bundle) {
  const Skeleton skeleton = {.bundle = bundle, .is_signed = false};
  const Attempt map = skeleton.create_map();
  const Attempt program = skeleton.load_loader(map.fd, 0);
  auto context = loader::loader_context(bundle.maps.size(), bundle.programs.size());
  int fd = -1;  // of the only program, which is the last thing there
  if (loader::run_loader(program.fd, context))
    std::memcpy(&fd, context.data() + context.size() - sizeof(fd), sizeof(fd));
  return Fd(fd);
}

uint32_t load_while(Take take, Tally& tally, const Signer& signer, keyring::KeySerial ring) {
  const keyring::Bundle bundle = sign_object(kVerdict, signer);
  const Writer writer(take, tally);
  run_on(0);
  const auto loaded = loader::load_bundle(bundle, ring);
  if (loaded) return verdict_of(loaded->front().fd);
  return loaded.error().code == ENOPKG ? verdict_of(load_unverified(bundle)) : 0;
}

bool is_written(Take take) {
  const Signer anybody("anybody");
  const Dawdle dawdle;
  const auto tally = make_shared_memory<Tally>();
  return load_while(take, *tally, anybody, anybody.ring) == kWritten && tally->wrote > 0;
}

const Control by_number([] { return is_written(take_by_number); });
const Control from_the_loader([] { return is_written(take_from_the_loader); });

// Enforced: the program is as it was signed, and whoever looked has done no wrong.
void check_is_kept(Take take) {
  const Dawdle dawdle;
  Warden warden;
  warden.apply("enforce", kRules);
  const auto tally = make_shared_memory<Tally>();
  CHECK(load_while(take, *tally, warden.netops(), warden.ring()) == kSigned);
  CHECK(tally->wrote == 0);
  CHECK(tally->asked > 0);
  CHECK(tally->not_there > 0);
  CHECK(tally->failed_otherwise == 0);
  // Where bpfwarden verifies what covers a map, a look at that moment has the loader try again.
  const bool may_be_busy = loader::signatures_go_beside(true);
  auto refused = warden.events();
  std::erase_if(refused, [&](const auto& event) {
    return event["refused"] != true || (may_be_busy && event["errno"] == EBUSY);
  });
  CAPTURE(nlohmann::json(refused).dump());
  CHECK(refused.empty());
}

std::vector<uint32_t> map_ids(const Fd& program) {
  std::vector<uint32_t> ids(8);
  bpf_prog_info info = {};
  info.nr_map_ids = static_cast<uint32_t>(ids.size());
  info.map_ids = loader::as_u64(ids.data());
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
  ids.resize(info.nr_map_ids);
  return ids;
}

// ---- Two runs of one metadata -------------------------------------------------------------------

std::pair<int, int> run_both(const Signer& signer, keyring::KeySerial ring, bool share) {
  const Skeleton skeleton = {.bundle = sign_object("xdp_pass", signer)};
  const Attempt map = skeleton.create_map();
  const Attempt first = skeleton.load_loader(map.fd, ring);
  const Attempt other = share ? Attempt() : skeleton.create_map();
  const Attempt second = skeleton.load_loader(share ? map.fd : other.fd, ring);
  if (first.error != 0 || second.error != 0) return {first.error, second.error};
  const int ran = skeleton.run(first.fd);
  return {ran, skeleton.run(second.fd)};
}

const Control two_runs([] {
  const Signer anybody("anybody");
  return run_both(anybody, anybody.ring, true) == std::pair(0, 0);
});

// ---- A map from elsewhere -----------------------------------------------------------------------

Fd foreign_map() {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = sizeof(uint64_t);
  attr.max_entries = 1;
  return Fd(loader::sys_bpf(BPF_MAP_CREATE, attr));
}

uint32_t id_of(const Fd& map) {
  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  return bpf_map_get_info_by_fd(map.get(), &info, &size) == 0 ? info.id : 0;
}

// Where the loader makes `seen`: the number of the instruction that sets the command.
size_t find_creation(const keyring::Bundle& bundle, const bpf_insn* insns, size_t count) {
  for (size_t i = 0; i + 4 < count; i++) {
    if (insns[i].code != (BPF_ALU64 | BPF_MOV | BPF_K) || insns[i].dst_reg != BPF_REG_1) continue;
    if (insns[i].imm != BPF_MAP_CREATE || insns[i + 1].code != (BPF_LD | BPF_DW | BPF_IMM))
      continue;
    if (insns[i + 4].code != (BPF_JMP | BPF_CALL)) continue;
    const auto at = static_cast<size_t>(insns[i + 2].imm) + offsetof(bpf_attr, map_name);
    if (at + 5 <= bundle.metadata.size() && !std::memcmp(&bundle.metadata[at], "seen", 5)) return i;
  }
  throw std::runtime_error("the loader makes no map `seen`");
}

// A loader that takes a map by its number where it would make one. Somebody trusted has signed it.
Skeleton careless_loader(const Signer& signer, uint32_t map_id) {
  keyring::Bundle bundle = sign_object(kVerdict, signer);
  std::vector<bpf_insn> insns(bundle.insns.size() / sizeof(bpf_insn));
  std::memcpy(insns.data(), bundle.insns.data(), bundle.insns.size());
  const size_t at = find_creation(bundle, insns.data(), insns.size());
  const uint32_t attr[] = {map_id, 0};
  std::memcpy(&bundle.metadata[static_cast<size_t>(insns[at + 2].imm)], attr, sizeof(attr));
  insns[at].imm = BPF_MAP_GET_FD_BY_ID;
  insns[at + 3].imm = sizeof(attr);
  std::memcpy(bundle.insns.data(), insns.data(), bundle.insns.size());
  bundle.signature = signer.sign(keyring::to_be_signed(bundle));
  return {.bundle = bundle};
}

int run_careless(const Signer& signer, keyring::KeySerial ring) {
  const Fd map = foreign_map();
  const Skeleton skeleton = careless_loader(signer, id_of(map));
  const Attempt metadata = skeleton.create_map();
  const Attempt program = skeleton.load_loader(metadata.fd, ring);
  return program.error != 0 ? program.error : skeleton.run(program.fd);
}

const Control careless([] {
  const Signer anybody("anybody");
  return run_careless(anybody, anybody.ring) == 0;
});

}  // namespace

TEST_CASE("attack_write_a_signed_programs_data_by_the_number_of_its_map", "[vm][control][attack]") {
  by_number.must_have_worked();
  check_is_kept(take_by_number);
}

TEST_CASE("attack_write_a_signed_programs_data_by_its_loaders_descriptor",
          "[vm][control][attack]") {
  from_the_loader.must_have_worked();
  check_is_kept(take_from_the_loader);
}

TEST_CASE("allow_maps_of_a_loader_to_everybody_after_its_run", "[vm][loader]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const auto loaded = loader::load_bundle(sign_object(kVerdict, warden.netops()), warden.ring());
  REQUIRE(loaded.has_value());
  const std::vector<uint32_t> ids = map_ids(loaded->front().fd);
  CHECK(ids.size() == 2);
  for (const uint32_t id : ids)
    CHECK(in_child([&] { return Fd(bpf_map_get_fd_by_id(id)) ? 0 : errno; }) == 0);
}

// Only what is frozen stays as it was signed.
TEST_CASE("attack_write_a_signed_programs_map_after_the_run", "[vm][attack][not-held]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const auto loaded = loader::load_bundle(sign_object(kVerdict, warden.netops()), warden.ring());
  REQUIRE(loaded.has_value());
  int written = 0, frozen = 0;
  for (const uint32_t id : map_ids(loaded->front().fd)) {
    const Fd map(bpf_map_get_fd_by_id(id));
    const uint32_t key = 0;
    const uint64_t value = 7;
    (bpf_map_update_elem(map.get(), &key, &value, BPF_ANY) == 0 ? written : frozen)++;
  }
  CHECK(written == 1);
  CHECK(frozen == 1);
}

TEST_CASE("attack_run_two_loaders_with_one_metadata_map",
          "[vm][control][kernel][kernel:folded_maps][attack]") {
  two_runs.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  CHECK(run_both(warden.netops(), warden.ring(), true) == std::pair(0, EPERM));
  CHECK(run_both(warden.netops(), warden.ring(), false) == std::pair(0, 0));
}

TEST_CASE("attack_have_a_signed_loader_use_a_map_from_elsewhere",
          "[vm][control][kernel][kernel:folded_maps][attack]") {
  careless.must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  (void)warden.events();
  CHECK(run_careless(warden.netops(), warden.ring()) == EPERM);
  CHECK(std::ranges::any_of(warden.events(), [](const auto& event) {
    return event["refused"] == true && event["cause"] == "foreign-map";
  }));
  CHECK(load_bundle(sign_object(kVerdict, warden.netops()), warden.ring()) == 0);
}

}  // namespace bpfwarden::vm
