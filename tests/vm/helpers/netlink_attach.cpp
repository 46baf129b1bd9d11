#include "tests/vm/helpers/netlink_attach.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/lwtunnel.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/seg6_local.h>
#include <linux/tc_act/tc_bpf.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

int family_of(Hook hook) { return hook == Hook::seg6local ? AF_INET6 : AF_INET; }

Request route_request(uint16_t type, uint16_t flags, Hook hook) {
  const int family = family_of(hook);
  std::array<uint8_t, 16> address = {};
  REQUIRE(::inet_pton(family, family == AF_INET6 ? "2001:db8::7" : "192.0.2.7", address.data()) ==
          1);
  const size_t length = family == AF_INET6 ? 16 : 4;
  rtmsg body = {};
  body.rtm_family = static_cast<uint8_t>(family);
  body.rtm_dst_len = static_cast<uint8_t>(length * 8);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  Request request(type, flags, body);
  request.put(RTA_DST, address.data(), length);
  request.put(RTA_OIF, ::if_nametoindex("att0"));
  return request;
}

void put_program(Request& request, uint16_t fd_type, uint16_t name_type, const Fd& program) {
  request.put(fd_type, program.get());
  request.put_text(name_type, "att");
}

uint16_t attribute_of(Hook hook) {
  switch (hook) {
    case Hook::in:
      return LWT_BPF_IN;
    case Hook::out:
      return LWT_BPF_OUT;
    case Hook::xmit:
      return LWT_BPF_XMIT;
    default:
      return SEG6_LOCAL_BPF;
  }
}

void put_tunnel(Request& request, Hook hook, const Fd& program) {
  const bool is_seg6 = hook == Hook::seg6local;
  request.put(RTA_ENCAP_TYPE,
              static_cast<uint16_t>(is_seg6 ? LWTUNNEL_ENCAP_SEG6_LOCAL : LWTUNNEL_ENCAP_BPF));
  const size_t tunnel = request.begin(RTA_ENCAP);
  if (is_seg6) request.put(SEG6_LOCAL_ACTION, uint32_t{SEG6_LOCAL_ACTION_END_BPF});
  const size_t nest = request.begin(attribute_of(hook));
  if (is_seg6)
    put_program(request, SEG6_LOCAL_BPF_PROG, SEG6_LOCAL_BPF_PROG_NAME, program);
  else
    put_program(request, LWT_BPF_PROG_FD, LWT_BPF_PROG_NAME, program);
  request.end(nest);
  request.end(tunnel);
}

}  // namespace

int send_buffer(int protocol, const std::vector<uint8_t>& buffer) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  REQUIRE(socket);
  if (::send(socket.get(), buffer.data(), buffer.size(), 0) < 0) return errno;
  alignas(nlmsghdr) std::array<uint8_t, 8192> answer = {};
  REQUIRE(::recv(socket.get(), answer.data(), answer.size(), 0) >=
          static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))));
  REQUIRE(reinterpret_cast<const nlmsghdr*>(answer.data())->nlmsg_type == NLMSG_ERROR);
  nlmsgerr result = {};
  std::memcpy(&result, answer.data() + NLMSG_HDRLEN, sizeof(result));
  return -result.error;
}

int send_request(Request request) { return send_buffer(NETLINK_ROUTE, request.buffer()); }

int add_action(const Fd& program) {
  Request request(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, tcamsg{});
  const size_t actions = request.begin(TCA_ACT_TAB);
  const size_t first = request.begin(1);
  request.put_text(TCA_ACT_KIND, "bpf");
  const size_t options = request.begin(TCA_ACT_OPTIONS | NLA_F_NESTED);
  tc_act_bpf parameters = {};
  parameters.action = TC_ACT_PIPE;
  request.put(TCA_ACT_BPF_PARMS, parameters);
  put_program(request, TCA_ACT_BPF_FD, TCA_ACT_BPF_NAME, program);
  request.end(options);
  request.end(first);
  request.end(actions);
  const int error = send_request(std::move(request));
  if (error == 0) must("tc actions flush action bpf");
  return error;
}

int add_route(const Fd& program, Hook hook) {
  Request request = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, hook);
  put_tunnel(request, hook, program);
  const int error = send_request(std::move(request));
  if (error == 0) REQUIRE(send_request(route_request(RTM_DELROUTE, 0, hook)) == 0);
  return error;
}

int rename_and_attach(const Fd& program, int device, const char* name, Messages messages) {
  const ifinfomsg link = {.ifi_index = device};
  Request first(RTM_SETLINK, 0, link), request(RTM_SETLINK, 0, link);
  Request& renames = messages == Messages::two ? first : request;
  if (name != nullptr) renames.put_text(IFLA_IFNAME, name);
  const size_t xdp = request.begin(IFLA_XDP | NLA_F_NESTED);
  request.put(IFLA_XDP_FD, program.get());
  request.put(IFLA_XDP_FLAGS, uint32_t{XDP_FLAGS_SKB_MODE});
  request.end(xdp);
  if (messages == Messages::two) request.put_before(std::move(first));
  return send_request(std::move(request));
}

}  // namespace bpfwarden::vm
