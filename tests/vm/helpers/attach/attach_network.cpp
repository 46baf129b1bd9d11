// Rows of programs on sockets, network namespaces, routes and actions: none has a place.
#include <netinet/in.h>  // before linux/netfilter.h, which else defines the same

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"

namespace bpfwarden::vm {
namespace {

// ---- Sockets and devices that read from them ----------------------------------------------------

int set_program(const Fd& socket, int level, int option, const Fd& program) {
  const int fd = program.get();
  return error_of(::setsockopt(socket.get(), level, option, &fd, sizeof(fd)));
}

Attach filter_socket(Where) {
  return [socket = udp_socket()](const Fd& program) {
    return set_program(socket, SOL_SOCKET, SO_ATTACH_BPF, program);
  };
}

Attach select_in_group(Where) {
  Fd socket = udp_socket();
  set_option(socket, SO_REUSEPORT, 1);
  const sockaddr_in address = {.sin_family = AF_INET};
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return [socket = std::move(socket)](const Fd& program) {
    return set_program(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, program);
  };
}

Attach fan_out(Where) {
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
  REQUIRE(socket);
  const int group = 7 | (PACKET_FANOUT_EBPF << 16);
  REQUIRE(::setsockopt(socket.get(), SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) == 0);
  return [socket = std::move(socket)](const Fd& program) {
    return set_program(socket, SOL_PACKET, PACKET_FANOUT_DATA, program);
  };
}

std::function<Attach(Where)> on_tun(unsigned long request) {
  return [=](Where) -> Attach {
    Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    REQUIRE(tun);
    ifreq wanted = {};
    std::strcpy(wanted.ifr_name, "atttun");
    wanted.ifr_flags = IFF_TAP | IFF_NO_PI;
    REQUIRE(::ioctl(tun.get(), TUNSETIFF, &wanted) == 0);
    return [=, tun = std::move(tun)](const Fd& program) {
      const int fd = program.get();
      return error_of(::ioctl(tun.get(), request, &fd));
    };
  };
}

// ---- Network namespaces, maps of sockets --------------------------------------------------------

Target own_namespace(Where) {
  Fd fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(fd);
  return {.fd = std::move(fd)};
}

Target nothing(Where) { return {}; }

Target socket_map(Where) { return {.fd = make_map(BPF_MAP_TYPE_SOCKMAP, sizeof(uint32_t))}; }

Attach filter_packets(Where) {
  return [](const Fd& program) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.netfilter.pf = NFPROTO_IPV4;
    options.netfilter.hooknum = NF_INET_LOCAL_IN;
    options.netfilter.priority = -128;
    return error_of_made(bpf_link_create(program.get(), 0, BPF_NETFILTER, &options));
  };
}

struct OnMap {
  const char* family;
  bpf_attach_type type;
};

constexpr OnMap kOnMaps[] = {{"sk_msg", BPF_SK_MSG_VERDICT},
                             {"sk_skb/stream_parser", BPF_SK_SKB_STREAM_PARSER},
                             {"sk_skb/stream_verdict", BPF_SK_SKB_STREAM_VERDICT},
                             {"sk_skb/verdict", BPF_SK_SKB_VERDICT}};

std::function<Attach(Where)> on_route(Hook hook) {
  return
      [=](Where) -> Attach { return [=](const Fd& program) { return add_route(program, hook); }; };
}

Attach as_action(Where) {
  return [](const Fd& program) { return add_action(program); };
}

Row row(const char* family, const char* route, const char* how,
        std::function<Attach(Where)> prepare, bool is_early = false) {
  return {family, route, how, "", "", std::move(prepare), {}, is_early};
}

}  // namespace

std::vector<Row> network_rows() {
  std::vector<Row> rows = {
      row("socket", "setsockopt", "SO_ATTACH_BPF", filter_socket),
      row("socket", "setsockopt", "SO_ATTACH_REUSEPORT_EBPF", select_in_group),
      row("socket", "setsockopt", "PACKET_FANOUT_DATA", fan_out),
      row("socket", "ioctl", "TUNSETFILTEREBPF", on_tun(TUNSETFILTEREBPF)),
      row("socket", "ioctl", "TUNSETSTEERINGEBPF", on_tun(TUNSETSTEERINGEBPF)),
      row("sk_reuseport", "setsockopt", "", select_in_group),
      row("sk_reuseport/migrate", "setsockopt", "", select_in_group),
      row("flow_dissector", "prog-attach", "", by_prog_attach(nothing, BPF_FLOW_DISSECTOR)),
      row("flow_dissector", "link-create", "", by_link(own_namespace, BPF_FLOW_DISSECTOR)),
      row("sk_lookup", "link-create", "", by_link(own_namespace, BPF_SK_LOOKUP)),
      row("netfilter", "link-create", "", filter_packets),
      row("action", "netlink", "", as_action),
      row("lwt_in", "netlink", "", on_route(Hook::in)),
      row("lwt_out", "netlink", "", on_route(Hook::out)),
      row("lwt_xmit", "netlink", "", on_route(Hook::xmit)),
      row("lwt_seg6local", "netlink", "", on_route(Hook::seg6local)),
  };
  for (const OnMap& one : kOnMaps) {
    rows.push_back(row(one.family, "prog-attach", "", by_prog_attach(socket_map, one.type)));
    rows.push_back(row(one.family, "link-create", "", by_link(socket_map, one.type)));
  }
  return rows;
}

std::vector<Row> network_update_rows() {
  std::vector<Row> rows = {
      row("flow_dissector", "link-update", "",
          by_update(own_namespace, BPF_FLOW_DISSECTOR, "flow_dissector"), true),
      row("sk_lookup", "link-update", "", by_update(own_namespace, BPF_SK_LOOKUP, "sk_lookup"),
          true),
  };
  for (const OnMap& one : kOnMaps)
    rows.push_back(
        row(one.family, "link-update", "", by_update(socket_map, one.type, one.family), true));
  return rows;
}

}  // namespace bpfwarden::vm
