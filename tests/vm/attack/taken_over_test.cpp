// Who wins a race is killed, and its link goes with its last descriptor: so another process takes
// that over before the first is gone. A dying process can be held up, with all its descriptors
// open; here a program does it, loaded before there is a policy (dying.bpf.c).
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "dying.skel.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/attack/raced_link.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/linger.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/sharing.h"

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

// ---- Who races ----------------------------------------------------------------------------------

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

// What is taken from one that races, until it is gone.
Haul lie_in_wait(const Functions& functions, const Fd& program, Reach reach) {
  const pid_t racer = ::fork();
  REQUIRE(racer >= 0);
  if (racer == 0) race(functions, program);
  Haul haul;
  int status = 0;
  pid_t ended = 0;
  while (!haul.link && (ended = ::waitpid(racer, &status, WNOHANG)) == 0) {
    reach(racer, functions, haul);
    ::usleep(1000);  // who exchanges is on the same processor
  }
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

// Others have what they had: all this is done by stock tools.
void must_be_shown_and_taken(const Functions& functions, const Fd& program) {
  const Fd link = functions.link(program);
  REQUIRE(link);
  CHECK(Fd(bpf_link_get_fd_by_id(link_id(link))));
  CHECK(error_of_made(bpf_link_get_fd_by_id(0)) == ENOENT);
  bpf_get_fd_by_id_opts options{};
  options.sz = sizeof(options);
  options.open_flags = BPF_F_RDONLY;  // which no link has
  CHECK(error_of_made(bpf_link_get_fd_by_id_opts(0, &options)) == EINVAL);
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

// Before Linux 6.18 no link comes of memory that others may write, unless it may go anywhere: then
// whoever takes it over has gained nothing.
void must_be_made_by_nobody() {
  const Functions functions;
  Warden warden;
  warden.apply("enforce", rules_for_functions("tcp_connect"));
  const Fd program = loaded(program_of("kprobe.multi"));
  CHECK_FALSE(functions.link(program));
  CHECK(last_refused_attachment(warden)["cause"] == "missing-fact");
  warden.apply("enforce", rules_for_functions("*"));
  must_be_shown_and_taken(functions, program);
}

void must_go_with_its_process(const std::function<Reach()>& reach) {
  if (!awaits_ends()) return must_be_made_by_nobody();
  const Linger linger;
  const Functions functions;
  Dying dying = keep_the_dying();
  Warden warden;
  warden.apply("enforce", rules_for_functions("tcp_connect"));
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
  CHECK(links_are_gone(program_id(program)));
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

}  // namespace bpfwarden::vm
