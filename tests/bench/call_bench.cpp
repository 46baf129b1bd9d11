// What bpfwarden adds to system calls: medians over many calls of each, with an enforcing policy
// and without one, by turns in one boot. Runs as root in a guest (tests/bench/calls).
//
// Times are instructions of the guest (tests/vm/run --instructions), so that a busy host changes
// nothing.
//
// usage: call_bench [--calls N] [--check]
//   --calls N  of each kind and in either state; 20,000 if not given, a tenth of what takes long
//   --check    exit 1 if a ratio is above its limit
//
// Events are read between the batches, so that each decision finds room for its own.
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

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/netlink_request.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kRounds = 4;     // with and without take turns
constexpr size_t kBatch = 1'000;  // events fit into the buffer several times over

// What is added at most to a call that comes to nothing; and where a call does not say which
// program it means, so that each descriptor of the caller is looked at: 64 instructions for each.
constexpr int64_t kMostAdded = 1'300, kMostWalked = int64_t{64} * 65'536;

// The link's place is asked for at attach, so that this is decided, too.
constexpr const char* kPolicy = R"(
[[rules]]
name = "what the bench loads"
allow = ["socket", "cgroup_skb/egress@/bench"]
signature = "unsigned"
)";

int64_t now_ns() {
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// One call: what it takes, in nanoseconds. What has to be done before and after is not counted.
using Call = std::function<int64_t()>;

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

Call load_of(size_t instructions) {
  Load request;
  request.type = BPF_PROG_TYPE_SOCKET_FILTER;
  request.insns = straight_line(instructions);
  return [request] {
    Attempt done;
    return timed([&] { return (done = load(request)).error == 0; }, "BPF_PROG_LOAD");
  };
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

struct Subject {
  const char* name;
  double aim;     // of the ratio
  double limit;   // what it must not exceed: the aim, or not much more than was measured
  size_t one_in;  // of the calls that are asked for: what takes long
  std::function<Call()> prepare;
  int64_t most = 0;  // instead of the limit, where it is not 0: what may be added to one call
  std::vector<int64_t> without = {}, with = {};
};

void measure(Subject& subject, size_t calls, std::vector<int64_t>& times) {
  const Call call = subject.prepare();
  for (size_t done = 0; done < calls; done++) {
    times.push_back(call());
    if (done % kBatch == kBatch - 1) run("bpfwarden events >/dev/null");
  }
}

int64_t median(std::vector<int64_t> times) {
  const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

int report(const std::vector<Subject>& subjects) {
  int above = 0;
  std::printf("%-24s %8s %12s %12s %8s %8s %8s\n", "medians", "calls", "without ns", "with ns",
              "ratio", "aim", "limit");
  for (const Subject& subject : subjects) {
    const int64_t without = median(subject.without), with = median(subject.with);
    const double ratio = static_cast<double>(with) / static_cast<double>(without);
    const bool good = subject.most != 0 ? with - without <= subject.most : ratio <= subject.limit;
    above += good ? 0 : 1;
    std::printf("%-24s %8zu %12lld %12lld %8.3f %8.2f %8.2f %s\n", subject.name,
                subject.with.size(), static_cast<long long>(without), static_cast<long long>(with),
                ratio, subject.aim, subject.limit, good ? "" : "ABOVE");
  }
  return above;
}

int bench(size_t calls, bool check) {
  std::vector<Subject> subjects = {
      {"smallest program load", 1.10, 1.13, 1, [] { return load_of(2); }},
      {"1,000-insn program load", 1.02, 1.02, 10, [] { return load_of(1'000); }},
      {"map lookup", 1.10, 1.10, 1, map_lookup},
      {"link create", 1.15, 1.55, 1, link_create},
      {"file open", 1.01, 1.06, 1, file_open},
      {"exec", 1.01, 1.02, 10, exec_program},
      {"unlink", 1.01, 1.01, 1, unlink_file},
      {"route", 1.10, 1.08, 1, add_route},
      {"filter of tc", 1.10, 1.07, 1, add_filter},
      {"nobody: 64 filters", 1.10, 1.02, 10, filter_messages},
      {"nobody: link of nothing", 1.10, 1.10, 1, link_of_nothing, kMostAdded},
      {"nobody: socket, 65,000", 1.10, 1.10, 10, attach_nothing_to_socket, kMostWalked},
  };
  for (size_t round = 0; round < kRounds; round++) {
    run("bpfwarden off");
    for (Subject& subject : subjects)
      measure(subject, calls / subject.one_in / kRounds, subject.without);
    Warden warden;
    warden.apply("enforce", kPolicy);
    for (Subject& subject : subjects)
      measure(subject, calls / subject.one_in / kRounds, subject.with);
  }
  return report(subjects) != 0 && check ? 1 : 0;
}

}  // namespace
}  // namespace bpfwarden::vm

int main(int argc, char** argv) {
  try {
    size_t calls = 20'000;
    bool check = false;
    for (int i = 1; i < argc; i++) {
      const std::string option = argv[i];
      if (option == "--check")
        check = true;
      else if (option == "--calls" && i + 1 < argc)
        calls = std::stoul(argv[++i]);
      else
        throw std::runtime_error("usage: call_bench [--calls N] [--check]");
    }
    return bpfwarden::vm::bench(calls, check);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "call_bench: %s\n", error.what());
    return 1;
  }
}
