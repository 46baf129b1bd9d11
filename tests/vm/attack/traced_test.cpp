// Tracers. Who wins a race is killed, and a tracer may keep it at its end, with all its descriptors
// open, or get at it before.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "tests/vm/attack/control.h"
#include "tests/vm/attack/raced_link.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/linger.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/shared_memory.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

// Holds a traced process at its end, as strace does. What `work` returns there, where it is killed;
// and how it ended, if it was not.
struct Traced {
  Haul haul;
  int status = 0;
};

pid_t begin_traced(const std::function<int()>& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::raise(SIGSTOP);
    ::_exit(work());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  REQUIRE(::ptrace(PTRACE_SEIZE, child, nullptr, PTRACE_O_TRACEEXIT) == 0);
  ::kill(child, SIGCONT);
  return child;
}

bool is_at_its_end(int status) {
  return WIFSTOPPED(status) && status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

Traced trace(const std::function<int()>& work, const std::function<void(pid_t, Haul&)>& at_end) {
  const pid_t child = begin_traced(work);
  Traced traced;
  while (::waitpid(child, &traced.status, __WALL) == child && WIFSTOPPED(traced.status)) {
    if (is_at_its_end(traced.status)) at_end(child, traced.haul);
    ::ptrace(PTRACE_CONT, child, nullptr, nullptr);
  }
  return traced;
}

Traced race_traced(const Functions& functions, const Fd& program) {
  return trace(
      [&]() -> int {
        run_on(0);
        for (size_t round = 0; round < kRoundsOfOne; round++) {
          const Fd link = functions.link(program);
          if (!link) return errno;
          if (functions.is_on_other(link.get())) ::raise(SIGKILL);
        }
        return 0;
      },
      [&, reach = by_descriptor()](pid_t child, Haul& haul) { reach(child, functions, haul); });
}

Haul race_until_held(const Functions& functions, const Fd& program) {
  const Writer writer = functions.exchanged();
  for (size_t tries = 0; tries < kChildren; tries++) {
    Traced traced = race_traced(functions, program);
    if (WIFSIGNALED(traced.status)) return std::move(traced.haul);
  }
  return {};
}

const Control held_at_the_end([] {
  const Linger linger;
  const Functions functions;
  const Haul haul = race_until_held(functions, loaded(program_of("kprobe.multi")));
  return haul.link && functions.is_on_other(haul.link.get());
});

int exit_status(const Traced& traced) {
  return WIFEXITED(traced.status) ? WEXITSTATUS(traced.status) : -1;
}

}  // namespace

TEST_CASE("attack_trace_who_is_to_be_killed", "[vm][control][attack][race]") {
  held_at_the_end.must_have_worked();
  const Linger linger;
  const Functions functions;
  Warden warden;
  warden.apply("enforce", rules_for_functions("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  {
    const Writer writer = functions.exchanged();
    const Traced traced = race_traced(functions, program);
    CHECK_FALSE(traced.haul.link);
    CHECK(exit_status(traced) == EPERM);
  }
  CHECK(last_refused_attachment(warden)["cause"] == "missing-fact");
  functions.page.number = functions.wanted;
  CHECK(static_cast<bool>(functions.link(program)) == awaits_ends());  // untraced
  warden.apply("enforce", rules_for_functions("*"));
  const Fd anywhere = loaded(program_of("kprobe.multi"));
  CHECK(exit_status(race_traced(functions, anywhere)) == 0);
}

namespace {

// What an accomplice does to a process. 0, or errno: EPERM where that is refused.
using Grip = std::function<int(pid_t)>;

int write_to(pid_t process) {
  static char from = 0, to = 0;  // at the same place there
  const iovec here = {&from, 1}, there = {&to, 1};
  return error_of(static_cast<int>(::process_vm_writev(process, &here, 1, &there, 1, 0)));
}

int open_memory(pid_t process) {
  const int error =
      error_of_made(::open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDWR));
  return error == EACCES ? EPERM : error;  // the kernel names it so there
}

int take_output(pid_t process) { return error_of_made(take_descriptor(open_process(process), 1)); }

int seize(pid_t process) {
  if (::ptrace(PTRACE_SEIZE, process, nullptr, PTRACE_O_TRACEEXIT) != 0) return errno;
  int status = 0;
  ::ptrace(PTRACE_INTERRUPT, process, nullptr, nullptr);
  ::waitpid(process, &status, __WALL);
  ::ptrace(PTRACE_DETACH, process, nullptr, nullptr);
  static useconds_t pause = 0;  // it stopped at the end of a call: let it go on, now more, now less
  ::usleep(pause = (pause + 370) % 20'000);
  return 0;
}

struct Gripped {
  size_t worked = 0, refused = 0;
};

// While the process attaches again and again, until both were seen or it has attached so often. One
// call takes as long as thousands of grips, so it is its calls that count, and it is met between
// two of them because it rests there.
Gripped grip(const Functions& functions, const Fd& program, const Grip& one, size_t links = 300) {
  const auto made = make_shared_memory<std::atomic<size_t>>();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_on(0);
    for (;; ::usleep(500), ++*made) (void)functions.link(program);
  }
  run_on(1);
  Gripped counts;
  while (*made < links && (counts.refused == 0 || counts.worked == 0))
    (one(child) == EPERM ? counts.refused : counts.worked)++;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return counts;
}

const std::vector<Grip> kGrips = {write_to, open_memory, take_output, seize};

const Control gripped([] {
  const Linger linger;
  const Functions functions;
  const Fd program = loaded(program_of("kprobe.multi"));
  return std::ranges::all_of(kGrips, [&](const Grip& one) {
    const Gripped counts = grip(functions, program, one, 20);
    return counts.worked > 0 && counts.refused == 0;
  });
});

}  // namespace

TEST_CASE("attack_reach_for_who_is_watched", "[vm][control][attack][race]") {
  gripped.must_have_worked();
  needs_awaited_ends();
  const Linger linger;
  const Functions functions;
  Warden warden;
  warden.apply("enforce", rules_for_functions("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  for (size_t i = 0; i < kGrips.size(); i++) {
    INFO(i);
    const Gripped counts = grip(functions, program, kGrips[i]);
    CHECK(counts.refused > 0);
    CHECK(counts.worked > 0);  // between two calls
  }
  CHECK(races_told(warden.events(), EPERM) > 0);
  warden.apply("enforce", rules_for_functions("*"));
  const Fd anywhere = loaded(program_of("kprobe.multi"));
  for (const Grip& one : kGrips) CHECK(grip(functions, anywhere, one, 20).refused == 0);
  warden.apply("audit", rules_for_functions("tcp_connect"));
  CHECK(grip(functions, anywhere, open_memory, 20).refused == 0);
}

}  // namespace bpfwarden::vm
