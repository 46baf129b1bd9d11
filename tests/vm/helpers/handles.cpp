#include "tests/vm/helpers/handles.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "loader/kernel/syscall.h"

namespace bpfwarden::vm {
namespace {

uint32_t number_in(const std::string& file) {
  uint32_t number = 0;
  std::ifstream(file) >> number;
  INFO(file);
  REQUIRE(number != 0);
  return number;
}

uint32_t pmu(const std::string& name) {
  return number_in("/sys/bus/event_source/devices/" + name + "/type");
}

// The first bit of config is "retprobe" for both kinds of probes.
perf_event_attr probe(const std::string& name, bool on_return) {
  return {.type = pmu(name), .config = on_return ? 1U : 0U};
}

bpf_link_info info_of(const Fd& link) {
  bpf_link_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_link_get_info_by_fd(link.get(), &info, &size) == 0);
  return info;
}

}  // namespace

Fd open_event(perf_event_attr attr) {
  attr.size = sizeof(attr);
  attr.sample_period = 1'000'000'000;
  Fd event(
      static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  INFO(std::strerror(errno));
  REQUIRE(event);
  return event;
}

Fd kprobe_event(const std::string& function, bool on_return) {
  perf_event_attr attr = probe("kprobe", on_return);
  if (function.starts_with("0x"))
    attr.kprobe_addr = std::stoull(function, nullptr, 16);
  else
    attr.kprobe_func = loader::as_u64(function.c_str());
  return open_event(attr);
}

Fd uprobe_event(uint64_t offset, bool on_return) {
  perf_event_attr attr = probe("uprobe", on_return);
  attr.uprobe_path = loader::as_u64(kUprobed);
  attr.probe_offset = offset;
  return open_event(attr);
}

Fd tracepoint_event(const std::string& group_and_name) {
  return open_event({.type = PERF_TYPE_TRACEPOINT,
                     .config = number_in("/sys/kernel/tracing/events/" + group_and_name + "/id")});
}

Fd clock_event() {
  return open_event({.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK});
}

Fd open_cgroup(const std::string& path) {
  Fd cgroup(::open(("/sys/fs/cgroup" + path).c_str(), O_RDONLY | O_CLOEXEC));
  INFO(path);
  REQUIRE(cgroup);
  return cgroup;
}

Fd udp_socket() {
  Fd made(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(made);
  return made;
}

void set_option(const Fd& socket, int option, int value) {
  REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof(value)) == 0);
}

Fd make_map(bpf_map_type type, uint32_t value_size) {
  bpf_attr attr = {};
  attr.map_type = type;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = value_size;
  attr.max_entries = 4;
  Fd map(loader::sys_bpf(BPF_MAP_CREATE, attr));
  INFO(std::strerror(errno));
  REQUIRE(map);
  return map;
}

Fd make_link(const Fd& program, int target, bpf_attach_type type) {
  Fd link(bpf_link_create(program.get(), target, type, nullptr));
  INFO(std::strerror(errno));
  REQUIRE(link);
  return link;
}

uint32_t link_id(const Fd& link) { return info_of(link).id; }

uint32_t linked_program(const Fd& link) { return info_of(link).prog_id; }

namespace {

bool has_links(uint32_t program) {
  for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
    const Fd link(bpf_link_get_fd_by_id(id));
    if (link ? linked_program(link) == program : errno == EPERM) return true;
  }
  return false;
}

}  // namespace

bool links_are_gone(uint32_t program) {
  for (int tries = 0; tries < 1200; tries++) {
    if (!has_links(program)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

unsigned long probed_address(const Fd& link) {
  unsigned long address = 0;
  bpf_link_info info = {};
  info.kprobe_multi.addrs = loader::as_u64(&address);
  info.kprobe_multi.count = 1;
  uint32_t size = sizeof(info);
  REQUIRE(bpf_link_get_info_by_fd(link.get(), &info, &size) == 0);
  return address;
}

uint32_t program_id(const Fd& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
  return info.id;
}

}  // namespace bpfwarden::vm
