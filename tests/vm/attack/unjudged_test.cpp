// The alarm under all ways: with one hook taken out, which stands for a way that nobody knows of,
// its first use is told of and its process killed. Who goes by the ways that are known meets
// nothing of it, whichever other programs its calls name.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPins = "/sys/fs/bpf/bpfwarden/";
constexpr std::chrono::seconds kSettling(6);  // bpf-lsm/attach/unjudged.bpf.h

// All that is used here may be loaded. What is named "never" may not be attached.
std::string rules(const std::string& never) {
  return "[[rules]]\nname = \"never\"\nload-only = [" + never +
         "]\nsignature = \"unsigned\"\n"
         "[[rules]]\nname = \"all\"\nallow = [\"*\"]\nsignature = \"unsigned\"\n";
}

struct Way {
  const char* hook;         // whose link is taken out
  const char* family;       // of the program
  const char* system_call;  // its number, as the event has it
  std::function<int(const Fd& program)> use;
};

int loopback() { return static_cast<int>(::if_nametoindex("lo")); }

int filter(const Fd& program) {
  const Fd socket = udp_socket();
  const int fd = program.get();
  return error_of(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
}

int trace(const Fd& program) {
  const Fd event = clock_event();
  return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
}

int receive(const Fd& program) {
  const int error = -bpf_xdp_attach(loopback(), program.get(), XDP_FLAGS_SKB_MODE, nullptr);
  if (error == 0) bpf_xdp_detach(loopback(), XDP_FLAGS_SKB_MODE, nullptr);
  return error;
}

int link(const Fd& program) {
  return error_of_made(bpf_link_create(program.get(), loopback(), BPF_XDP, nullptr));
}

std::vector<Way> ways() {
  return {{"attach_setsockopt", "socket", "54", filter},
          {"attach_ioctl", "perf_event", "16", trace},
          {"attach_netlink", "xdp", "44", receive},
          {"warden_bpf", "xdp", "321", link}};
}

// In a child. How it ended, as waitpid(2) says.
int used_by_a_child(const Way& way, const Fd& program) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(way.use(program));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

bool is_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

std::vector<nlohmann::json> alarms(Warden& warden) {
  std::vector<nlohmann::json> found = warden.events();
  std::erase_if(found, [](const auto& event) { return event["cause"] != "unjudged-route"; });
  return found;
}

const Control by_each_way([] {
  for (const Way& way : ways())
    if (way.use(loaded(program_of(way.family))) != 0) return false;
  return true;
});

}  // namespace

TEST_CASE("attack_use_a_way_that_no_hook_judges", "[vm][control][attack][attach]") {
  by_each_way.must_have_worked();
  Warden warden;
  warden.apply("enforce", rules(R"("xdp", "socket", "perf_event")"));
  std::this_thread::sleep_for(kSettling);
  for (const Way& way : ways()) {
    INFO(way.hook);
    const Fd program = loaded(program_of(way.family));
    CHECK(WEXITSTATUS(used_by_a_child(way, program)) == EPERM);
    CHECK(alarms(warden).empty());
    REQUIRE(std::filesystem::remove(std::string(kPins) + "link_" + way.hook));
    int status = 0;
    for (int tries = 0; tries < 100 && !is_killed(status); tries++) {  // until the kernel lets go
      status = used_by_a_child(way, program);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    INFO("ended: " << status);
    CHECK(is_killed(status));
    const auto told = alarms(warden);
    REQUIRE(told.size() == 1);
    CHECK(told.front()["program_id"] == program_id(program));
    CHECK(told.front()
              .value("system_call", "")
              .starts_with(std::string("system call ") + way.system_call));
  }
}

// Each command that turns a descriptor into a program and activates none, and each descriptor
// beside that of the program.
TEST_CASE("allow_calls_that_name_programs_which_they_do_not_attach",
          "[vm][attach][kernel][kernel:tcx_link]") {
  Warden warden;
  warden.apply("enforce", rules(R"("sk_lookup")"));
  std::this_thread::sleep_for(kSettling);
  const Fd one = loaded(program_of("xdp")), other = loaded(program_of("xdp"));

  CHECK(bpf_obj_pin(one.get(), "/sys/fs/bpf/unjudged") == 0);
  ::unlink("/sys/fs/bpf/unjudged");
  CHECK(bpf_prog_bind_map(one.get(), make_map(BPF_MAP_TYPE_ARRAY, 4).get(), nullptr) == 0);
  char text[8];
  bpf_prog_stream_read(one.get(), 1, text, sizeof(text), nullptr);  // there may be none

  CHECK(bpf_xdp_attach(loopback(), one.get(), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  LIBBPF_OPTS(bpf_xdp_attach_opts, replaced, .old_prog_fd = one.get());
  CHECK(bpf_xdp_attach(loopback(), other.get(), XDP_FLAGS_SKB_MODE | XDP_FLAGS_REPLACE,
                       &replaced) == 0);
  LIBBPF_OPTS(bpf_xdp_attach_opts, expected, .old_prog_fd = other.get());
  CHECK(bpf_xdp_detach(loopback(), XDP_FLAGS_SKB_MODE | XDP_FLAGS_REPLACE, &expected) == 0);

  const Fd first = loaded(program_of("tcx/ingress")), second = loaded(program_of("tcx/ingress"));
  const Fd link = make_link(first, loopback(), BPF_TCX_INGRESS);
  LIBBPF_OPTS(bpf_prog_attach_opts, beside, .flags = BPF_F_BEFORE, .relative_fd = first.get());
  CHECK(bpf_prog_attach_opts(second.get(), loopback(), BPF_TCX_INGRESS, &beside) == 0);
  CHECK(bpf_prog_detach_opts(second.get(), loopback(), BPF_TCX_INGRESS, nullptr) == 0);
  LIBBPF_OPTS(bpf_link_update_opts, updated, .flags = BPF_F_REPLACE,
              .old_prog_fd = static_cast<uint32_t>(first.get()));
  CHECK(bpf_link_update(link.get(), second.get(), &updated) == 0);

  CHECK(alarms(warden).empty());
}

}  // namespace bpfwarden::vm
