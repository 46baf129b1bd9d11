// Memory that two processes have: each has an address space that nobody else has, and what one
// writes is what the kernel reads for the other. So what a hook has read there can be another thing
// by the time the kernel reads it.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/attack/shared_page.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/linger.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

enum class Attached : uint8_t { no, wanted, other };

// One thing that the kernel reads from memory.
struct Contest {
  std::string rules, rules_for_any;
  std::function<void()> write_wanted, write_other;
  std::function<Attached()> attach;  // and says where, and takes it away
};

constexpr size_t kRoundsOfOne = 300, kChildren = 60;

// In a child. Whether it was killed; `won`, if it lives on although something else is attached.
bool is_killed(const Contest& contest, bool& won) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    run_on(0);
    for (size_t round = 0; round < kRoundsOfOne; round++)
      if (contest.attach() == Attached::other) ::_exit(1);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  won = WIFEXITED(status) && WEXITSTATUS(status) == 1;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

Writer exchange_in(const Contest& contest) {
  return Writer(exchange(contest.write_other, contest.write_wanted));
}

bool wins(const Contest& contest) {
  const Linger linger;
  const Writer writer = exchange_in(contest);
  bool won = false;
  for (size_t tries = 0; tries < kChildren && !won; tries++) is_killed(contest, won);
  return won;
}

// Where nobody can look again when the call ends, nothing goes to what others may write, unless it
// may go anywhere.
void must_be_refused(const Contest& contest) {
  Warden warden;
  warden.apply("enforce", contest.rules);
  contest.write_wanted();
  CHECK(contest.attach() == Attached::no);
  CHECK(last_refused_attachment(warden)["cause"] == "missing-fact");
  {
    const Writer writer = exchange_in(contest);
    bool won = false;
    CHECK_FALSE(is_killed(contest, won));
    CHECK_FALSE(won);
  }
  contest.write_wanted();
  warden.apply("enforce", contest.rules_for_any);
  CHECK(contest.attach() == Attached::wanted);
}

void must_be_killed(const Contest& contest) {
  if (!awaits_ends()) return must_be_refused(contest);
  const Linger linger;
  Warden warden;
  warden.apply("enforce", contest.rules);
  contest.write_other();
  CHECK(contest.attach() == Attached::no);
  CHECK(last_refused_attachment(warden)["cause"] == "default");
  size_t killed = 0;
  {
    const Writer writer = exchange_in(contest);
    bool won = false;
    for (size_t tries = 0; tries < kChildren && killed == 0; tries++) {
      if (is_killed(contest, won)) killed++;
      CHECK_FALSE(won);
    }
  }
  CHECK(killed == 1);
  size_t told = 0;
  for (const auto& event : warden.events())
    if (event["cause"] == "attach-race") told++;
  CHECK(told == killed);
  contest.write_wanted();
  CHECK(contest.attach() == Attached::wanted);
}

std::string allow(const std::string& point) {
  return "[[rules]]\nname = \"here\"\nallow = [\"" + point + "\"]\nsignature = \"unsigned\"\n";
}

Contest functions_of_a_probe() {
  static SharedPage& page = SharedPage::make();
  const auto program = std::make_shared<Fd>();  // of the policy's time
  const unsigned long wanted = address_of("tcp_connect"), other = address_of("tcp_close");
  return {allow("kprobe.multi/tcp_connect"), allow("kprobe.multi/*"), [=] { page.number = wanted; },
          [=] { page.number = other; },
          [=] {
            if (!*program) *program = loaded(program_of("kprobe.multi"));
            LIBBPF_OPTS(bpf_link_create_opts, options);
            options.kprobe_multi.addrs = const_cast<const unsigned long*>(&page.number);
            options.kprobe_multi.cnt = 1;
            const Fd link(bpf_link_create(program->get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
            if (!link) return Attached::no;
            return probed_address(link) == wanted ? Attached::wanted : Attached::other;
          }};
}

std::string traced_by(const Fd& link) {
  char name[64] = {};
  bpf_link_info info = {};
  info.raw_tracepoint.tp_name = loader::as_u64(name);
  info.raw_tracepoint.tp_name_len = sizeof(name);
  uint32_t size = sizeof(info);
  return bpf_link_get_info_by_fd(link.get(), &info, &size) == 0 ? name : "";
}

Contest name_of_a_tracepoint() {
  static SharedPage& page = SharedPage::make();
  const auto program = std::make_shared<Fd>();
  constexpr const char* kWanted = "task_rename";
  return {allow(std::string("raw_tp/") + kWanted), allow("raw_tp/*"),
          [] { std::strcpy(page.text, kWanted); }, [] { std::strcpy(page.text, "sys_enter"); },
          [=] {
            if (!*program) *program = loaded(program_of("raw_tp"));
            const Fd link(bpf_raw_tracepoint_open(page.text, program->get()));
            if (!link) return Attached::no;
            return traced_by(link) == kWanted ? Attached::wanted : Attached::other;
          }};
}

const Control another_function([] { return wins(functions_of_a_probe()); });
const Control another_tracepoint([] { return wins(name_of_a_tracepoint()); });

// ---- A map's new value --------------------------------------------------------------------------

Load tail_called(int value) { return Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, value); }

int update(const Fd& map, const void* value) {
  const uint32_t first = 0;
  return error_of(bpf_map_update_elem(map.get(), &first, value, BPF_ANY));
}

// Whether the other program ever gets into the map, of which the hook has seen the wanted one.
bool gets_in(const Fd& wanted, const Fd& other, size_t rounds) {
  static SharedPage& page = SharedPage::make();
  const Fd map = make_map(BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t));
  const auto write = [](const Fd& program) {
    page.number = static_cast<unsigned long>(program.get());
  };
  const Writer writer(exchange([&] { write(other); }, [&] { write(wanted); }));
  run_on(0);
  for (size_t round = 0; round < rounds; round++) {
    const uint32_t first = 0;
    uint32_t id = 0;
    if (update(map, const_cast<const unsigned long*>(&page.number)) == 0 &&
        bpf_map_lookup_elem(map.get(), &first, &id) == 0 && id == program_id(other))
      return true;
  }
  return false;
}

const Control another_program([] {
  return gets_in(loaded(tail_called(0)), loaded(tail_called(1)), 100'000);
});

}  // namespace

TEST_CASE("attack_swap_the_functions_of_a_probe_in_shared_memory", "[vm][control][attack][race]") {
  another_function.must_have_worked();
  must_be_killed(functions_of_a_probe());
}

TEST_CASE("attack_swap_the_name_of_a_tracepoint_in_shared_memory", "[vm][control][attack][race]") {
  another_tracepoint.must_have_worked();
  must_be_killed(name_of_a_tracepoint());
}

TEST_CASE("attack_swap_the_program_of_a_tail_call_in_shared_memory",
          "[vm][control][attack][race]") {
  another_program.must_have_worked();
  const TwoPrograms two = {tail_called(0), tail_called(1)};
  Warden warden;
  warden.apply("enforce", two.rules("socket", "socket") +
                              "[[rules]]\nname = \"filters\"\nload-only = [\"tc\"]\n"
                              "signature = \"unsigned\"\n");
  const Fd map = make_map(BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t));
  const Fd wanted = loaded(two.wanted);
  const int wanted_number = wanted.get();
  CHECK(update(map, &wanted_number) == 0);
  const Fd of_another_type = loaded(program_of("tc"));  // which the map does not take
  CHECK(update(map, &wanted_number) == 0);
  const Fd other = loaded(two.other);
  CHECK(update(map, &wanted_number) == EPERM);  // while it holds one that the map would take, too
  CHECK(last_refused_attachment(warden)["rule"] == "other");
  CHECK_FALSE(gets_in(wanted, other, 2'000));
}

}  // namespace bpfwarden::vm
