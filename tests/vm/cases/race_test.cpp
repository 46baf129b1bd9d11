// Two threads share a table of file descriptors: one exchanges the program behind a number, between
// one that a policy allows and one that it does not, while the other attaches that number. Under
// `deny`, whatever is attached must be the allowed one. Under `detect`, each exchange that wins
// must be told of, and its process killed. Without a policy the exchange does win, or this could
// not fail.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/linger.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

// How many rounds a race has, unless its time is over before. At least kFewest are run, however
// slow the machine is: time is a race's length, never its verdict.
size_t rounds_wanted() {
  const char* const wanted = std::getenv("BPFWARDEN_RACE_ROUNDS");
  return wanted == nullptr ? 2'000 : std::stoul(wanted);
}
constexpr size_t kFewest = 1'000, kControlRounds = 500;
constexpr std::chrono::seconds kLongest(60);

struct RaceOutcome {
  int error = 0;
  uint32_t program = 0;  // what is attached, where there is no error
};

// Attaches, looks which program it is, and detaches.
using AttachAndLook = std::function<RaceOutcome(int fd)>;

struct Score {
  size_t rounds = 0, wanted = 0, other = 0, refused = 0, failed_otherwise = 0;

  void count(const RaceOutcome& outcome, uint32_t wanted_id) {
    rounds++;
    if (outcome.error != 0)
      (outcome.error == EPERM ? refused : failed_otherwise)++;
    else
      (outcome.program == wanted_id ? wanted : other)++;
  }
};

// Both threads may share one processor, which then runs many rounds before the exchange has a turn.
// Ends at so many rounds or with its time, but not before the fewest that it needs.
Score compete(const TwoPrograms& two, const AttachAndLook& attach, size_t fewest, size_t rounds,
              size_t won_at_least) {
  const Attempt wanted = load(two.wanted), other = load(two.other);
  REQUIRE(wanted.error == 0);
  REQUIRE(other.error == 0);
  const uint32_t wanted_id = program_id(wanted.fd);
  const auto end = std::chrono::steady_clock::now() + kLongest;
  Score score;
  const Exchange exchange(wanted.fd, other.fd);
  while (score.rounds < fewest || score.other < won_at_least ||
         (score.rounds < rounds && std::chrono::steady_clock::now() < end))
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
  const RaceOutcome allowed = attach(wanted.fd.get());
  CHECK(allowed.error == 0);
  CHECK(allowed.program == program_id(wanted.fd));
  CHECK(attach(other.fd.get()).error == EPERM);
}

struct Contest {
  const char* route;
  TwoPrograms two;
  std::string rules;
  AttachAndLook attach;
  bool makes_links = false;  // that are gone with their process
};

void race(const Contest& contest) {
  const auto& [route, two, rules, attach, makes_links] = contest;
  Warden warden;
  const Score control = compete(two, attach, kControlRounds, kControlRounds, 1);
  say(route, "without a policy", control);
  CHECK(control.other > 0);
  CHECK(control.other + control.wanted == control.rounds);

  warden.apply("enforce", rules);
  check_alone(two, attach);
  const Score score = compete(two, attach, kFewest, rounds_wanted(), 0);
  say(route, "enforced", score);
  CHECK(score.rounds >= kFewest);
  CHECK(score.other == 0);
  CHECK(score.refused == score.rounds);
  check_alone(two, attach);
}

// ---- Under `detect` -----------------------------------------------------------------------------

// Of children that may be killed at any moment.
using SharedScore =
    std::unique_ptr<Score, decltype([](Score* score) { ::munmap(score, sizeof(*score)); })>;

SharedScore shared_score() {
  void* memory =
      ::mmap(nullptr, sizeof(Score), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return SharedScore(new (memory) Score);
}

using StartExchange = std::function<std::unique_ptr<Exchange>()>;

// In a child: it has a table of its own, which its two threads share. Its denials must fit into the
// event buffer until it ends. Returns whether it was killed.
bool competes_and_dies(const Contest& contest, const StartExchange& start, uint32_t wanted,
                       Score& score) {
  constexpr size_t kRoundsOfOne = 500;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_on(0);
    const auto exchange = start();
    for (size_t round = 0; round < kRoundsOfOne; round++)
      score.count(contest.attach(exchange->slot()), wanted);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0));
  return WIFSIGNALED(status);
}

size_t count_races(Warden& warden, const char* route) {
  size_t races = 0;
  for (const nlohmann::json& event : warden.events()) {
    if (event["cause"] != "attach-race") continue;
    CHECK(event["route"] == route);
    CHECK(event["refused"] == true);
    CHECK(event["errno"] == 0);
    races++;
  }
  return races;
}

// Until an exchange has won, and for some time or so many rounds. The round that killed a child
// counts as one.
SharedScore compete_in_children(Warden& warden, const Contest& contest, uint32_t wanted,
                                const StartExchange& start) {
  constexpr std::chrono::seconds kLongestOfThese(28);
  (void)warden.events();
  SharedScore score = shared_score();
  size_t killed = 0, reported = 0;
  const auto end = std::chrono::steady_clock::now() + kLongestOfThese;
  const size_t rounds = rounds_wanted();
  while (killed == 0 || (score->rounds < rounds && std::chrono::steady_clock::now() < end)) {
    if (competes_and_dies(contest, start, wanted, *score)) {
      killed++;
      score->rounds++;
    }
    reported += count_races(warden, contest.route);
  }
  say(contest.route, "detected", *score);
  std::printf("race, %s: %zu exchanges won, %zu reported\n", contest.route, killed, reported);
  CHECK(killed > 0);
  CHECK(reported == killed);
  CHECK(score->other == 0);
  return score;
}

void race_detected(const Contest& contest) {
  const Linger linger;
  Warden warden;
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + contest.rules);
  check_alone(contest.two, contest.attach);
  const Fd wanted = loaded(contest.two.wanted), other = loaded(contest.two.other);
  const SharedScore score = compete_in_children(warden, contest, program_id(wanted), [&] {
    return std::make_unique<Exchange>(wanted, other);
  });
  CHECK(score->failed_otherwise == 0);
  CHECK(score->wanted > 0);
  if (contest.makes_links) CHECK(links_are_gone(program_id(other)));
}

// ---- The routes ---------------------------------------------------------------------------------

TwoPrograms of_devices() {
  return {Load::of_type(BPF_PROG_TYPE_CGROUP_DEVICE, 1),
          Load::of_type(BPF_PROG_TYPE_CGROUP_DEVICE, 0)};
}

Contest on_cgroup(const char* route, AttachAndLook attach) {
  TwoPrograms two = of_devices();
  two.wanted.attach_type = two.other.attach_type = BPF_CGROUP_DEVICE;
  std::string rules = two.rules("cgroup/dev", "cgroup/dev@/att.good");
  return {route, std::move(two), std::move(rules), std::move(attach)};
}

Contest link_create(int cgroup) {
  Contest contest = on_cgroup("link-create", [cgroup](int fd) -> RaceOutcome {
    const Fd link(bpf_link_create(fd, cgroup, BPF_CGROUP_DEVICE, nullptr));
    if (!link) return {.error = errno};
    return {.program = linked_program(link)};
  });
  contest.makes_links = true;
  return contest;
}

Contest prog_attach(int cgroup) {
  return on_cgroup("prog-attach", [cgroup](int fd) -> RaceOutcome {
    if (bpf_prog_attach(fd, cgroup, BPF_CGROUP_DEVICE, 0) != 0) return {.error = errno};
    uint32_t id = 0, count = 1;
    REQUIRE(bpf_prog_query(cgroup, BPF_CGROUP_DEVICE, 0, nullptr, &id, &count) == 0);
    REQUIRE(bpf_prog_detach(cgroup, BPF_CGROUP_DEVICE) == 0);
    return {.program = id};
  });
}

// Of a link whose program was there before any policy.
Fd resident_link(int cgroup) {
  run("bpfwarden off");
  Load first = of_devices().wanted;
  first.attach_type = BPF_CGROUP_DEVICE;
  const Attempt resident = load(first);
  REQUIRE(resident.error == 0);
  return make_link(resident.fd, cgroup, BPF_CGROUP_DEVICE);
}

Contest link_update(int cgroup) {
  return on_cgroup("link-update",
                   [link = std::make_shared<Fd>(resident_link(cgroup))](int fd) -> RaceOutcome {
                     if (bpf_link_update(link->get(), fd, nullptr) != 0) return {.error = errno};
                     return {.program = linked_program(*link)};
                   });
}

Contest raw_tracepoint_open() {
  const TwoPrograms two = {Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
                           Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 1)};
  return {"raw-tracepoint-open", two, two.rules("raw_tp", "raw_tp/task_rename"),
          [](int fd) -> RaceOutcome {
            const Fd link(bpf_raw_tracepoint_open("task_rename", fd));
            if (!link) return {.error = errno};
            return {.program = linked_program(link)};
          },
          true};
}

Contest perf_event() {
  const TwoPrograms two = {Load::of_type(BPF_PROG_TYPE_TRACEPOINT, 0),
                           Load::of_type(BPF_PROG_TYPE_TRACEPOINT, 1)};
  const char* const name = "task/task_rename";
  const auto event = std::make_shared<Fd>();
  return {"perf-event", two, two.rules("tp", "tp/task/task_rename"),
          [=, owner = pid_t{0}](int fd) mutable -> RaceOutcome {
            if (!*event || owner != ::getpid()) *event = tracepoint_event(name);
            owner = ::getpid();
            if (::ioctl(event->get(), PERF_EVENT_IOC_SET_BPF, fd) != 0) return {.error = errno};
            // A perf_event_query_bpf, with room for one id behind it.
            std::array<uint32_t, sizeof(perf_event_query_bpf) / sizeof(uint32_t) + 1> found = {1};
            REQUIRE(::ioctl(event->get(), PERF_EVENT_IOC_QUERY_BPF, found.data()) == 0);
            *event = Fd();  // keeps its program
            return {.program = found.back()};
          }};
}

void on_site(void (*compete)(const Contest&), Contest (*prepare)(int cgroup)) {
  const Sites sites;
  const Fd cgroup = open_cgroup("/att.good");
  compete(prepare(cgroup.get()));
}

}  // namespace

TEST_CASE("deny_an_exchange_while_a_link_is_created", "[vm][race][kernel][kernel:kernfs_parent]") {
  on_site(race, link_create);
}

TEST_CASE("deny_an_exchange_while_a_program_is_attached",
          "[vm][race][kernel][kernel:kernfs_parent]") {
  on_site(race, prog_attach);
}

TEST_CASE("deny_an_exchange_while_a_link_is_updated",
          "[vm][race][kernel][kernel:cgroup_link][kernel:kernfs_parent]") {
  on_site(race, link_update);
}

TEST_CASE("deny_an_exchange_while_a_raw_tracepoint_is_opened",
          "[vm][race][kernel][kernel:user_strings]") {
  race(raw_tracepoint_open());
}

TEST_CASE("deny_an_exchange_while_a_perf_event_is_given_a_program", "[vm][race]") {
  race(perf_event());
}

TEST_CASE("detect_each_exchange_while_a_link_is_created",
          "[vm][race][kernel][kernel:kernfs_parent]") {
  on_site(race_detected, link_create);
}

// What is no link stays attached when its process is gone. The next one replaces it.
TEST_CASE("detect_each_exchange_while_a_program_is_attached",
          "[vm][race][kernel][kernel:kernfs_parent]") {
  on_site(race_detected, prog_attach);
}

TEST_CASE("detect_each_exchange_while_a_link_is_updated",
          "[vm][race][kernel][kernel:cgroup_link][kernel:kernfs_parent]") {
  on_site(race_detected, link_update);
}

// Under `deny`, where no hook can read which program is meant: the process holds none when the hook
// looks, and the other thread brings one before the kernel does.
TEST_CASE("detect_a_filter_that_a_thread_brings_in_between", "[vm][race]") {
  const Linger linger;
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"filters\"\nallow = [\"socket\"]\nsignature = \"unsigned\"\n"
               "[[rules]]\nname = \"others\"\nload-only = [\"tc\"]\nsignature = \"unsigned\"\n");
  Fd program = loaded(Load::packet_filter());
  const uint32_t id = program_id(program);
  const Fd none(::open("/dev/null", O_RDONLY | O_CLOEXEC)), socket = udp_socket();
  const Contest contest = {
      "setsockopt", {}, "", [&](int fd) -> RaceOutcome {
        return {.error = error_of(
                    ::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)))};
      }};
  CHECK(contest.attach(program.get()).error == 0);
  constexpr uint32_t kNone = 0;
  const SharedScore score = compete_in_children(warden, contest, kNone, [&] {
    program.reset();  // the child's
    return std::make_unique<Exchange>(none, [id, none = none.get()](int slot) {
      const Fd brought(bpf_prog_get_fd_by_id(id));
      ::dup2(brought.get(), slot);
      ::dup2(none, slot);
    });
  });
  CHECK(score->wanted == 0);  // nothing was attached and its process left alive
}

// The list of functions lies in memory, where the other thread writes.
TEST_CASE("detect_each_exchange_of_a_function_in_a_list", "[vm][race]") {
  const Linger linger;
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"here\"\nallow = [\"kprobe.multi/tcp_connect\"]\n"
               "signature = \"unsigned\"\nmultithreaded-attach = \"detect\"\n");
  const unsigned long allowed = address_of("tcp_connect"), other = address_of("tcp_close");
  const Fd program = loaded(program_of("kprobe.multi"));
  std::atomic<unsigned long> listed = allowed;
  constexpr uint32_t kAllowed = 1, kOther = 2;
  const Contest contest = {
      "link-create", {}, "", [&](int) -> RaceOutcome {
        LIBBPF_OPTS(bpf_link_create_opts, options);
        options.kprobe_multi.addrs = reinterpret_cast<const unsigned long*>(&listed);
        options.kprobe_multi.cnt = 1;
        const Fd link(bpf_link_create(program.get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
        if (!link) return {.error = errno};
        return {.program = probed_address(link) == allowed ? kAllowed : kOther};
      }};
  CHECK(contest.attach(0).program == kAllowed);
  listed = other;
  CHECK(contest.attach(0).error == EPERM);
  listed = allowed;
  const SharedScore score = compete_in_children(warden, contest, kAllowed, [&] {
    return std::make_unique<Exchange>(program, [&](int) {
      for (const unsigned long one : {other, allowed}) {
        listed = one;
        std::this_thread::yield();
      }
    });
  });
  CHECK(score->failed_otherwise == 0);
  CHECK(score->wanted > 0);
  CHECK(links_are_gone(program_id(program)));
}

TEST_CASE("detect_each_exchange_while_a_raw_tracepoint_is_opened",
          "[vm][race][kernel][kernel:user_strings]") {
  race_detected(raw_tracepoint_open());
}

TEST_CASE("detect_each_exchange_while_a_perf_event_is_given_a_program", "[vm][race]") {
  race_detected(perf_event());
}

}  // namespace bpfwarden::vm
