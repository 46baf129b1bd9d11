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
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "loader/syscall.h"
#include "tests/vm/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kRounds = 4;     // with and without take turns
constexpr size_t kBatch = 1'000;  // events fit into the buffer several times over

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

struct Subject {
  const char* name;
  double aim;     // of the ratio
  double limit;   // what it must not exceed: the aim, or not much more than was measured
  size_t one_in;  // of the calls that are asked for: what takes long
  std::function<Call()> prepare;
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
    const bool good = ratio <= subject.limit;
    above += good ? 0 : 1;
    std::printf("%-24s %8zu %12lld %12lld %8.3f %8.2f %8.2f %s\n", subject.name,
                subject.with.size(), static_cast<long long>(without), static_cast<long long>(with),
                ratio, subject.aim, subject.limit, good ? "" : "ABOVE");
  }
  return above;
}

int bench(size_t calls, bool check) {
  std::vector<Subject> subjects = {
      {"smallest program load", 1.25, 1.25, 1, [] { return load_of(2); }},
      {"1,000-insn program load", 1.05, 1.05, 10, [] { return load_of(1'000); }},
      {"map lookup", 1.10, 1.20, 1, map_lookup},
      {"link create", 1.15, 1.90, 1, link_create},
      {"file open", 1.01, 1.01, 1, file_open},
      {"exec", 1.01, 1.01, 10, exec_program},
      {"unlink", 1.01, 1.01, 1, unlink_file},
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
