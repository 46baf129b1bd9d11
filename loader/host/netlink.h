// Lists of the kernel's routing netlink (rtnetlink(7)), over libmnl: libbpf's own functions look at
// one device or one filter at a time, and cannot list.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace bpfwarden::loader {

using EachAttribute = std::function<void(const nlattr&)>;

// One answer, owned: header, body, attributes.
class NetlinkMessage {
 public:
  explicit NetlinkMessage(const nlmsghdr& message);

  template <class Body>
  [[nodiscard]] const Body& body() const {
    return *static_cast<const Body*>(mnl_nlmsg_get_payload(header()));
  }
  // Calls `each` for the attributes after a body of `size` bytes.
  void attributes(size_t size, const EachAttribute& each) const;

 private:
  [[nodiscard]] const nlmsghdr* header() const {
    return reinterpret_cast<const nlmsghdr*>(bytes_.data());
  }
  std::vector<uint64_t> bytes_;  // aligned as the kernel's are
};

void nested_attributes(const nlattr& outer, const EachAttribute& each);
[[nodiscard]] std::string text_of(const nlattr& attribute);
[[nodiscard]] uint32_t number_of(const nlattr& attribute);  // of 32 bits; 0 where it is none

// One socket, in the network namespace of the thread that opened it.
class Netlink {
 public:
  [[nodiscard]] static Result<Netlink> open();

  // Sends a dump request; `fill` puts in what follows its header. Starts again, some times, where
  // the list changed meanwhile. Errors: errno, the kernel's own answer included.
  [[nodiscard]] Result<std::vector<NetlinkMessage>> dump(
      uint16_t type, const std::function<void(nlmsghdr*)>& fill);

 private:
  explicit Netlink(mnl_socket* socket) : socket_(socket, mnl_socket_close) {}
  [[nodiscard]] Status receive(uint32_t sequence, std::vector<NetlinkMessage>& messages);

  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket_;
  uint32_t sequence_ = 0;
};

}  // namespace bpfwarden::loader
