// Two threads share a table of file descriptors: one exchanges the program behind a number, between
// one that a policy allows and one that it does not, while the other attaches that number. Whatever
// is attached must be the allowed one. Without a policy the exchange does win, or this could not
// fail.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/vm/attach_routes.h"
#include "tests/vm/handles.h"
#include "tests/vm/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kRounds = 20'000, kControlRounds = 500;
constexpr std::chrono::seconds kLongest(60);

struct Outcome {
  int error = 0;
  uint32_t program = 0;  // what is attached, where there is no error
};

// Attaches, looks which program it is, and detaches.
using AttachAndLook = std::function<Outcome(int fd)>;

struct Score {
  size_t rounds = 0, wanted = 0, other = 0, refused = 0, failed_otherwise = 0;

  void count(const Outcome& outcome, uint32_t wanted_id) {
    rounds++;
    if (outcome.error != 0)
      (outcome.error == EPERM ? refused : failed_otherwise)++;
    else
      (outcome.program == wanted_id ? wanted : other)++;
  }
};

// Exchanges the program behind a number for as long as the object lives.
class Exchange {
 public:
  Exchange(const Fd& wanted, const Fd& other) : slot_(::fcntl(wanted.get(), F_DUPFD_CLOEXEC, 0)) {
    REQUIRE(slot_);
    thread_ = std::thread([this, wanted = wanted.get(), other = other.get()] {
      while (!stops_) {
        ::dup2(other, slot_.get());
        ::dup2(wanted, slot_.get());
        is_on_ = true;
      }
    });
    while (!is_on_) std::this_thread::yield();
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() {
    stops_ = true;
    thread_.join();
    wait_until_alone();
  }

  [[nodiscard]] int slot() const { return slot_.get(); }

 private:
  Fd slot_;
  std::atomic<bool> stops_ = false, is_on_ = false;
  std::thread thread_;
};

// Both threads may share one processor, which then runs many rounds before the exchange has a turn.
Score compete(const TwoPrograms& two, const AttachAndLook& attach, size_t rounds,
              size_t won_at_least, std::chrono::seconds longest) {
  const Attempt wanted = load(two.wanted), other = load(two.other);
  REQUIRE(wanted.error == 0);
  REQUIRE(other.error == 0);
  const uint32_t wanted_id = program_id(wanted.fd);
  const auto end = std::chrono::steady_clock::now() + longest;
  Score score;
  const Exchange exchange(wanted.fd, other.fd);
  while ((score.rounds < rounds || score.other < won_at_least) &&
         std::chrono::steady_clock::now() < end)
    score.count(attach(exchange.slot()), wanted_id);
  return score;
}

void say(const char* route, const char* when, const Score& score) {
  std::printf(
      "race, %s, %s: %zu rounds, %zu attached the allowed program, %zu the other, %zu "
      "EPERM, %zu another error\n",
      route, when, score.rounds, score.wanted, score.other, score.refused, score.failed_otherwise);
}

// Nobody exchanges anything: each gets what the policy says.
void check_alone(const TwoPrograms& two, const AttachAndLook& attach) {
  const Attempt wanted = load(two.wanted), other = load(two.other);
  const Outcome allowed = attach(wanted.fd.get());
  CHECK(allowed.error == 0);
  CHECK(allowed.program == program_id(wanted.fd));
  CHECK(attach(other.fd.get()).error == EPERM);
}

void race(const char* route, const TwoPrograms& two, const std::string& rules,
          const AttachAndLook& attach) {
  Warden warden;
  const Score control = compete(two, attach, kControlRounds, 1, kLongest);
  say(route, "without a policy", control);
  CHECK(control.other > 0);
  CHECK(control.other + control.wanted == control.rounds);

  warden.apply("enforce", rules);
  check_alone(two, attach);
  const Score score = compete(two, attach, kRounds, 0, kLongest);
  say(route, "enforced", score);
  CHECK(score.rounds > 1000);
  CHECK(score.other == 0);
  CHECK(score.refused == score.rounds);
  check_alone(two, attach);
}

TwoPrograms of_devices() {
  return {Load::of_type(BPF_PROG_TYPE_CGROUP_DEVICE, 1),
          Load::of_type(BPF_PROG_TYPE_CGROUP_DEVICE, 0)};
}

void race_on_cgroup(const char* route, const AttachAndLook& attach) {
  TwoPrograms two = of_devices();
  two.wanted.attach_type = two.other.attach_type = BPF_CGROUP_DEVICE;
  race(route, two, two.rules("cgroup/dev", "cgroup/dev@/att.good"), attach);
}

}  // namespace

TEST_CASE("deny_an_exchange_while_a_link_is_created", "[vm][race]") {
  const Sites sites;
  const Fd cgroup = open_cgroup("/att.good");
  race_on_cgroup("link-create", [&](int fd) -> Outcome {
    const Fd link(bpf_link_create(fd, cgroup.get(), BPF_CGROUP_DEVICE, nullptr));
    if (!link) return {.error = errno};
    return {.program = linked_program(link)};
  });
}

TEST_CASE("deny_an_exchange_while_a_program_is_attached", "[vm][race]") {
  const Sites sites;
  const Fd cgroup = open_cgroup("/att.good");
  race_on_cgroup("prog-attach", [&](int fd) -> Outcome {
    if (bpf_prog_attach(fd, cgroup.get(), BPF_CGROUP_DEVICE, 0) != 0) return {.error = errno};
    uint32_t id = 0, count = 1;
    REQUIRE(bpf_prog_query(cgroup.get(), BPF_CGROUP_DEVICE, 0, nullptr, &id, &count) == 0);
    REQUIRE(bpf_prog_detach(cgroup.get(), BPF_CGROUP_DEVICE) == 0);
    return {.program = id};
  });
}

TEST_CASE("deny_an_exchange_while_a_link_is_updated", "[vm][race]") {
  const Sites sites;
  const Fd cgroup = open_cgroup("/att.good");
  run("bpfwarden off");
  Load first = of_devices().wanted;
  first.attach_type = BPF_CGROUP_DEVICE;
  const Attempt resident = load(first);
  REQUIRE(resident.error == 0);
  const Fd link = make_link(resident.fd, cgroup.get(), BPF_CGROUP_DEVICE);
  race_on_cgroup("link-update", [&](int fd) -> Outcome {
    if (bpf_link_update(link.get(), fd, nullptr) != 0) return {.error = errno};
    return {.program = linked_program(link)};
  });
}

TEST_CASE("deny_an_exchange_while_a_raw_tracepoint_is_opened", "[vm][race]") {
  const TwoPrograms two = {Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
                           Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 1)};
  race("raw-tracepoint-open", two, two.rules("raw_tp", "raw_tp/task_rename"),
       [](int fd) -> Outcome {
         const Fd link(bpf_raw_tracepoint_open("task_rename", fd));
         if (!link) return {.error = errno};
         return {.program = linked_program(link)};
       });
}

TEST_CASE("deny_an_exchange_while_a_perf_event_is_given_a_program", "[vm][race]") {
  const TwoPrograms two = {Load::of_type(BPF_PROG_TYPE_TRACEPOINT, 0),
                           Load::of_type(BPF_PROG_TYPE_TRACEPOINT, 1)};
  const char* const name = "task/task_rename";
  Fd event = tracepoint_event(name);
  race("perf-event", two, two.rules("tp", "tp/task/task_rename"), [&](int fd) -> Outcome {
    if (::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, fd) != 0) return {.error = errno};
    // A perf_event_query_bpf, with room for one id behind it.
    std::array<uint32_t, sizeof(perf_event_query_bpf) / sizeof(uint32_t) + 1> found = {1};
    REQUIRE(::ioctl(event.get(), PERF_EVENT_IOC_QUERY_BPF, found.data()) == 0);
    event = Fd();  // keeps its program
    event = tracepoint_event(name);
    return {.program = found.back()};
  });
}

}  // namespace bpfwarden::vm
