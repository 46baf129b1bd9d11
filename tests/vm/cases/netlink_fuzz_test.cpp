// Random buffers go through the reader of netlink messages and through the kernel: what the reader
// says a buffer carries none of, the kernel takes none of.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <memory>

#include "taken.skel.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/netlink_random.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace {
int note_destination(__u64 /*types*/, __u32 /*ifindex*/) { return 0; }
}  // namespace
#include "bpf-lsm/attach/netlink_message.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kBuffers = 10'000, kAtOnce = 500;

size_t buffers() { return effort(kBuffers, 10 * kBuffers); }

// What the kernel has taken from descriptors of this process.
class Taken {
 public:
  Taken() : skeleton_(taken_bpf::open()) {
    REQUIRE(skeleton_);
    skeleton_->rodata->process = ::getpid();
    REQUIRE(taken_bpf::load(skeleton_.get()) == 0);
    REQUIRE(taken_bpf::attach(skeleton_.get()) == 0);
  }

  uint64_t types() {
    const uint64_t seen = skeleton_->bss->types;
    skeleton_->bss->types = 0;
    return seen;
  }
  [[nodiscard]] uint64_t count() const { return skeleton_->bss->count; }

 private:
  std::unique_ptr<taken_bpf, decltype([](taken_bpf* it) { taken_bpf::destroy(it); })> skeleton_;
};

// What the messages are about, whatever they have done to it.
void make_anew() {
  run("ip link del fz0 2>/dev/null; ip link del fz1 2>/dev/null; tc actions flush action bpf; ip "
      "nexthop flush");
  must("ip link add fz0 type veth peer name fz1 && ip link set fz0 up && ip link set fz1 up");
  must("tc qdisc add dev fz0 clsact && tc qdisc add dev fz1 clsact");
}

void send_to_kernel(const Fd& socket, const std::vector<uint8_t>& bytes) {
  std::array<uint8_t, 16'384> answers = {};
  (void)::send(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  while (::recv(socket.get(), answers.data(), answers.size(), MSG_DONTWAIT) > 0) continue;
}

Fd loaded_as(bpf_prog_type type) { return loaded(Load::of_type(type, 0)); }

}  // namespace

TEST_CASE("allow_no_random_buffer_to_carry_more_than_the_reader_says",
          "[vm][attach][fuzz][bare][slow]") {
  policy::test::Dice dice(policy::test::test_seed());
  WARN("BPFWARDEN_TEST_SEED=" << policy::test::test_seed());
  Taken taken;
  const Fd cls = loaded_as(BPF_PROG_TYPE_SCHED_CLS), act = loaded_as(BPF_PROG_TYPE_SCHED_ACT),
           xdp = loaded({}), lwt = loaded_as(BPF_PROG_TYPE_LWT_XMIT),
           filter = loaded_as(BPF_PROG_TYPE_SOCKET_FILTER);
  const Fd route(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
  const Fd tables(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, BW_NETLINK_NETFILTER));
  Aims aims = {.cls = cls.get(),
               .act = act.get(),
               .xdp = xdp.get(),
               .lwt = lwt.get(),
               .socket = filter.get()};
  size_t none = 0, attached = 0;
  for (size_t i = 0; i < buffers(); i++) {
    if (i % kAtOnce == 0 || ::if_nametoindex("fz0") == 0) make_anew();
    aims.device = static_cast<int>(::if_nametoindex("fz0"));
    aims.other = static_cast<int>(::if_nametoindex("fz1"));
    const RandomBuffer buffer = random_buffer(dice, aims);
    const uint64_t said = bw_types_in_buffer(reinterpret_cast<uint64_t>(buffer.bytes.data()),
                                             static_cast<uint32_t>(buffer.bytes.size()),
                                             static_cast<uint32_t>(buffer.protocol), 0);
    (void)taken.types();
    send_to_kernel(buffer.protocol == BW_NETLINK_ROUTE ? route : tables, buffer.bytes);
    const uint64_t found = taken.types();
    none += said == 0 ? 1 : 0;
    attached += found != 0 ? 1 : 0;
    if ((found & ~said) == 0) continue;
    FAIL("the reader says " << std::hex << said << ", the kernel took " << found << ": "
                            << describe(buffer));
  }
  WARN(none << " carry none; of " << attached << " the kernel took " << taken.count()
            << " programs");
  CHECK(none > buffers() / 20);
  CHECK(attached > buffers() / 20);
  run("ip link del fz0; tc actions flush action bpf; ip nexthop flush");
}

}  // namespace bpfwarden::vm
