// Evidence that somebody tries to drown: by calls that come to nothing, behind what is allowed, and
// in denials without number.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int kNoDescriptor = -1, kNotOpen = 900;

// Filters are allowed wherever they go; of what else is tried, some falls at attach.
constexpr const char* kRules = R"(
[[rules]]
name = "filters"
allow = ["socket", "xdp@lo"]
signature = "unsigned"
)";

// One call of each kind that names a program, by this descriptor. Returns errno of each.
std::vector<int> calls_that_name(int fd) {
  std::vector<int> errors;
  for (const bpf_cmd command : {BPF_LINK_CREATE, BPF_LINK_UPDATE, BPF_PROG_ATTACH,
                                BPF_RAW_TRACEPOINT_OPEN, BPF_PROG_TEST_RUN, BPF_ITER_CREATE}) {
    bpf_attr attr = {};
    attr.link_create.prog_fd = static_cast<uint32_t>(fd);
    if (command == BPF_LINK_UPDATE) attr.link_update = {.link_fd = static_cast<uint32_t>(fd)};
    if (command == BPF_LINK_UPDATE) attr.link_update.new_prog_fd = static_cast<uint32_t>(fd);
    if (command == BPF_PROG_ATTACH) {
      attr.attach_bpf_fd = static_cast<uint32_t>(fd);
      attr.attach_type = BPF_CGROUP_INET_INGRESS;
    }
    if (command == BPF_RAW_TRACEPOINT_OPEN)
      attr.raw_tracepoint = {.prog_fd = static_cast<uint32_t>(fd)};
    if (command == BPF_PROG_TEST_RUN) attr.test = {.prog_fd = static_cast<uint32_t>(fd)};
    if (command == BPF_ITER_CREATE) attr.iter_create = {.link_fd = static_cast<uint32_t>(fd)};
    errors.push_back(error_of(loader::sys_bpf(command, attr)));
  }
  return errors;
}

int create_link(int fd) {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(fd);
  attr.link_create.target_fd = static_cast<uint32_t>(fd);
  return error_of_made(loader::sys_bpf(BPF_LINK_CREATE, attr));
}

// As nobody, whose threads share their descriptors. 0: all of them failed with EBADF.
int make_calls_to_nothing(int rounds) {
  return in_child([rounds] {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return 2;
    const Companion companion;
    for (const int fd : {kNoDescriptor, kNotOpen})
      for (const int error : calls_that_name(fd))
        if (error != EBADF) return 3;
    std::thread other([rounds] {
      for (int i = 0; i < rounds; i++) (void)create_link(kNoDescriptor);
    });
    int wrong = 0;
    for (int i = 0; i < rounds; i++)
      wrong += create_link(i % 2 == 0 ? kNoDescriptor : kNotOpen) != EBADF;
    other.join();
    return wrong == 0 ? 0 : 4;
  });
}

uint64_t counted(const std::vector<nlohmann::json>& events) {
  uint64_t sum = 0;
  for (const nlohmann::json& event : events) sum += event["count"].get<uint64_t>();
  return sum;
}

std::vector<nlohmann::json> denials(const std::vector<nlohmann::json>& events) {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& event : events)
    if (event["decision"] == "deny") found.push_back(event);
  return found;
}

std::vector<nlohmann::json> of_process(const std::vector<nlohmann::json>& events, pid_t process) {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& event : events)
    if (event["tgid"] == process) found.push_back(event);
  return found;
}

nlohmann::json counters() {
  return nlohmann::json::parse(run("bpfwarden status --json").output)["counters"];
}

// Loads in a process of its own, all of which must come to this.
pid_t load_often(const Load& request, int times, int wanted) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child != 0) return child;
  int wrong = 0;
  for (int i = 0; i < times; i++) wrong += load(request).error != wanted;
  ::_exit(wrong == 0 ? 0 : 1);
}

// Each a decision: some rule falls at attach, so that a run is judged, too.
void run_often(const Fd& program, int times) {
  std::array<uint8_t, 64> packet = {};
  int wrong = 0;
  for (int i = 0; i < times; i++) {
    bpf_attr attr = {};
    attr.test.prog_fd = static_cast<uint32_t>(program.get());
    attr.test.data_in = loader::as_u64(packet.data());
    attr.test.data_size_in = packet.size();
    wrong += loader::sys_bpf(BPF_PROG_TEST_RUN, attr) != 0;
  }
  CHECK(wrong == 0);
}

// Denials that cost little: of who has a thread.
pid_t share_often(const Fd& program, int times) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child != 0) return child;
  int wrong = 0;
  {
    const Companion companion;
    for (int i = 0; i < times; i++) wrong += create_link(program.get()) != EPERM;
  }
  ::_exit(wrong == 0 ? 0 : 1);
}

void must_end_well(pid_t child) {
  int ended = -1;
  REQUIRE(::waitpid(child, &ended, 0) == child);
  CHECK(ended == 0);
}

Load sk_lookup() {
  Load request = Load::of_type(BPF_PROG_TYPE_SK_LOOKUP, 1);
  request.attach_type = BPF_SK_LOOKUP;
  return request;
}

void bury_under_what_is_allowed(int allowed) {
  Warden warden;
  warden.apply("enforce", kRules);
  const Fd filter = loaded(Load::packet_filter());
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SK_MSG)).error == EPERM);
  run_often(filter, allowed / 2);
  CHECK(load(sk_lookup()).error == EPERM);
  run_often(filter, allowed / 2);
  const Fd program = loaded(Load{});
  Companion companion;
  CHECK(error_of_made(bpf_link_create(program.get(), static_cast<int>(::if_nametoindex("lo")),
                                      BPF_XDP, nullptr)) == EPERM);
  const nlohmann::json now = counters();
  CHECK(now["dropped"].get<int>() > 0);  // or it was no burial
  CHECK(now["summed"] == 0);
  const auto left = denials(warden.events());
  REQUIRE(left.size() == 3);
  CHECK(left[0]["attach"] == "sk_msg");
  CHECK(left[1]["attach"] == "sk_lookup");
  CHECK(left[2]["cause"] == "shared-files");
}

}  // namespace

TEST_CASE("attack_drown_denials_by_calls_that_name_nothing", "[vm][control][attack]") {
  constexpr int rounds = 10'000, real = 11;
  Control([] { return make_calls_to_nothing(100) == 0; }).must_have_worked();
  Warden warden;
  warden.apply("enforce", kRules);
  const nlohmann::json before = counters();
  CHECK(make_calls_to_nothing(rounds) == 0);
  for (int i = 0; i < real; i++) CHECK(load(Load::of_type(BPF_PROG_TYPE_SK_MSG)).error == EPERM);
  CHECK(make_calls_to_nothing(rounds) == 0);
  const auto events = warden.events();
  CHECK(events.size() == real);
  CHECK(denials(events).size() == real);
  CHECK(counters()["decided"] == before["decided"].get<int>() + real);
  // Who may attach is told of, unless it is a question about the kernel.
  {
    const Companion companion;
    CHECK(create_link(kNoDescriptor) == EBADF);
    CHECK(warden.events().empty());
    CHECK(create_link(kNotOpen) == EPERM);
    const auto told = warden.events();
    REQUIRE(told.size() == 1);
    CHECK(told[0]["cause"] == "shared-files");
  }
  // The twin: alone, with a program.
  const Fd program = loaded(Load{});
  CHECK(error_of_made(bpf_link_create(program.get(), static_cast<int>(::if_nametoindex("lo")),
                                      BPF_XDP, nullptr)) == 0);
}

TEST_CASE("attack_put_a_program_where_there_was_none",
          "[vm][control][attack][kernel][kernel:task_work][kernel:task_work_impl]") {
  constexpr int rounds = 20'000;
  constexpr const char* rules =
      "[[rules]]\nname = \"here\"\nallow = [\"raw_tp/sched_switch\"]\nsignature = \"unsigned\"\n"
      "[[rules]]\nname = \"loads\"\nload-only = [\"raw_tp/*\"]\nsignature = \"unsigned\"\n";
  const auto opens = [](const Fd& program) {
    return in_child([&] {
      if (::setresuid(kNobody, kNobody, kNobody) != 0) return 2;
      const Exchange exchange(program, [&](int slot) {
        ::close(slot);
        ::dup2(program.get(), slot);
      });
      for (int i = 0; i < rounds; i++) {
        bpf_attr attr = {};
        attr.raw_tracepoint.name = loader::as_u64("sched_wakeup");
        attr.raw_tracepoint.prog_fd = static_cast<uint32_t>(exchange.slot());
        if (Fd(loader::sys_bpf(BPF_RAW_TRACEPOINT_OPEN, attr))) return 0;
      }
      return 1;
    });
  };
  Control([&] {
    return opens(loaded(Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT))) == 0;
  }).must_have_worked();
  Warden warden;
  warden.apply("enforce", rules);
  const Fd program = loaded(Load::of_type(BPF_PROG_TYPE_RAW_TRACEPOINT));
  CHECK(opens(program) == 1);
  // The twin: alone, where a rule wants it.
  CHECK(error_of_made(bpf_raw_tracepoint_open("sched_switch", program.get())) ==
        (awaits_ends() ? 0 : EPERM));
}

TEST_CASE("attack_bury_denials_under_what_is_allowed", "[vm][attack]") {
  bury_under_what_is_allowed(20'000);
}

TEST_CASE("attack_bury_denials_under_200000_that_are_allowed", "[vm][attack][slow]") {
  bury_under_what_is_allowed(200'000);
}

namespace {

// "0::/…", without the end of its line: also the path that events have.
std::string own_cgroup() {
  std::string line;
  std::getline(std::ifstream("/proc/self/cgroup"), line);
  return line.substr(line.rfind(':') + 1);
}

}  // namespace

TEST_CASE("attack_drown_denials_in_denials", "[vm][attack]") {
  constexpr int flood = 4'000, real = 11;
  Warden warden;
  warden.apply("enforce", kRules);
  const Fd program = loaded(Load{});
  (void)warden.events();
  const nlohmann::json before = counters();
  const std::array<pid_t, 2> floods = {share_often(program, flood), share_often(program, flood)};
  for (const pid_t child : floods) must_end_well(child);
  const pid_t victim = load_often(sk_lookup(), real, EPERM);
  must_end_well(victim);
  CHECK(load(Load::packet_filter()).error == 0);
  const nlohmann::json now = counters();
  const auto events = denials(warden.events());
  CHECK(now["dropped"] == before["dropped"]);
  CHECK(now["summed"].get<int>() > 0);
  CHECK(now["refused"].get<int>() - before["refused"].get<int>() == 2 * flood + real);
  CHECK(counted(events) == 2 * flood + real);
  for (const pid_t child : floods) CHECK(counted(of_process(events, child)) == flood);
  for (const nlohmann::json& event : events) {  // in sums, too
    CHECK(event["cgroup"] == own_cgroup());
    CHECK(event["exe"].get<std::string>().ends_with("/vm_tests"));
  }
  const auto of_victim = of_process(events, victim);
  CHECK(counted(of_victim) == real);
  for (const nlohmann::json& event : of_victim) {
    CHECK(event["attach"] == "sk_lookup");
    CHECK(event["program"] == "scene");
    CHECK(event["cause"] == "default");
    CHECK(event["errno"] == EPERM);
    CHECK(event["exe"].is_string());
  }
  // Told once; what comes later, too.
  CHECK(warden.events().empty());
  const pid_t later = share_often(program, real);
  must_end_well(later);
  CHECK(counted(of_process(warden.events(), later)) == real);
}

}  // namespace bpfwarden::vm
