// An agent that holds programs and manages a network: what it does there has to do with none of
// them. It has threads, so that whatever is judged at all is refused.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <net/if.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr uint32_t kPrograms = 50, kRoutes = 1'000, kRoutesAtOnce = 250;

int index_of(const char* device) { return static_cast<int>(::if_nametoindex(device)); }

class Network {
 public:
  Network() {
    clear();
    must("ip link add eth0 type veth peer name eth1 && ip link set eth0 up && ip link set eth1 up");
    for (const std::string device : {"eth0", "eth1"})
      must("tc qdisc add dev " + device + " clsact");
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network() { clear(); }

 private:
  static void clear() { run("ip link del eth0; ip link del agent0"); }
};

// ---- Filters ------------------------------------------------------------------------------------

Request filter_on(const char* device, const char* kind, uint32_t priority) {
  tcmsg body = {};
  body.tcm_ifindex = index_of(device);
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  body.tcm_info = TC_H_MAKE(priority << 16, htons(ETH_P_IP));
  Request request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body);
  request.put_text(TCA_KIND, kind);
  return request;
}

int add_flower(uint32_t priority) {
  Request request = filter_on("eth1", "flower", priority);
  const size_t options = request.begin(TCA_OPTIONS | NLA_F_NESTED);
  request.put(TCA_FLOWER_KEY_ETH_TYPE, htons(ETH_P_IP));
  request.put(TCA_FLOWER_KEY_IPV4_DST, ::inet_addr("192.0.2.1"));
  request.put(TCA_FLOWER_KEY_IPV4_DST_MASK, ::inet_addr("255.255.255.255"));
  put_gact(request, TCA_FLOWER_ACT);
  request.end(options);
  return send_request(std::move(request));
}

int add_u32(uint32_t priority) {
  std::array<uint8_t, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> match = {};
  const tc_u32_sel selector = {.flags = TC_U32_TERMINAL, .nkeys = 1};
  const tc_u32_key key = {.mask = 0xffffffff, .val = ::inet_addr("192.0.2.1"), .off = 16};
  std::memcpy(match.data(), &selector, sizeof(selector));
  std::memcpy(match.data() + sizeof(selector), &key, sizeof(key));
  Request request = filter_on("eth1", "u32", priority);
  const size_t options = request.begin(TCA_OPTIONS);
  request.put(TCA_U32_SEL, match);
  put_gact(request, TCA_U32_ACT);
  request.end(options);
  return send_request(std::move(request));
}

int add_bpf(const Fd& program, const char* device) {
  Request request = filter_on(device, "bpf", 99);
  const size_t options = request.begin(TCA_OPTIONS);
  request.put(TCA_BPF_FD, program.get());
  request.put_text(TCA_BPF_NAME, "agent");
  request.end(options);
  return send_request(std::move(request));
}

// ---- Routes and devices -------------------------------------------------------------------------

Request route_number(uint32_t number) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, host_route());
  request.put(RTA_DST, htonl(0x0a000000 + number));
  request.put(RTA_OIF, index_of("eth1"));
  return request;
}

// Many in one buffer, as routing daemons send them.
int add_routes(uint32_t from, uint32_t count) {
  Request last = route_number(from);
  for (uint32_t i = 1; i < count; i++) last.put_before(route_number(from + i));
  return send_request(std::move(last));
}

int add_bridge() {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.put_text(IFLA_IFNAME, "agent0");
  const size_t info = request.begin(IFLA_LINKINFO);
  request.put_text(IFLA_INFO_KIND, "bridge");
  request.end(info);
  const int error = send_request(std::move(request));
  return error != 0 ? error : run("ip link set eth1 master agent0").status;
}

// ---- Rules of nftables --------------------------------------------------------------------------

constexpr uint16_t of_tables(int type) {
  return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
}

Request batch_mark(uint16_t type) {
  Request mark(type, 0, nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)});
  mark.ask_no_answer();
  return mark;
}

Request of_table(int type, uint16_t flags) {
  return {of_tables(type), flags, nfgenmsg{NFPROTO_IPV4, NFNETLINK_V0, 0}};
}

// One rule in a table and a chain of its own; `match` names a match of iptables, or is null.
int add_rule(const char* match) {
  Request table = of_table(NFT_MSG_NEWTABLE, NLM_F_CREATE);
  table.put_text(NFTA_TABLE_NAME, "bpf-agent");
  Request chain = of_table(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  chain.put_text(NFTA_CHAIN_TABLE, "bpf-agent");
  chain.put_text(NFTA_CHAIN_NAME, "bpf-chain");
  Request rule = of_table(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  rule.put_text(NFTA_RULE_TABLE, "bpf-agent");
  rule.put_text(NFTA_RULE_CHAIN, "bpf-chain");
  const size_t expressions = rule.begin(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED);
  const size_t one = rule.begin(NFTA_LIST_ELEM | NLA_F_NESTED);
  rule.put_text(NFTA_EXPR_NAME, match != nullptr ? "match" : "counter");
  const size_t data = rule.begin(NFTA_EXPR_DATA | NLA_F_NESTED);
  if (match != nullptr) {
    rule.put_text(NFTA_MATCH_NAME, match);
    rule.put(NFTA_MATCH_REV, htonl(1));
    rule.put(NFTA_MATCH_INFO, uint64_t{});
  }
  rule.end(data);
  rule.end(one);
  rule.end(expressions);
  rule.put_before(std::move(table));
  rule.put_before(std::move(chain));
  std::vector<uint8_t> all = batch_mark(NFNL_MSG_BATCH_BEGIN).buffer();
  for (std::vector<uint8_t> part : {rule.buffer(), batch_mark(NFNL_MSG_BATCH_END).buffer()})
    all.insert(all.end(), part.begin(), part.end());
  return send_buffer(NETLINK_NETFILTER, all);
}

}  // namespace

TEST_CASE("allow_an_agent_that_holds_programs_to_manage_a_network", "[vm][attach]") {
  const Network network;
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"agent\"\nallow = [\"tc@eth0\"]\n"
               "signature = \"unsigned\"\n[[rules]]\nname = \"filters\"\n"
               "load-only = [\"socket\"]\nsignature = \"unsigned\"\n");
  std::vector<Fd> held;
  while (held.size() < kPrograms)
    held.push_back(loaded(Load::of_type(BPF_PROG_TYPE_SCHED_CLS, static_cast<int>(held.size()))));
  held.push_back(loaded(Load::packet_filter()));
  const Companion companion;
  CHECK(add_bpf(held.front(), "eth1") == EPERM);  // what it may not do is still refused
  CHECK(add_rule("bpf") == EPERM);
  (void)warden.events();
  for (uint32_t i = 1; i <= 20; i++) {
    CHECK(add_flower(i) == 0);
    CHECK(add_u32(100 + i) == 0);
  }
  for (uint32_t i = 0; i < kRoutes; i += kRoutesAtOnce)
    CHECK(add_routes(i + 1, kRoutesAtOnce) == 0);
  CHECK(add_rule(nullptr) == 0);
  CHECK(add_bridge() == 0);
  CHECK(must("ip route show dev eth1 | wc -l").find("1000") != std::string::npos);
  CHECK(events_of_hook(warden, "attach").empty());
  run("nft delete table ip bpf-agent");
}

}  // namespace bpfwarden::vm
