#include "tests/vm/helpers/netlink_random.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/lwtunnel.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "tests/vm/helpers/netlink_request.h"

namespace bpfwarden::vm {
namespace {

using policy::test::Dice;
using Member = std::function<void(Request&)>;

class Maker {
 public:
  Maker(Dice& dice, const Aims& aims) : dice_(dice), aims_(aims) {}

  std::vector<uint8_t> of_routes() {
    std::vector<uint8_t> all;
    for (size_t left = 1 + dice_.below(dice_.once_in(3) ? 4 : 1); left > 0; left--) {
      Request one = any_message();
      if (dice_.once_in(4)) one.trim();
      if (left > 1) one.ask_no_answer();
      append(all, one.bytes());
    }
    return all;
  }

  std::vector<uint8_t> of_tables() {
    std::vector<uint8_t> all = mark(NFNL_MSG_BATCH_BEGIN);
    for (size_t left = 1 + dice_.below(2); left > 0; left--) append(all, rule().bytes());
    append(all, mark(NFNL_MSG_BATCH_END));
    return all;
  }

 private:
  static void append(std::vector<uint8_t>& all, const std::vector<uint8_t>& more) {
    all.resize(NLMSG_ALIGN(all.size()));
    all.insert(all.end(), more.begin(), more.end());
  }

  uint16_t typed(int type) {
    if (dice_.once_in(4)) type |= NLA_F_NESTED;
    if (dice_.once_in(8)) type |= NLA_F_NET_BYTEORDER;
    return static_cast<uint16_t>(type);
  }

  uint16_t flags() {
    return dice_.pick<uint16_t>(
        {NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE, NLM_F_CREATE, 0, NLM_F_CREATE | NLM_F_REPLACE});
  }

  int device() { return dice_.once_in(4) ? aims_.other : aims_.device; }

  // In any order, some twice, some not at all.
  void put_all(Request& request, std::vector<Member> members) {
    for (size_t i = members.size(); i > 1; i--)
      if (dice_.once_in(2)) std::swap(members[i - 1], members[dice_.below(i)]);
    for (const Member& member : members) {
      if (dice_.once_in(24)) continue;
      member(request);
      if (dice_.once_in(24)) member(request);
    }
  }

  Member nest(int type, std::vector<Member> members) {
    return [=, this](Request& request) {
      const size_t at = request.begin(typed(type));
      put_all(request, members);
      request.end(at);
    };
  }

  template <class Value>
  Member value(int type, Value value) {
    return [=, this](Request& request) { request.put(typed(type), value); };
  }

  Member text(int type, std::string name) {
    return [=, this](Request& request) {
      std::string written = name;
      if (!dice_.once_in(3)) written.push_back('\0');
      if (dice_.once_in(16)) written += std::string("\0x", 2);
      request.put(typed(type), written.data(), written.size());
    };
  }

  // ---- tc
  // ----------------------------------------------------------------------------------------

  Member action(int number) {
    tc_act_bpf parameters = {};
    parameters.action = TC_ACT_PIPE;
    parameters.index = static_cast<uint32_t>(dice_.below(4));
    if (dice_.once_in(4)) return nest(number, {text(TCA_ACT_KIND, "gact")});
    return nest(number, {text(TCA_ACT_KIND, "bpf"),
                         nest(TCA_ACT_OPTIONS,
                              {value(TCA_ACT_BPF_PARMS, parameters),
                               value(TCA_ACT_BPF_FD, aims_.act), text(TCA_ACT_BPF_NAME, "fuzz")})});
  }

  // One alone: of two with one number in a filter the kernel tries for ever to make the second.
  Member actions(int type) {
    const Member first = action(1);
    return [=, this](Request& request) {
      const size_t at = request.begin(typed(type));
      first(request);
      request.end(at);
    };
  }

  Member flower() {
    return nest(TCA_OPTIONS,
                {value(TCA_FLOWER_KEY_ETH_TYPE, htons(ETH_P_IP)), actions(TCA_FLOWER_ACT)});
  }

  Member options_of_bpf() {
    std::vector<Member> all = {value(TCA_BPF_FD, aims_.cls), text(TCA_BPF_NAME, "fuzz"),
                               value(TCA_BPF_FLAGS, uint32_t{TCA_BPF_FLAG_ACT_DIRECT})};
    if (dice_.once_in(4)) all.back() = actions(TCA_BPF_ACT);
    return nest(TCA_OPTIONS, all);
  }

  Request filter() {
    tcmsg body = {};
    body.tcm_ifindex = device();
    body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
    const bool is_bpf = !dice_.once_in(3);
    const auto priority = static_cast<uint32_t>((is_bpf ? 1 : 4) + dice_.below(2));
    body.tcm_info = TC_H_MAKE(priority << 16, htons(is_bpf ? ETH_P_ALL : ETH_P_IP));
    body.tcm_handle = static_cast<uint32_t>(dice_.below(3));
    Request request(RTM_NEWTFILTER, flags(), body);
    std::vector<Member> all = {is_bpf ? options_of_bpf() : flower()};
    if (!is_bpf || !dice_.once_in(3))
      all.insert(all.begin(), text(TCA_KIND, is_bpf ? "bpf" : "flower"));
    if (dice_.once_in(12)) all.push_back(text(TCA_KIND, is_bpf ? "flower" : "bpf"));
    put_all(request, all);
    return request;
  }

  Request table_of_actions() {
    Request request(RTM_NEWACTION, flags(), tcamsg{});
    put_all(request, {actions(TCA_ACT_TAB)});
    return request;
  }

  // ---- Routes and links
  // --------------------------------------------------------------------------

  std::vector<Member> tunnel(int tunnel_type, int kind_type) {
    const bool is_bpf = !dice_.once_in(3);
    return {
        value(kind_type, static_cast<uint16_t>(is_bpf ? LWTUNNEL_ENCAP_BPF : LWTUNNEL_ENCAP_IP)),
        nest(tunnel_type, {nest(LWT_BPF_XMIT, {value(LWT_BPF_PROG_FD, aims_.lwt),
                                               text(LWT_BPF_PROG_NAME, "fuzz")})})};
  }

  Member next_hops() {
    const std::vector<Member> members = tunnel(RTA_ENCAP, RTA_ENCAP_TYPE);
    return [=, this](Request& request) {
      const size_t all = request.begin(typed(RTA_MULTIPATH));
      for (const bool has_tunnel : {false, true}) {
        const size_t hop =
            request.begin_struct(rtnexthop{0, 0, 0, has_tunnel ? aims_.device : aims_.other});
        if (has_tunnel) put_all(request, members);
        request.end(hop);
      }
      request.end(all);
    };
  }

  Request route() {
    Request request(RTM_NEWROUTE, flags(), host_route());
    std::vector<Member> all = {
        value(RTA_DST, htonl(0xc6336400U + static_cast<uint32_t>(dice_.below(200))))};
    if (dice_.once_in(3)) {
      all.push_back(next_hops());
    } else {
      all.push_back(value(RTA_OIF, aims_.device));
      for (const Member& member : tunnel(RTA_ENCAP, RTA_ENCAP_TYPE)) all.push_back(member);
    }
    put_all(request, all);
    return request;
  }

  Request next_hop() {
    nhmsg body = {};
    body.nh_family = AF_INET;
    Request request(RTM_NEWNEXTHOP, flags(), body);
    std::vector<Member> all = {value(NHA_ID, 1 + static_cast<uint32_t>(dice_.below(100))),
                               value(NHA_OIF, aims_.device)};
    for (const Member& member : tunnel(NHA_ENCAP, NHA_ENCAP_TYPE)) all.push_back(member);
    put_all(request, all);
    return request;
  }

  Request link() {
    Request request(dice_.once_in(2) ? RTM_SETLINK : RTM_NEWLINK, 0,
                    ifinfomsg{.ifi_index = device()});
    std::vector<Member> all = {
        nest(IFLA_XDP, {value(IFLA_XDP_FD, dice_.once_in(3) ? -1 : aims_.xdp),
                        value(IFLA_XDP_FLAGS, uint32_t{XDP_FLAGS_SKB_MODE})})};
    if (dice_.once_in(4)) all.push_back(value(IFLA_MTU, uint32_t{1400}));
    put_all(request, all);
    return request;
  }

  Request any_message() {
    switch (dice_.below(7)) {
      case 0:
      case 1:
        return filter();
      case 2:
        return table_of_actions();
      case 3:
        return route();
      case 4:
        return next_hop();
      default:
        return dice_.once_in(2) ? link() : filter();
    }
  }

  // ---- nftables
  // ----------------------------------------------------------------------------------

  std::vector<uint8_t> mark(uint16_t type) {
    Request mark(type, 0, nfgenmsg{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)});
    mark.ask_no_answer();
    return mark.bytes();
  }

  Request rule() {
    xt_bpf_info_v1 info = {};
    info.mode = XT_BPF_MODE_FD_ELF;
    info.fd = aims_.socket;
    Request request(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                    nfgenmsg{NFPROTO_IPV4, NFNETLINK_V0, 0});
    const bool is_bpf = !dice_.once_in(3);
    const Member match =
        nest(NFTA_EXPR_DATA, {text(NFTA_MATCH_NAME, is_bpf ? "bpf" : "mark"),
                              value(NFTA_MATCH_REV, htonl(1)), value(NFTA_MATCH_INFO, info)});
    put_all(request, {text(NFTA_RULE_TABLE, "fuzz"), text(NFTA_RULE_CHAIN, "fuzz"),
                      nest(NFTA_RULE_EXPRESSIONS,
                           {nest(NFTA_LIST_ELEM, {text(NFTA_EXPR_NAME, "match"), match})})});
    return request;
  }

  Dice& dice_;
  const Aims& aims_;
};

uint8_t any_byte(Dice& dice) {
  return dice.once_in(2) ? static_cast<uint8_t>(dice.below(8))
                         : static_cast<uint8_t>(dice.below(256));
}

// One change of the bytes: a byte, a length or a type, or a piece that is taken out or doubled.
void change(Dice& dice, std::vector<uint8_t>& bytes) {
  if (bytes.size() < 24) return;
  const auto at = bytes.begin() + static_cast<ptrdiff_t>(dice.below(bytes.size() - 8) & ~3UL);
  const ptrdiff_t size = 4 * static_cast<ptrdiff_t>(1 + dice.below(4));
  switch (dice.below(6)) {
    case 0:
      *(at + static_cast<ptrdiff_t>(dice.below(4))) ^= static_cast<uint8_t>(1U << dice.below(8));
      break;
    case 1:
      *(at + static_cast<ptrdiff_t>(dice.below(4))) = any_byte(dice);
      break;
    case 2:
      *at = static_cast<uint8_t>(*at + dice.below(9) - 4);
      break;
    case 3:
      if (bytes.end() - at > size) bytes.erase(at, at + size);
      break;
    case 4:
      if (bytes.end() - at > size) {
        const std::vector<uint8_t> piece(at, at + size);
        bytes.insert(at, piece.begin(), piece.end());
      }
      break;
    default:
      bytes.resize(bytes.size() - dice.below(5));
  }
}

// The header says how long the message is, where there is one.
void set_length(std::vector<uint8_t>& bytes) {
  const auto length = static_cast<uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &length, sizeof(length));
}

}  // namespace

RandomBuffer random_buffer(Dice& dice, const Aims& aims) {
  Maker maker(dice, aims);
  RandomBuffer made;
  const bool is_route = !dice.once_in(8);
  made.protocol = is_route ? NETLINK_ROUTE : NETLINK_NETFILTER;
  made.bytes = is_route ? maker.of_routes() : maker.of_tables();
  if (dice.once_in(2)) return made;
  for (size_t left = 1 + dice.below(3); left > 0; left--) change(dice, made.bytes);
  if (is_route && !dice.once_in(4)) set_length(made.bytes);
  return made;
}

std::string describe(const RandomBuffer& buffer) {
  std::string text = "protocol " + std::to_string(buffer.protocol);
  for (size_t i = 0; i < buffer.bytes.size(); i++) {
    char byte[4] = {};
    std::snprintf(byte, sizeof(byte), "%02x", buffer.bytes[i]);
    text += (i % 4 == 0 ? " " : "") + std::string(byte);
  }
  return text;
}

}  // namespace bpfwarden::vm
