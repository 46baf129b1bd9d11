// What an enforcing policy refused at load stays refused, whoever asks: a program's id is public
// before lsm/bpf_prog is asked for the task that loads it.
#include <bpf/bpf.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/shared_memory.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr int32_t kGood = 1, kBad = 2;
constexpr size_t kMaxAdmitted = 1 << 16;

Load program(int32_t value) { return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, value); }

// What the processes of one case tell each other.
struct Shared {
  std::atomic<uint32_t> next_id = 0;  // that the next program is likely to have
  std::atomic<bool> stops = false;
  std::atomic<uint32_t> looks = 0, bad_seen = 0, good_refused = 0, refused = 0;
  std::array<std::atomic<uint8_t>, kMaxAdmitted> is_good;  // by id: its load went through
  std::array<std::atomic<uint8_t>, kMaxAdmitted> was_refused;
};

// What a program of program() returns; 0 for any other.
int32_t value_of(const Fd& program) {
  std::array<bpf_insn, 2> insns = {};
  bpf_prog_info info = {};
  info.xlated_prog_insns = loader::as_u64(insns.data());
  info.xlated_prog_len = sizeof(insns);
  uint32_t size = sizeof(info);
  bpf_attr attr = {};
  attr.info.bpf_fd = static_cast<uint32_t>(program.get());
  attr.info.info_len = size;
  attr.info.info = loader::as_u64(&info);
  if (loader::sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr) != 0 || info.xlated_prog_len != sizeof(insns))
    return 0;
  return insns[0].imm;
}

Attempt by_id(uint32_t id) {
  bpf_attr attr = {};
  attr.prog_id = id;
  const int fd = loader::sys_bpf(BPF_PROG_GET_FD_BY_ID, attr);
  return {.error = fd < 0 ? errno : 0, .fd = Fd(fd)};
}

Attempt by_path(const char* path) {
  bpf_attr attr = {};
  attr.pathname = loader::as_u64(path);
  const int fd = loader::sys_bpf(BPF_OBJ_GET, attr);
  return {.error = fd < 0 ? errno : 0, .fd = Fd(fd)};
}

// One look at a program in the making.
void judge_look(const Attempt& look, uint32_t id, Shared& shared) {
  shared.looks++;
  if (look.error == 0 && value_of(look.fd) == kBad) shared.bad_seen++;
  if (look.error != EPERM) return;
  shared.refused++;
  if (id < kMaxAdmitted) shared.was_refused[id] = 1;
}

pid_t start(const std::function<void()>& work, size_t processor) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child != 0) return child;
  run_on(processor);
  work();
  ::_exit(0);
}

// Asks for the descriptor of whatever is next.
void poll_ids(Shared& shared) {
  while (!shared.stops) {
    const uint32_t next = shared.next_id;
    for (uint32_t id = next; id < next + 2; id++) judge_look(by_id(id), id, shared);
  }
}

void load_one(int32_t value, Shared& shared, int& error) {
  const Attempt made = load(program(value));
  error = made.error;
  if (made.error != 0) {
    shared.next_id++;  // a refused program had an id
    return;
  }
  const uint32_t id = program_id(made.fd);
  if (value == kGood && id < kMaxAdmitted) shared.is_good[id] = 1;
  shared.next_id = id + 1;
}

// Loads the other program again and again, while somebody polls. Whether anybody ever had it.
bool is_had_by_asking_twice(std::chrono::seconds longest, Shared& shared) {
  const pid_t poller = start([&] { poll_ids(shared); }, 1);
  const auto end = std::chrono::steady_clock::now() + longest;
  bool loaded = false;
  for (uint32_t round = 0; !loaded && shared.bad_seen == 0; round++) {
    if (std::chrono::steady_clock::now() > end) break;
    int error = 0;
    load_one(round % 64 == 0 ? kGood : kBad, shared, error);
    loaded = round % 64 != 0 && error == 0;
  }
  shared.stops = true;
  int status = 0;
  REQUIRE(::waitpid(poller, &status, 0) == poller);
  return loaded || shared.bad_seen != 0;
}

bool works_without() {
  const auto shared = make_shared_memory<Shared>();
  return is_had_by_asking_twice(std::chrono::seconds(20), *shared);
}

std::string only_good() { return rule_about(program(kGood), "listed", "allow = [\"socket\"]"); }

std::chrono::seconds tried() { return std::chrono::seconds(effort(5, 20)); }

const Control by_asking_twice(works_without);

}  // namespace

TEST_CASE("attack_ask_twice_for_a_program_that_no_digest_admits",
          "[vm][attack][control][kernel][kernel:program_digest]") {
  needs_digests();
  by_asking_twice.must_have_worked();
  Warden warden;
  warden.apply("enforce", only_good());
  const auto shared = make_shared_memory<Shared>();
  CHECK_FALSE(is_had_by_asking_twice(tried(), *shared));
  CHECK(shared->refused > 0);  // or nobody came in between
  CHECK(load(program(kGood)).error == 0);
}

TEST_CASE("attack_ask_twice_for_a_program_whose_digest_is_denied",
          "[vm][attack][control][kernel][kernel:program_digest][slow]") {
  needs_digests();
  by_asking_twice.must_have_worked();
  Warden warden;
  const std::string bad = hex(keyring::sha256(program(kBad).insns));
  warden.apply("enforce", "deny-digests = [\"sha256:" + bad +
                              "\"]\n[[rules]]\nname = \"any\"\nallow = [\"socket\"]\n"
                              "signature = \"unsigned\"\n");
  const auto shared = make_shared_memory<Shared>();
  CHECK_FALSE(is_had_by_asking_twice(tried(), *shared));
  CHECK(shared->refused > 0);
  CHECK(load(program(kGood)).error == 0);
}

// Of an old version whose signature stays valid.
TEST_CASE("attack_ask_twice_for_a_replayed_program",
          "[vm][attack][control][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][kernel:program_digest]") {
  needs_digests();
  by_asking_twice.must_have_worked();
  Warden warden;
  const std::string bad = hex(keyring::sha256(program(kBad).insns));
  warden.apply("enforce", "deny-digests = [\"sha256:" + bad +
                              "\"]\n[[rules]]\nname = \"netops\"\nallow = [\"socket\"]\n"
                              "signed-by = [\"netops\"]\n");
  const Load old = program(kBad).signed_by(warden.netops());
  const auto shared = make_shared_memory<Shared>();
  shared->next_id = program_id(load(program(kGood).signed_by(warden.netops())).fd) + 1;
  const pid_t poller = start([&] { poll_ids(*shared); }, 1);
  const auto end = std::chrono::steady_clock::now() + tried();
  size_t went_through = 0;
  while (std::chrono::steady_clock::now() < end) {
    went_through += load(old).error == 0;
    shared->next_id++;
  }
  shared->stops = true;
  REQUIRE(::waitpid(poller, nullptr, 0) == poller);
  CHECK(went_through == 0);
  CHECK(shared->bad_seen == 0);
  CHECK(load(program(kGood).signed_by(warden.netops())).error == 0);
}

// ---- Any order ----------------------------------------------------------------------------------

namespace {

constexpr const char* kPin = "/sys/fs/bpf/attack";

void pin(const Fd& fd, const std::string& path) {
  bpf_attr attr = {};
  attr.pathname = loader::as_u64(path.c_str());
  attr.bpf_fd = static_cast<uint32_t>(fd.get());
  (void)loader::sys_bpf(BPF_OBJ_PIN, attr);
}

// Pins whatever it can get, where the next process looks for it.
void pin_ids(Shared& shared, uint32_t seed) {
  std::minstd_rand random(seed);
  while (!shared.stops) {
    const uint32_t id = shared.next_id + random() % 2;
    const Attempt look = by_id(id);
    judge_look(look, id, shared);
    const std::string path = std::string(kPin) + "/" + std::to_string(random() % 4);
    if (random() % 4 == 0) ::unlink(path.c_str());
    if (look.error == 0) pin(look.fd, path);
  }
}

void open_pins(Shared& shared, uint32_t seed) {
  std::minstd_rand random(seed);
  while (!shared.stops) {
    const std::string path = std::string(kPin) + "/" + std::to_string(random() % 4);
    judge_look(by_path(path.c_str()), kMaxAdmitted, shared);
    if (random() % 8 == 0) ::usleep(static_cast<useconds_t>(random() % 500));
  }
}

// Loads either, in a random order; counts what came out otherwise than the policy says.
size_t load_either(Shared& shared, uint32_t seed, std::chrono::seconds longest) {
  std::minstd_rand random(seed);
  const auto end = std::chrono::steady_clock::now() + longest;
  size_t wrong = 0;
  while (std::chrono::steady_clock::now() < end) {
    const int32_t value = random() % 2 == 0 ? kGood : kBad;
    int error = 0;
    load_one(value, shared, error);
    wrong += error != (value == kGood ? 0 : EPERM);
    if (random() % 4 == 0) ::usleep(static_cast<useconds_t>(random() % 300));
  }
  return wrong;
}

// The ids of programs that a rule admits and that somebody was refused.
size_t count_refused_good(const Shared& shared) {
  size_t count = 0;
  for (size_t id = 0; id < kMaxAdmitted; id++)
    count += shared.is_good[id] != 0 && shared.was_refused[id] != 0;
  return count;
}

}  // namespace

TEST_CASE("attack_load_ask_pin_and_open_in_any_order",
          "[vm][attack][control][kernel][kernel:program_digest]") {
  needs_digests();
  by_asking_twice.must_have_worked();
  Warden warden;
  warden.apply("enforce", only_good());
  ::mkdir(kPin, 0700);
  const uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  const auto shared = make_shared_memory<Shared>();
  shared->next_id = program_id(load(program(kGood)).fd) + 1;
  const std::array<pid_t, 3> others = {start([&] { poll_ids(*shared); }, 1),
                                       start([&] { pin_ids(*shared, seed + 1); }, 1),
                                       start([&] { open_pins(*shared, seed + 2); }, 0)};
  const size_t wrong = load_either(*shared, seed, std::chrono::seconds(effort(10, 40)));
  shared->stops = true;
  for (const pid_t other : others) CHECK(::waitpid(other, nullptr, 0) == other);
  std::error_code ignored;
  std::filesystem::remove_all(kPin, ignored);
  CHECK(wrong == 0);
  CHECK(shared->bad_seen == 0);
  CHECK(count_refused_good(*shared) == 0);
  CHECK(shared->refused > 0);
  std::printf("attack: %u looks, %u of them refused\n", shared->looks.load(),
              shared->refused.load());
}

}  // namespace bpfwarden::vm
