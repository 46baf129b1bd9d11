#include "loader/host/netlink.h"

#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace bpfwarden::loader {
namespace {

constexpr int kTries = 8;
constexpr size_t kReceive = 32768;  // what the kernel fills at most, for one read of a dump

int keep(const nlmsghdr* message, void* messages) {
  static_cast<std::vector<NetlinkMessage>*>(messages)->emplace_back(*message);
  return MNL_CB_OK;
}

int hand_over(const nlattr* attribute, void* each) {
  (*static_cast<const EachAttribute*>(each))(*attribute);
  return MNL_CB_OK;
}

// libmnl hands it back as it is.
void* mutable_pointer(const EachAttribute& each) { return const_cast<EachAttribute*>(&each); }

}  // namespace

NetlinkMessage::NetlinkMessage(const nlmsghdr& message)
    : bytes_((message.nlmsg_len + sizeof(uint64_t) - 1) / sizeof(uint64_t)) {
  std::memcpy(bytes_.data(), &message, message.nlmsg_len);
}

void NetlinkMessage::attributes(size_t size, const EachAttribute& each) const {
  mnl_attr_parse(header(), static_cast<unsigned int>(size), hand_over, mutable_pointer(each));
}

void nested_attributes(const nlattr& outer, const EachAttribute& each) {
  mnl_attr_parse_nested(&outer, hand_over, mutable_pointer(each));
}

std::string text_of(const nlattr& attribute) {
  const char* text = mnl_attr_get_str(&attribute);
  return {text, ::strnlen(text, mnl_attr_get_payload_len(&attribute))};
}

uint32_t number_of(const nlattr& attribute) {
  return mnl_attr_get_payload_len(&attribute) == sizeof(uint32_t) ? mnl_attr_get_u32(&attribute)
                                                                  : 0;
}

Result<Netlink> Netlink::open() {
  Netlink opened(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!opened.socket_ || mnl_socket_bind(opened.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0)
    return fail_errno(errno, "cannot open a netlink socket");
  return opened;
}

Status Netlink::receive(uint32_t sequence, std::vector<NetlinkMessage>& messages) {
  alignas(nlmsghdr) std::array<char, kReceive> buffer = {};
  const unsigned int port = mnl_socket_get_portid(socket_.get());
  for (int more = MNL_CB_OK; more == MNL_CB_OK;) {
    const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (size < 0) return fail_errno(errno, "cannot read from netlink");
    more = mnl_cb_run(buffer.data(), static_cast<size_t>(size), sequence, port, keep, &messages);
    if (more == MNL_CB_ERROR) return fail_errno(errno, "netlink");
  }
  return {};
}

Result<std::vector<NetlinkMessage>> Netlink::dump(uint16_t type,
                                                  const std::function<void(nlmsghdr*)>& fill) {
  Status received;
  for (int i = 0; i < kTries; i++) {
    alignas(nlmsghdr) std::array<char, 512> request = {};
    nlmsghdr* header = mnl_nlmsg_put_header(request.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++sequence_;
    fill(header);
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0)
      return fail_errno(errno, "cannot write to netlink");
    std::vector<NetlinkMessage> messages;
    received = receive(sequence_, messages);
    if (received) return messages;
    if (received.error().code != EINTR) break;
    // The rest of that answer would be mistaken for the next one's.
    auto again = open();
    if (!again) return std::unexpected(std::move(again).error());
    socket_ = std::move(again->socket_);
  }
  return std::unexpected(std::move(received).error());
}

}  // namespace bpfwarden::loader
