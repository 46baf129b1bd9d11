// Work and memory that somebody without any right has bpfwarden spend. What calls cost is measured
// by tests/bench/calls; here it is about what they leave behind.
#include <bpf/bpf.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kCallers = 200;

// Of the size that the kernel has for the note of a task.
size_t notes_at_most() {
  std::ifstream slabs("/proc/slabinfo");
  size_t objects = 0;
  for (std::string line; std::getline(slabs, line);) {
    std::istringstream words(line);
    std::string name;
    size_t active = 0;
    words >> name >> active;
    if (name.starts_with("kmalloc-") && name.ends_with("8k")) objects += active;
  }
  return objects;
}

void send_filter(int netlink) {
  struct {
    nlmsghdr header;
    tcmsg filter;
    rtattr kind;
    char name[4];
  } message = {};
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = RTM_NEWTFILTER;
  message.header.nlmsg_flags = NLM_F_REQUEST;
  message.kind = {.rta_len = sizeof(rtattr) + 4, .rta_type = TCA_KIND};
  std::memcpy(message.name, "bpf", 4);
  ::send(netlink, &message, sizeof(message), 0);
}

// All that a process can try that has nothing and may nothing.
void try_all() {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  const Fd udp(::socket(AF_INET, SOCK_DGRAM, 0));
  const int none = -1;
  if (::setresuid(65534, 65534, 65534) != 0) ::_exit(1);
  for (const bpf_cmd command :
       {BPF_LINK_CREATE, BPF_LINK_UPDATE, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN,
        BPF_PROG_TEST_RUN, BPF_MAP_UPDATE_ELEM, BPF_ITER_CREATE}) {
    bpf_attr attr;
    std::memset(&attr, 0xff, 32);  // no such descriptor, whichever member it is
    ::syscall(SYS_bpf, command, &attr, 32);
  }
  Load signed_load = Load::packet_filter();
  signed_load.signature.resize(64);
  load(signed_load);
  ::setsockopt(udp.get(), SOL_SOCKET, SO_ATTACH_BPF, &none, sizeof(none));
  send_filter(netlink.get());
}

// How many more notes there can be while this many processes are through with `work` and live.
size_t grows_by(const std::function<void()>& work) {
  int done[2], leave[2];
  REQUIRE(::pipe(done) == 0);
  REQUIRE(::pipe(leave) == 0);
  const size_t before = notes_at_most();
  std::vector<pid_t> callers(kCallers);
  for (pid_t& caller : callers) {
    caller = ::fork();
    REQUIRE(caller >= 0);
    if (caller != 0) continue;
    char byte = 0;
    ::close(leave[1]);
    work();
    if (::write(done[1], &byte, 1) == 1) (void)!::read(leave[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  for (size_t i = 0; i < kCallers; i++) REQUIRE(::read(done[0], &byte, 1) == 1);
  const size_t after = notes_at_most();
  for (const int end : {done[0], done[1], leave[0], leave[1]}) ::close(end);
  for (const pid_t caller : callers) ::waitpid(caller, nullptr, 0);
  return after > before ? after - before : 0;
}

}  // namespace

TEST_CASE("attack_fill_memory_with_notes", "[vm][attack]") {
  if (notes_at_most() == 0) SKIP("this kernel does not tell what its memory is used for");
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"filters\"\nallow = [\"socket\", \"xdp@lo\"]\n"
               "signature = \"unsigned\"\n");
  CHECK(grows_by(try_all) < kCallers / 4);
  // Who attaches something does have one, or this could not fail.
  const Fd filter = loaded(Load::packet_filter());
  CHECK(grows_by([&] {
          const Fd udp(::socket(AF_INET, SOCK_DGRAM, 0));
          const int fd = filter.get();
          if (::setsockopt(udp.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) != 0) ::_exit(1);
        }) > kCallers / 2);
}

}  // namespace bpfwarden::vm
