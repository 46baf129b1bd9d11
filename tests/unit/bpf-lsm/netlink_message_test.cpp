// The reader of netlink messages in user space: what it says of messages made by hand, and that it
// reads no byte beyond a buffer, whatever is in it. tests/vm/cases/netlink_fuzz_test.cpp holds it
// to a kernel.
#include <linux/if_link.h>
#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "tests/vm/helpers/netlink_random.h"
#include "tests/vm/helpers/netlink_request.h"

namespace {
std::vector<std::pair<__u64, __u32>> destinations;

int note_destination(__u64 types, __u32 ifindex) {
  destinations.emplace_back(types, ifindex);
  return 0;
}
}  // namespace
#include "bpf-lsm/attach/netlink_message.h"

using bpfwarden::policy::test::Dice;
using bpfwarden::policy::test::test_seed;
using bpfwarden::vm::Request;

namespace {

constexpr size_t kBuffers = 100'000;
constexpr __u64 kCls = BW_TYPE(BPF_PROG_TYPE_SCHED_CLS), kAct = BW_TYPE(BPF_PROG_TYPE_SCHED_ACT),
                kXdp = BW_TYPE(BPF_PROG_TYPE_XDP);

// A copy of its own, so that the sanitizer sees each byte that is read beyond it.
__u64 types_in(const std::vector<uint8_t>& bytes, __u32 protocol = BW_NETLINK_ROUTE) {
  const auto copy = std::make_unique<uint8_t[]>(bytes.size());
  std::ranges::copy(bytes, copy.get());
  destinations.clear();
  return bw_types_in_buffer(reinterpret_cast<__u64>(copy.get()), static_cast<__u32>(bytes.size()),
                            protocol, 1);
}

Request filter(int device = 7) { return {RTM_NEWTFILTER, 0, tcmsg{.tcm_ifindex = device}}; }

Request about_link(uint16_t type, uint16_t flags = 0) {
  return {type, flags, ifinfomsg{.ifi_index = 7}};
}

void put_action(Request& request, uint16_t type, const char* kind) {
  const size_t table = request.begin(type), first = request.begin(1 | NLA_F_NESTED);
  request.put_letters(TCA_ACT_KIND, kind);
  request.end(first);
  request.end(table);
}

Request with_xdp(Request request, int fd) {
  const size_t xdp = request.begin(IFLA_XDP | NLA_F_NESTED);
  request.put(IFLA_XDP_FD, fd);
  request.end(xdp);
  return request;
}

Request route_by(uint16_t encapsulation) {
  Request request(RTM_NEWROUTE, 0, rtmsg{});
  request.put(RTA_OIF, 7);
  request.put(RTA_ENCAP_TYPE, encapsulation);
  request.trim();
  return request;
}

}  // namespace

TEST_CASE("a filter carries a program unless its kind is there and another one") {
  Request none = filter(), other = filter(), plain = filter(), last = filter(), bare = filter();
  other.put_text(TCA_KIND, "flower");
  plain.put_text(TCA_KIND, "bpf");
  last.put_text(TCA_KIND, "flower");
  last.put_letters(TCA_KIND | NLA_F_NET_BYTEORDER, "bpf");
  last.trim();
  bare.put_text(TCA_KIND, "bpf");
  bare.put_text(TCA_KIND, "fw");
  CHECK(types_in(none.buffer()) == kCls);
  CHECK(types_in(other.buffer()) == 0);
  CHECK(types_in(plain.buffer()) == kCls);
  CHECK(destinations == std::vector<std::pair<__u64, __u32>>{{kCls, 7}});
  CHECK(types_in(last.buffer()) == kCls);
  CHECK(types_in(bare.buffer()) == 0);
  CHECK(types_in(filter(-1).buffer()) == kCls);  // of a shared block
  CHECK(destinations.at(0).second == 0);
}

TEST_CASE("an action of kind bpf counts in a filter of any kind, and alone") {
  Request with = filter(), without = filter(), alone(RTM_NEWACTION, 0, tcamsg{});
  for (auto [request, kind] : {std::pair{&with, "bpf"}, std::pair{&without, "gact"}}) {
    request->put_text(TCA_KIND, "u32");
    const size_t options = request->begin(TCA_OPTIONS);
    put_action(*request, TCA_U32_ACT, kind);
    request->end(options);
  }
  put_action(alone, TCA_ACT_TAB, "bpf");
  alone.trim();
  CHECK(types_in(with.buffer()) == kAct);
  CHECK(types_in(without.buffer()) == 0);
  CHECK(types_in(alone.buffer()) == kAct);
}

TEST_CASE("a route carries programs by its encapsulation, in any of its paths") {
  Request paths(RTM_NEWROUTE, 0, rtmsg{}), object(RTM_NEWNEXTHOP, 0, nhmsg{});
  const size_t all = paths.begin(RTA_MULTIPATH);
  for (const uint16_t kind : {uint16_t{LWTUNNEL_ENCAP_IP}, uint16_t{LWTUNNEL_ENCAP_BPF}}) {
    const size_t hop = paths.begin_struct(rtnexthop{});
    paths.put(RTA_ENCAP_TYPE, kind);
    paths.end(hop);
  }
  paths.end(all);
  object.put(NHA_ENCAP_TYPE, uint16_t{LWTUNNEL_ENCAP_SEG6_LOCAL});
  CHECK(types_in(route_by(LWTUNNEL_ENCAP_IP).buffer()) == 0);
  CHECK(types_in(route_by(LWTUNNEL_ENCAP_BPF).buffer()) == kRouteTypes);
  CHECK(types_in(route_by(LWTUNNEL_ENCAP_SEG6_LOCAL).buffer()) == kRouteTypes);
  CHECK(types_in(paths.buffer()) == kRouteTypes);
  CHECK(types_in(object.buffer()) == kRouteTypes);
}

TEST_CASE("a link is at its place until a message moves, makes or removes one") {
  CHECK(types_in(with_xdp(about_link(RTM_SETLINK), -1).buffer()) == 0);
  CHECK(types_in(with_xdp(about_link(RTM_SETLINK), 3).buffer()) == kXdp);
  CHECK(destinations.at(0).second == 7);
  Request named = about_link(RTM_NEWLINK);
  named.put_text(IFLA_IFNAME, "x");
  CHECK(types_in(with_xdp(std::move(named), 3).buffer()) == kXdp);
  CHECK(destinations.at(0).second == 0);
  for (Request first : {about_link(RTM_DELLINK), about_link(RTM_NEWLINK, NLM_F_CREATE)}) {
    Request then = with_xdp(about_link(RTM_SETLINK), 3);
    then.put_before(std::move(first));
    CHECK(types_in(then.buffer()) == kXdp);
    CHECK(destinations.at(0).second == 0);
  }
  Request before = with_xdp(about_link(RTM_SETLINK), 3), after = about_link(RTM_DELLINK);
  after.put_before(std::move(before));
  CHECK(types_in(after.buffer()) == kXdp);
  CHECK(destinations.at(0).second == 7);
}

TEST_CASE("lengths that lie end a level, as they do for the kernel") {
  Request lies = filter();
  lies.put_text(TCA_KIND, "flower");
  std::vector<uint8_t> bytes = lies.buffer();
  const size_t attribute = sizeof(nlmsghdr) + sizeof(tcmsg);
  bytes.at(attribute) = 3;  // too short for its own header: the kind is not there
  CHECK(types_in(bytes) == kCls);
  bytes.at(attribute) = 200;  // beyond the message
  CHECK(types_in(bytes) == kCls);
  bytes = lies.buffer();
  bytes.resize(bytes.size() - 1);  // the message is longer than the buffer: nothing is done
  CHECK(types_in(bytes) == 0);
}

TEST_CASE("100,000 random buffers are read within their bounds") {
  Dice dice(test_seed());
  INFO("BPFWARDEN_TEST_SEED=" << test_seed());
  size_t none = 0;
  for (size_t i = 0; i < kBuffers; i++) {
    const auto buffer = bpfwarden::vm::random_buffer(dice, {});
    none += types_in(buffer.bytes, static_cast<__u32>(buffer.protocol)) == 0 ? 1U : 0U;
    if (i % 10 != 0) continue;
    std::vector<uint8_t> part = buffer.bytes;
    part.resize(part.size() - dice.below(4));
    part.erase(part.begin(), part.begin() + 4 * static_cast<ptrdiff_t>(dice.below(2)));
    (void)types_in(part, static_cast<__u32>(buffer.protocol));
  }
  CHECK(none > kBuffers / 20);
  CHECK(none < kBuffers / 2);
}
