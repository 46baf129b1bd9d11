// Two threads share a table of file descriptors: one exchanges the program behind a number, between
// one that a policy allows and one that it does not, while the other attaches that number. Under
// `deny`, whatever is attached must be the allowed one. Under `detect`, each exchange that wins
// must be told of, and its process killed. Without a policy the exchange does win, or this could
// not fail.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/contest.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/linger.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

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
  Contest contest = on_cgroup("link-create", [cgroup](int fd) -> RacedProgram {
    const Fd link(bpf_link_create(fd, cgroup, BPF_CGROUP_DEVICE, nullptr));
    if (!link) return {.error = errno};
    return {.program = linked_program(link)};
  });
  contest.makes_links = true;
  return contest;
}

Contest prog_attach(int cgroup) {
  return on_cgroup("prog-attach", [cgroup](int fd) -> RacedProgram {
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
                   [link = std::make_shared<Fd>(resident_link(cgroup))](int fd) -> RacedProgram {
                     if (bpf_link_update(link->get(), fd, nullptr) != 0) return {.error = errno};
                     return {.program = linked_program(*link)};
                   });
}

Contest raw_tracepoint_open() {
  const TwoPrograms two = {Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
                           Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT, 1)};
  return {"raw-tracepoint-open", two, two.rules("raw_tp", "raw_tp/task_rename"),
          [](int fd) -> RacedProgram {
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
          [=, owner = pid_t{0}](int fd) mutable -> RacedProgram {
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
          "[vm][race][kernel][kernel:cgroup_link][kernel:kernfs_parent][slow]") {
  on_site(race, link_update);
}

TEST_CASE("deny_an_exchange_while_a_raw_tracepoint_is_opened",
          "[vm][race][kernel][kernel:user_strings][slow]") {
  race(raw_tracepoint_open());
}

TEST_CASE("deny_an_exchange_while_a_perf_event_is_given_a_program", "[vm][race][slow]") {
  race(perf_event());
}

TEST_CASE("detect_each_exchange_while_a_link_is_created",
          "[vm][race][kernel][kernel:kernfs_parent]") {
  on_site(race_detected, link_create);
}

// What is no link stays attached when its process is gone. The next one replaces it.
TEST_CASE("detect_each_exchange_while_a_program_is_attached",
          "[vm][race][kernel][kernel:kernfs_parent][slow]") {
  on_site(race_detected, prog_attach);
}

TEST_CASE("detect_each_exchange_while_a_link_is_updated",
          "[vm][race][kernel][kernel:cgroup_link][kernel:kernfs_parent][slow]") {
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
      "setsockopt", {}, "", [&](int fd) -> RacedProgram {
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
TEST_CASE("detect_each_exchange_of_a_function_in_a_list", "[vm][race][slow]") {
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
      "link-create", {}, "", [&](int) -> RacedProgram {
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
          "[vm][race][kernel][kernel:user_strings][slow]") {
  race_detected(raw_tracepoint_open());
}

TEST_CASE("detect_each_exchange_while_a_perf_event_is_given_a_program", "[vm][race][slow]") {
  race_detected(perf_event());
}

}  // namespace bpfwarden::vm
