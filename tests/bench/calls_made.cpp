#include "tests/bench/calls_made.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/netlink_request.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

int64_t timed(const std::function<bool()>& call, const char* what) {
  const int64_t start = now_ns();
  const bool good = call();
  const int64_t took = now_ns() - start;
  require(good, what);
  return took;
}

std::vector<uint8_t> straight_line(size_t instructions) {
  const std::vector<uint8_t> two = Load::return_value(0);
  const size_t size = two.size() / 2;
  std::vector<uint8_t> all;
  for (size_t i = 0; i + 1 < instructions; i++)
    all.insert(all.end(), two.begin(), two.begin() + static_cast<ptrdiff_t>(size));
  all.insert(all.end(), two.begin() + static_cast<ptrdiff_t>(size), two.end());
  return all;
}

Fd make_map() {
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_HASH;
  attr.key_size = attr.value_size = sizeof(uint32_t);
  attr.max_entries = 16;
  Fd map(loader::sys_bpf(BPF_MAP_CREATE, attr));
  require(static_cast<bool>(map), "BPF_MAP_CREATE");
  return map;
}

// ---- By who has no right to attach anything -----------------------------------------------------

// For the calling thread alone, for as long as the object lives.
class Nobody {
 public:
  Nobody() { require(::syscall(SYS_setresuid, -1, 65534, -1) == 0, "setresuid"); }
  Nobody(const Nobody&) = delete;
  Nobody& operator=(const Nobody&) = delete;
  ~Nobody() { ::syscall(SYS_setresuid, -1, 0, -1); }
};

constexpr int kDescriptors = 65'000;

// As many open files as somebody may have: each hangs on to one and the same.
std::shared_ptr<std::vector<Fd>> many_descriptors() {
  const rlimit limit = {kDescriptors + 500, kDescriptors + 500};
  require(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
  auto all = std::make_shared<std::vector<Fd>>();
  all->emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  while (all->size() < kDescriptors) {
    all->emplace_back(::fcntl(all->front().get(), F_DUPFD_CLOEXEC, 0));
    require(static_cast<bool>(all->back()), "F_DUPFD");
  }
  return all;
}

constexpr size_t kMessages = 64;

struct FilterMessage {
  nlmsghdr header;
  tcmsg filter;
  rtattr kind;
  char name[4];
};

// ---- By who manages a network, and holds a program ----------------------------------------------

Fd route_socket() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  require(static_cast<bool>(socket), "socket");
  return socket;
}

void send_and_hear(const Fd& socket, Request& request) {
  const std::vector<uint8_t> bytes = request.buffer();
  char answer[4'096] = {};
  require(::send(socket.get(), bytes.data(), bytes.size(), 0) > 0, "sendmsg");
  require(::recv(socket.get(), answer, sizeof(answer), 0) > 0, "recvmsg");
  const auto error = reinterpret_cast<const nlmsgerr*>(answer + NLMSG_HDRLEN)->error;
  errno = -error;
  require(error == 0, "the kernel's answer");
}

Request route(uint16_t type) {
  Request request(type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0, host_route());
  request.put(RTA_DST, uint32_t{0x070200c0});  // 192.0.2.7
  request.put(RTA_OIF, uint32_t{1});
  return request;
}

// Without counters for each CPU: how long the kernel looks for a place for those depends on what
// else lives there, of BPF programs as well, and can be half of the call.
Request filter(uint16_t type) {
  tcmsg body = {};
  body.tcm_ifindex = 1;
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  body.tcm_info = TC_H_MAKE(7U << 16, 0x0008);  // ETH_P_IP
  Request request(type, type == RTM_NEWTFILTER ? NLM_F_CREATE | NLM_F_EXCL : 0, body);
  request.put_text(TCA_KIND, "flower");
  const size_t options = request.begin(TCA_OPTIONS | NLA_F_NESTED);
  request.put(TCA_FLOWER_KEY_ETH_TYPE, uint16_t{0x0008});
  request.put(TCA_FLOWER_KEY_IPV4_DST, uint32_t{0x070200c0});
  put_gact(request, TCA_FLOWER_ACT, TCA_ACT_FLAGS_NO_PERCPU_STATS);
  request.end(options);
  return request;
}

// What is made by the first is taken away by the second, which does not count.
Call make_and_remove(Request make, Request remove) {
  Load held;
  held.type = BPF_PROG_TYPE_SOCKET_FILTER;
  auto program = std::make_shared<Attempt>(load(held));
  require(program->error == 0, "BPF_PROG_LOAD");
  auto socket = std::make_shared<Fd>(route_socket());
  auto both = std::make_shared<std::pair<Request, Request>>(std::move(make), std::move(remove));
  return [program, socket, both] {
    const int64_t took = timed(
        [&] {
          send_and_hear(*socket, both->first);
          return true;
        },
        "a message of netlink");
    send_and_hear(*socket, both->second);
    return took;
  };
}

}  // namespace

Call load_of(size_t instructions) {
  Load request;
  request.type = BPF_PROG_TYPE_SOCKET_FILTER;
  request.insns = straight_line(instructions);
  return [request] {
    Attempt done;
    return timed([&] { return (done = load(request)).error == 0; }, "BPF_PROG_LOAD");
  };
}

Call map_lookup() {
  const auto map = std::make_shared<Fd>(make_map());
  return [map] {
    uint32_t key = 1, value = 0;
    bpf_attr attr = {};
    attr.map_fd = static_cast<uint32_t>(map->get());
    attr.key = loader::as_u64(&key);
    attr.value = loader::as_u64(&value);
    return timed([&] { return loader::sys_bpf(BPF_MAP_LOOKUP_ELEM, attr) != 0 && errno == ENOENT; },
                 "BPF_MAP_LOOKUP_ELEM");
  };
}

// Of a program that is loaded anew for each round: the policy of this round has admitted it.
Call link_create() {
  Load request;
  request.type = BPF_PROG_TYPE_CGROUP_SKB;
  request.insns = Load::return_value(1);
  auto program = std::make_shared<Attempt>(load(request));
  require(program->error == 0, "BPF_PROG_LOAD of a cgroup program");
  ::mkdir("/sys/fs/cgroup/bench", 0755);
  auto cgroup = std::make_shared<Fd>(::open("/sys/fs/cgroup/bench", O_RDONLY | O_DIRECTORY));
  return [program, cgroup] {
    bpf_attr attr = {};
    attr.link_create.prog_fd = static_cast<uint32_t>(program->fd.get());
    attr.link_create.target_fd = static_cast<uint32_t>(cgroup->get());
    attr.link_create.attach_type = BPF_CGROUP_INET_EGRESS;
    Fd link;
    return timed(
        [&] { return static_cast<bool>(link = Fd(loader::sys_bpf(BPF_LINK_CREATE, attr))); },
        "BPF_LINK_CREATE");
  };
}

Call file_open() {
  return [] {
    Fd file;
    return timed(
        [&] { return static_cast<bool>(file = Fd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC))); },
        "open");
  };
}

Call unlink_file() {
  return [] {
    {
      const Fd file(::open("/tmp/bench", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    return timed([] { return ::unlink("/tmp/bench") == 0; }, "unlink");
  };
}

Call exec_program() {
  return [] {
    return timed(
        [] {
          char name[] = "/usr/bin/true";
          char* arguments[] = {name, nullptr};
          pid_t child = 0;
          int ended = 0;
          return ::posix_spawn(&child, name, nullptr, nullptr, arguments, nullptr) == 0 &&
                 ::waitpid(child, &ended, 0) == child;
        },
        "exec");
  };
}

Call filter_messages() {
  auto held = many_descriptors();
  auto socket = std::make_shared<Fd>(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  auto messages = std::make_shared<std::vector<FilterMessage>>(kMessages);
  for (FilterMessage& message : *messages) {
    message.header = {.nlmsg_len = sizeof(message),
                      .nlmsg_type = RTM_NEWTFILTER,
                      .nlmsg_flags = NLM_F_REQUEST,
                      .nlmsg_seq = 0,
                      .nlmsg_pid = 0};
    message.filter.tcm_ifindex = 1;
    message.kind = {.rta_len = sizeof(rtattr) + 4, .rta_type = TCA_KIND};
    std::memcpy(message.name, "bpf", 4);
  }
  return [held, socket, messages] {
    const Nobody nobody;
    char answers[65'536];
    const auto size = static_cast<ssize_t>(messages->size() * sizeof(FilterMessage));
    const int64_t took = timed(
        [&] {
          return ::send(socket->get(), messages->data(), static_cast<size_t>(size), 0) == size;
        },
        "sendmsg");
    while (::recv(socket->get(), answers, sizeof(answers), MSG_DONTWAIT) > 0) continue;
    return took;
  };
}

Call add_route() {
  run("ip link set lo up");
  return make_and_remove(route(RTM_NEWROUTE), route(RTM_DELROUTE));
}

Call add_filter() {
  run("tc qdisc add dev lo clsact 2>/dev/null");
  return make_and_remove(filter(RTM_NEWTFILTER), filter(RTM_DELTFILTER));
}

Call attach_nothing_to_socket() {
  auto held = many_descriptors();
  auto socket = std::make_shared<Fd>(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return [held, socket] {
    const Nobody nobody;
    const int none = -1;
    return timed(
        [&] {
          return ::setsockopt(socket->get(), SOL_SOCKET, SO_ATTACH_BPF, &none, sizeof(none)) != 0 &&
                 errno == EBADF;
        },
        "SO_ATTACH_BPF");
  };
}

Call link_of_nothing() {
  return [] {
    const Nobody nobody;
    bpf_attr attr = {};
    attr.link_create.prog_fd = static_cast<uint32_t>(-1);
    return timed([&] { return loader::sys_bpf(BPF_LINK_CREATE, attr) != 0; }, "BPF_LINK_CREATE");
  };
}

}  // namespace bpfwarden::vm
