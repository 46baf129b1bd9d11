#include "tests/vm/attack/seal/gone.h"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "bpf-lsm/abi/event.h"
#include "loader/btf/kernel_has.h"
#include "loader/kernel/syscall.h"
#include "tests/vm/attack/seal/ring.h"
#include "tests/vm/helpers/delegation.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

int error_of_entry32(long result) { return result < 0 ? static_cast<int>(-result) : 0; }

int load_by_int80_too() {
  struct Low {
    bpf_attr attr;
    uint8_t insns[64];
    char license[8];
  };
  const Load request;
  Low& low = low_memory<Low>();
  std::copy(request.insns.begin(), request.insns.end(), low.insns);
  std::copy_n("GPL", 4, low.license);
  low.attr.prog_type = request.type;
  low.attr.insns = loader::as_u64(low.insns);
  low.attr.insn_cnt = static_cast<uint32_t>(request.insns.size() / 8);
  low.attr.license = loader::as_u64(low.license);
  const long made =
      by_int80(357, BPF_PROG_LOAD, reinterpret_cast<uint64_t>(&low.attr), sizeof(low.attr));
  if (made >= 0) ::close(static_cast<int>(made));
  return error_of_entry32(made);
}

int attach_to_cgroup(const Held& held, const Fd& program, bpf_attach_type type) {
  const int error = error_of(bpf_prog_attach(program.get(), held.cgroup.get(), type, 0));
  if (error == 0) (void)bpf_prog_detach2(program.get(), held.cgroup.get(), type);
  return error;
}

int on_event(const Held& held, bool by_32_bits) {
  const Fd event = tracepoint_event("sched/sched_switch");
  const auto number = static_cast<unsigned>(held.tracepoint.get());
  if (!by_32_bits) return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, number));
  return error_of_entry32(
      by_int80(54, static_cast<uint64_t>(event.get()), PERF_EVENT_IOC_SET_BPF, number));
}

int on_socket(const Fd& socket, int option, const Fd& program) {
  const int number = program.get();
  return error_of(::setsockopt(socket.get(), SOL_SOCKET, option, &number, sizeof(number)));
}

int on_socket_by_int80(const Held& held) {
  int& number = low_memory<int>();
  number = held.filter.get();
  return error_of_entry32(by_int80(366, static_cast<uint64_t>(held.socket.get()), SOL_SOCKET,
                                   SO_ATTACH_BPF, reinterpret_cast<uint64_t>(&number),
                                   sizeof(number)));
}

int on_socket_by_io_uring(const Held& held) {
  const int number = held.filter.get();
  return set_option_by_io_uring(held.socket.get(), SOL_SOCKET, SO_ATTACH_BPF, &number,
                                sizeof(number));
}

int on_device(const Held& held) {
  const auto index = static_cast<int>(::if_nametoindex("att0"));
  const int error = error_of(bpf_xdp_attach(index, held.xdp.get(), XDP_FLAGS_SKB_MODE, nullptr));
  if (error == 0) (void)bpf_xdp_detach(index, XDP_FLAGS_SKB_MODE, nullptr);
  return error;
}

int on_device_by_link(const Held& held) {
  const auto index = static_cast<int>(::if_nametoindex("att0"));
  return error_of_made(bpf_link_create(held.xdp.get(), index, BPF_XDP, nullptr));
}

int make_plain_map(bool exclusive) {
  const std::array<uint8_t, 32> digest = {};
  bpf_attr attr = {};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = 4;
  attr.value_size = 8;
  attr.max_entries = 1;
  if (exclusive) attr.excl_prog_hash = loader::as_u64(digest.data());
  if (exclusive) attr.excl_prog_hash_size = digest.size();
  return error_of_made(loader::sys_bpf(BPF_MAP_CREATE, attr));
}

int run_it_once(const Held& held) {
  std::array<char, 64> packet = {};
  struct bpf_test_run_opts options = {};
  options.sz = sizeof(options);
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.repeat = 1;
  return error_of(bpf_prog_test_run_opts(held.xdp.get(), &options));
}

int put_into_array(const Held& held) {
  const uint32_t key = 0;
  const int number = held.xdp.get();
  return error_of(bpf_map_update_elem(held.array.get(), &key, &number, BPF_ANY));
}

int pin_in_own(const Held& held) {
  const std::string pin = held.bpffs + "another";
  const int error = error_of(bpf_obj_pin(held.map.get(), pin.c_str()));
  ::unlink(pin.c_str());
  return error;
}

int make_token() {
  return in_delegated_child([](const Fd& bpffs) { return create_token(bpffs).error; });
}

}  // namespace

Held::Held() : sites(false) {
  xdp = loaded(Load{});
  filter = loaded(Load::packet_filter());
  tracepoint = loaded(program_of("tp"));
  lsm_cgroup = loaded(program_of("lsm_cgroup", "socket_listen"));
  socket = udp_socket();
  group = udp_socket();
  set_option(group, SO_REUSEPORT, 1);
  const sockaddr_in address = {.sin_family = AF_INET};
  REQUIRE(::bind(group.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  cgroup = open_cgroup("/att.good");
  iterator = make_link(loaded(program_of("iter", "task")), 0, BPF_TRACE_ITER);
  map = make_map(BPF_MAP_TYPE_ARRAY, 8);
  array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4);
  REQUIRE((::mkdir(bpffs.c_str(), 0700) == 0 || errno == EEXIST));
  REQUIRE(::mount("held", bpffs.c_str(), "bpf", 0, nullptr) == 0);
  REQUIRE(bpf_obj_pin(map.get(), (bpffs + "pin").c_str()) == 0);
}

GoneAttempts attempts_by_hand(const Held& held) {
  const Held* const all = &held;
  const auto with = [=](int (*attempt)(const Held&)) { return [=] { return attempt(*all); }; };
  GoneAttempts attempts;
  const auto add = [&](const char* name, std::move_only_function<int()> attempt) {
    if (has_entry_of(name)) attempts.push_back({name, std::move(attempt)});
  };
  add("load by int 0x80", load_by_int80_too);
  add("LINK_CREATE: xdp", with(on_device_by_link));
  add("PROG_ATTACH: a guard of one's own",
      [=] { return attach_to_cgroup(*all, all->lsm_cgroup, BPF_LSM_CGROUP); });
  add("RAW_TRACEPOINT_OPEN", [] {
    const Attempt program = load(program_of("raw_tp"));
    return program.error != 0
               ? program.error
               : error_of_made(bpf_raw_tracepoint_open("sched_switch", program.fd.get()));
  });
  add("PERF_EVENT_IOC_SET_BPF", [=] { return on_event(*all, false); });
  add("PERF_EVENT_IOC_SET_BPF by int 0x80", [=] { return on_event(*all, true); });
  add("SO_ATTACH_BPF", [=] { return on_socket(all->socket, SO_ATTACH_BPF, all->filter); });
  add("SO_ATTACH_BPF by int 0x80", with(on_socket_by_int80));
  add("SO_ATTACH_BPF by io_uring", with(on_socket_by_io_uring));
  add("SO_ATTACH_REUSEPORT_EBPF",
      [=] { return on_socket(all->group, SO_ATTACH_REUSEPORT_EBPF, all->filter); });
  add("xdp by netlink", with(on_device));
  add("BPF_TOKEN_CREATE", make_token);
  add("a map", [] { return make_plain_map(false); });
  if (BW_KERNEL_HAS(exclusive_maps)) add("an exclusive map", [] { return make_plain_map(true); });
  add("a program by its number",
      [=, id = program_id(held.xdp)] { return error_of_made(bpf_prog_get_fd_by_id(id)); });
  add("a map by its number",
      [=, id = id_of_map(held.map)] { return error_of_made(bpf_map_get_fd_by_id(id)); });
  add("a link by its number",
      [=, id = link_id(held.iterator)] { return error_of_made(bpf_link_get_fd_by_id(id)); });
  add("PROG_TEST_RUN", with(run_it_once));
  add("a tail call put into a map", with(put_into_array));
  add("ITER_CREATE", [=] { return error_of_made(bpf_iter_create(all->iterator.get())); });
  add("OBJ_PIN", with(pin_in_own));
  add("OBJ_GET", [=] { return error_of_made(bpf_obj_get((all->bpffs + "pin").c_str())); });
  return attempts;
}

namespace {

// Two would be of one name.
bool can_be_held(const Row& row) {
  return row.family != "lsm_cgroup" && row.how != "TUNSETSTEERINGEBPF" && is_known_here(row);
}

}  // namespace

GoneAttempts attempts_by_route() {
  GoneAttempts attempts;
  std::set<std::string> names;
  for (auto* const some :
       {device_rows, cgroup_rows, probe_rows, target_rows, network_rows, run_rows})
    for (Row& row : some()) {
      if (!can_be_held(row) || !names.insert(row.route + row.how + row.family.substr(0, 6)).second)
        continue;
      Attempt program = load(row);
      if (program.error != 0) continue;
      auto attach = row.prepare(Where::good);
      attempts.push_back({"route " + name_of(row),
                          [attach = std::move(attach), program = std::move(program.fd)]() mutable {
                            return attach(program);
                          }});
    }
  return attempts;
}

void control_attempts(GoneAttempts& attempts) {
  for (GoneAttempt& one : attempts) {
    INFO(one.name);
    CHECK(one.attempt() == 0);
  }
}

void must_stop(const Load& signed_load, GoneAttempts& attempts) {
  for (GoneAttempt& one : attempts) {
    INFO(one.name);
    const int error = settled([&] { return one.attempt(); });
    const int unsigned_error = error_of_load(Load{});
    const int signed_error = settled([&] { return error_of_load(signed_load); });
    print_result(one.name, error, unsigned_error, signed_error);
    CHECK(error == EPERM);
    CHECK(unsigned_error == EPERM);
    CHECK(signed_error == EPERM);
  }
}

int settled(const std::function<int()>& attempt) {
  int error = attempt();
  for (int i = 0; i < 400 && error != EPERM; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    error = attempt();
  }
  return error;
}

Denials::Denials() : map_(bpf_obj_get("/sys/fs/bpf/bpfwarden/map_denials")) {
  const auto note = [](void* seen, void* data, size_t size) {
    const auto* const event = static_cast<const bw_event*>(data);
    if (size >= sizeof(*event) && event->cause == BW_CAUSE_WARDEN_SILENT)
      static_cast<std::set<std::string>*>(seen)->insert(
          reinterpret_cast<const char*>(event->place));
    return 0;
  };
  REQUIRE(map_);
  ring_ = ring_buffer__new(map_.get(), note, &seen_, nullptr);
  REQUIRE(ring_ != nullptr);
}

Denials::~Denials() { ring_buffer__free(ring_); }

std::set<std::string> Denials::silent_hooks() {
  CHECK(ring_buffer__consume(ring_) >= 0);
  return std::exchange(seen_, {});
}

}  // namespace bpfwarden::vm
