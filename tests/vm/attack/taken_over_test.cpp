// Who wins a race is killed, and its link goes with its last descriptor: so another process takes
// that over before the first is gone. A dying process can be held up, with all its descriptors
// open; here a program does it, loaded before there is a policy (dying.bpf.c).
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "dying.skel.h"
#include "loader/syscall.h"
#include "tests/vm/attach_routes.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/attack/shared_page.h"
#include "tests/vm/handles.h"
#include "tests/vm/linger.h"
#include "tests/vm/sharing.h"
#include "tests/vm/symbols.h"

namespace bpfwarden::vm {
namespace {

struct DestroyDying {
  void operator()(dying_bpf* skeleton) const { dying_bpf::destroy(skeleton); }
};
using Dying = std::unique_ptr<dying_bpf, DestroyDying>;

Dying keep_the_dying() {
  Dying skeleton(dying_bpf::open_and_load());
  REQUIRE(skeleton);
  REQUIRE(dying_bpf::attach(skeleton.get()) == 0);
  return skeleton;
}

std::string rules(const std::string& functions) {
  return "[[rules]]\nname = \"here\"\nallow = [\"kprobe.multi/" + functions +
         "\", \"raw_tp/task_rename\"]\nsignature = \"unsigned\"\n";
}

// ---- Who races ----------------------------------------------------------------------------------

struct Functions {
  unsigned long wanted = address_of("tcp_connect"), other = address_of("tcp_close");
  SharedPage& page = SharedPage::make();

  Functions() { page.number = wanted; }

  [[nodiscard]] Fd link(const Fd& program) const {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.kprobe_multi.addrs = const_cast<const unsigned long*>(&page.number);
    options.kprobe_multi.cnt = 1;
    return Fd(bpf_link_create(program.get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
  }
  [[nodiscard]] bool is_on_other(int link) const {
    unsigned long address = 0;
    bpf_link_info info = {};
    info.kprobe_multi.addrs = loader::as_u64(&address);
    info.kprobe_multi.count = 1;
    uint32_t size = sizeof(info);
    return bpf_link_get_info_by_fd(link, &info, &size) == 0 &&
           info.type == BPF_LINK_TYPE_KPROBE_MULTI && address == other;
  }
  [[nodiscard]] Writer exchanged() const {
    SharedPage* const shared = &page;
    return Writer(exchange([shared, to = other] { shared->number = to; },
                           [shared, to = wanted] { shared->number = to; }));
  }
};

constexpr size_t kRoundsOfOne = 300, kChildren = 60;

// Stays once it has a link on the other function, unless it is killed for that.
[[noreturn]] void race(const Functions& functions, const Fd& program) {
  run_on(0);
  for (size_t round = 0; round < kRoundsOfOne; round++) {
    const Fd link = functions.link(program);
    if (link && functions.is_on_other(link.get())) ::pause();
  }
  ::_exit(0);
}

// ---- Who waits for it ---------------------------------------------------------------------------

struct Haul {
  Fd link;  // on the other function
  bool was_refused = false, is_killed = false;

  void look_at(int fd, const Functions& functions) {
    Fd taken(fd);
    if (!taken && errno == EPERM) was_refused = true;
    if (taken && functions.is_on_other(taken.get())) link = std::move(taken);
  }
};

using Reach = std::function<void(pid_t racer, const Functions&, Haul&)>;

uint32_t last_link() {
  uint32_t id = 0;
  while (bpf_link_get_next_id(id, &id) == 0) continue;
  return id;
}

// By the numbers of links that are new.
Reach by_number() {
  return [last = last_link()](pid_t, const Functions& functions, Haul& haul) mutable {
    for (uint32_t id = last; !haul.link && bpf_link_get_next_id(id, &id) == 0;) {
      haul.look_at(bpf_link_get_fd_by_id(id), functions);
      if (!haul.was_refused) last = std::max(last, id - 1);
    }
  };
}

int take_descriptor(const Fd& process, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0));
}

Fd open_process(pid_t process) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

constexpr int kDescriptors = 64;

Reach by_descriptor() {
  return [](pid_t racer, const Functions& functions, Haul& haul) {
    const Fd process = open_process(racer);
    for (int number = 3; process && number < kDescriptors && !haul.link; number++)
      haul.look_at(take_descriptor(process, number), functions);
  };
}

// What is taken from one that races, until it is gone.
Haul lie_in_wait(const Functions& functions, const Fd& program, Reach reach) {
  const pid_t racer = ::fork();
  REQUIRE(racer >= 0);
  if (racer == 0) race(functions, program);
  Haul haul;
  int status = 0;
  pid_t ended = 0;
  while (!haul.link && (ended = ::waitpid(racer, &status, WNOHANG)) == 0)
    reach(racer, functions, haul);
  if (ended == 0) {
    ::kill(racer, SIGKILL);
    ::waitpid(racer, &status, 0);
  }
  haul.is_killed = WIFSIGNALED(status);
  return haul;
}

Haul lie_in_wait_for_a_race(const Functions& functions, const Fd& program,
                            const std::function<Reach()>& reach) {
  const Writer writer = functions.exchanged();
  Haul haul;
  for (size_t tries = 0; tries < kChildren && !haul.is_killed; tries++)
    haul = lie_in_wait(functions, program, reach());
  return haul;
}

// Whether the link is still there once who made it is gone.
bool outlives(const std::function<Reach()>& reach) {
  const Linger linger;
  const Functions functions;
  const Haul haul = lie_in_wait_for_a_race(functions, loaded(program_of("kprobe.multi")), reach);
  return haul.link && functions.is_on_other(haul.link.get());
}

const Control over_by_number([] { return outlives(by_number); });
const Control over_by_descriptor([] { return outlives(by_descriptor); });

// ---- Whether anything is left -------------------------------------------------------------------

// Also of what may not be looked at.
size_t links_of(uint32_t program) {
  size_t found = 0;
  for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const Fd link(bpf_link_get_fd_by_id(id));
    if (link ? linked_program(link) == program : errno == EPERM) found++;
  }
  return found;
}

bool are_gone(uint32_t program) {
  for (int tries = 0; tries < 1200; tries++) {
    if (links_of(program) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

size_t races_told(const std::vector<nlohmann::json>& events, int error) {
  return static_cast<size_t>(std::ranges::count_if(events, [&](const auto& event) {
    return event["cause"] == "attach-race" && event["errno"] == error;
  }));
}

// Others have what they had: all this is done by stock tools.
void must_be_shown_and_taken(const Functions& functions, const Fd& program) {
  const Fd link = functions.link(program);
  REQUIRE(link);
  CHECK(Fd(bpf_link_get_fd_by_id(link_id(link))));
  CHECK(Fd(take_descriptor(open_process(::getpid()), link.get())));
  CHECK(run("bpftool link show").status == 0);
  CHECK(bpf_obj_pin(link.get(), "/sys/fs/bpf/taken_over") == 0);
  ::unlink("/sys/fs/bpf/taken_over");
}

// A program that somebody has raced with keeps its links where they are made, until it is loaded
// anew.
void must_stay_where_it_is(const Functions& functions, const Fd& program) {
  const Fd link = functions.link(program);
  REQUIRE(link);
  CHECK(error_of_made(bpf_link_get_fd_by_id(link_id(link))) == EPERM);
  CHECK(error_of(bpf_obj_pin(link.get(), "/sys/fs/bpf/taken_over")) == EPERM);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  CHECK(error_of_made(take_descriptor(open_process(child), link.get())) == EPERM);
  CHECK(error_of_made(take_descriptor(open_process(child), program.get())) == 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

void must_go_with_its_process(const std::function<Reach()>& reach) {
  const Linger linger;
  const Functions functions;
  Dying dying = keep_the_dying();
  Warden warden;
  warden.apply("enforce", rules("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  must_be_shown_and_taken(functions, program);
  (void)warden.events();
  const Haul haul = lie_in_wait_for_a_race(functions, program, reach);
  dying.reset();
  CHECK(haul.is_killed);
  CHECK_FALSE(haul.link);
  CHECK(haul.was_refused);
  const auto events = warden.events();
  CHECK(races_told(events, 0) == 1);
  CHECK(races_told(events, EPERM) > 0);
  CHECK(are_gone(program_id(program)));
  functions.page.number = functions.wanted;
  must_stay_where_it_is(functions, program);
  must_be_shown_and_taken(functions, loaded(program_of("kprobe.multi")));
}

}  // namespace

TEST_CASE("attack_take_a_link_over_by_its_number", "[vm][control][attack][race]") {
  over_by_number.must_have_worked();
  must_go_with_its_process(by_number);
}

TEST_CASE("attack_take_a_link_over_by_its_descriptor", "[vm][control][attack][race]") {
  over_by_descriptor.must_have_worked();
  must_go_with_its_process(by_descriptor);
}

// ---- Tracers ------------------------------------------------------------------------------------

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
      [&](pid_t child, Haul& haul) {
        by_number()(child, functions, haul);
        by_descriptor()(child, functions, haul);
      });
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
  warden.apply("enforce", rules("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  {
    const Writer writer = functions.exchanged();
    const Traced traced = race_traced(functions, program);
    CHECK_FALSE(traced.haul.link);
    CHECK(exit_status(traced) == EPERM);
  }
  CHECK(last_refused_attachment(warden)["cause"] == "missing-fact");
  functions.page.number = functions.wanted;
  CHECK(functions.link(program));  // untraced
  warden.apply("enforce", rules("*"));
  const Fd anywhere = loaded(program_of("kprobe.multi"));
  CHECK(exit_status(race_traced(functions, anywhere)) == 0);
}

namespace {

// What an accomplice does to a process. 0, or errno.
using Grip = std::function<int(pid_t)>;

int write_to(pid_t process) {
  static char from = 0, to = 0;  // at the same place there
  const iovec here = {&from, 1}, there = {&to, 1};
  return error_of(static_cast<int>(::process_vm_writev(process, &here, 1, &there, 1, 0)));
}

int open_memory(pid_t process) {
  return error_of_made(::open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDWR));
}

int take_output(pid_t process) { return error_of_made(take_descriptor(open_process(process), 1)); }

int seize(pid_t process) {
  if (::ptrace(PTRACE_SEIZE, process, nullptr, PTRACE_O_TRACEEXIT) != 0) return errno;
  int status = 0;
  ::ptrace(PTRACE_INTERRUPT, process, nullptr, nullptr);
  ::waitpid(process, &status, __WALL);
  ::ptrace(PTRACE_DETACH, process, nullptr, nullptr);
  ::usleep(300);  // it stopped at the end of a call: let it begin the next one
  return 0;
}

struct Gripped {
  size_t worked = 0, refused = 0;
};

// While the process attaches again and again, until it was refused once or for so many rounds.
Gripped grip(const Functions& functions, const Fd& program, const Grip& one,
             size_t rounds = 3000) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_on(0);
    for (;;) (void)functions.link(program);
  }
  run_on(1);
  Gripped counts;
  for (size_t tries = 0; tries < rounds && (counts.refused == 0 || counts.worked == 0); tries++)
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
    const Gripped counts = grip(functions, program, one);
    return counts.worked > 0 && counts.refused == 0;
  });
});

}  // namespace

TEST_CASE("attack_reach_for_who_is_watched", "[vm][control][attack][race]") {
  gripped.must_have_worked();
  const Linger linger;
  const Functions functions;
  Warden warden;
  warden.apply("enforce", rules("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  for (size_t i = 0; i < kGrips.size(); i++) {
    INFO(i);
    const Gripped counts = grip(functions, program, kGrips[i]);
    CHECK(counts.refused > 0);
    CHECK(counts.worked > 0);  // between two calls
  }
  CHECK(races_told(warden.events(), EPERM) > 0);
  warden.apply("enforce", rules("*"));
  const Fd anywhere = loaded(program_of("kprobe.multi"));
  for (const Grip& one : kGrips) CHECK(grip(functions, anywhere, one, 300).refused == 0);
  warden.apply("audit", rules("tcp_connect"));
  CHECK(grip(functions, anywhere, open_memory).refused == 0);
}

}  // namespace bpfwarden::vm
