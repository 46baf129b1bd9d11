// Messages of netlink, made byte by byte: with attributes in any order, with any flags in their
// types, and with or without the padding of the last one.
#pragma once

#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace bpfwarden::vm {

class Request {
 public:
  template <class Body>
  Request(uint16_t type, uint16_t flags, const Body& body) : bytes_(sizeof(nlmsghdr)) {
    add(&body, sizeof(body));
    header().nlmsg_type = type;
    header().nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK);
  }

  void put(uint16_t type, const void* value, size_t size) {
    const nlattr attribute = {.nla_len = static_cast<uint16_t>(sizeof(nlattr) + size),
                              .nla_type = type};
    add(&attribute, sizeof(attribute));
    add(value, size);
  }

  template <class Value>
  void put(uint16_t type, const Value& value) {
    put(type, &value, sizeof(value));
  }

  void put_text(uint16_t type, const char* text) { put(type, text, std::strlen(text) + 1); }
  void put_letters(uint16_t type, const char* text) {
    put(type, text, std::strlen(text));
  }  // no NUL

  // Between begin() and end() stand the members of one attribute.
  [[nodiscard]] size_t begin(uint16_t type) {
    const size_t at = bytes_.size();
    put(type, nullptr, 0);
    return at;
  }

  void end(size_t at) {
    set_length(at, bytes_.size());
    if (last_end_ != bytes_.size()) last_.clear();
    last_end_ = bytes_.size();
    last_.push_back(at);
  }

  // Likewise, of a struct that has its length in the first two bytes, as rtnexthop has.
  template <class Head>
  [[nodiscard]] size_t begin_struct(const Head& head) {
    const size_t at = bytes_.size();
    add(&head, sizeof(head));
    return at;
  }

  // Takes the padding of the last attribute away, and from all that end with it.
  void trim() {
    bytes_.resize(bytes_.size() - padding_);
    padding_ = 0;
    if (last_end_ <= bytes_.size()) return;
    for (const size_t at : last_) set_length(at, bytes_.size());
  }

  // The message, whole. The next one of the buffer begins at a multiple of four.
  [[nodiscard]] std::vector<uint8_t> bytes() {
    header().nlmsg_len = static_cast<uint32_t>(bytes_.size());
    return bytes_;
  }

  void ask_no_answer() { header().nlmsg_flags &= static_cast<uint16_t>(~NLM_F_ACK); }

  // Before this one, in the same buffer; the kernel's answer is about the last one.
  void put_before(Request first) {
    first.ask_no_answer();
    const std::vector<uint8_t> more = first.buffer();
    before_.insert(before_.end(), more.begin(), more.end());
    before_.resize(NLMSG_ALIGN(before_.size()));
  }

  [[nodiscard]] std::vector<uint8_t> buffer() {
    std::vector<uint8_t> all = before_;
    const std::vector<uint8_t> last = bytes();
    all.insert(all.end(), last.begin(), last.end());
    return all;
  }

 private:
  [[nodiscard]] nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_.data()); }

  void set_length(size_t at, size_t end) {
    const auto length = static_cast<uint16_t>(end - at);
    std::memcpy(bytes_.data() + at, &length, sizeof(length));
  }

  void add(const void* value, size_t size) {
    const size_t at = bytes_.size();
    bytes_.resize(at + NLMSG_ALIGN(size));
    if (size != 0) padding_ = NLMSG_ALIGN(size) - size;
    if (size != 0) std::memcpy(bytes_.data() + at, value, size);
  }

  std::vector<uint8_t> before_;
  std::vector<uint8_t> bytes_;
  size_t padding_ = 0;        // of what was added last
  size_t last_end_ = 0;       // where these end:
  std::vector<size_t> last_;  // attributes with members
};

// Of a route to one address of IPv4, by a device.
inline rtmsg host_route() {
  rtmsg body = {};
  body.rtm_family = AF_INET;
  body.rtm_dst_len = 32;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  return body;
}

// A table of one action that runs no program, as an attribute of that type. `flags`:
// TCA_ACT_FLAGS_*.
inline void put_gact(Request& request, uint16_t type, uint32_t flags = 0) {
  const size_t table = request.begin(type), first = request.begin(1);
  request.put_text(TCA_ACT_KIND, "gact");
  if (flags != 0) request.put(TCA_ACT_FLAGS, nla_bitfield32{flags, flags});
  const size_t options = request.begin(TCA_ACT_OPTIONS | NLA_F_NESTED);
  request.put(TCA_GACT_PARMS, tc_gact{});  // TC_ACT_OK
  request.end(options);
  request.end(first);
  request.end(table);
}

}  // namespace bpfwarden::vm
