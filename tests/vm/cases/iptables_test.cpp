// xt_bpf, the match of iptables that runs a program: the rule names it by a path where it is
// pinned.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char *kPinned = "/sys/fs/bpf/att_pinned", *kOther = "/sys/fs/bpf/att_other";

// The table `filter` as iptables(8) writes it: whole, in one setsockopt(2).
class Entries {
 public:
  // Of an entry with this target, behind a match or none. Where it begins.
  template <class Target>
  uint32_t add(Target target, const char* path = nullptr) {
    const auto start = static_cast<uint32_t>(bytes_.size());
    std::vector<uint8_t> match;
    if (path != nullptr) match = match_of(path);
    ipt_entry entry = {};
    entry.target_offset = static_cast<uint16_t>(sizeof(entry) + match.size());
    entry.next_offset = static_cast<uint16_t>(entry.target_offset + sizeof(target));
    target.target.u.target_size = sizeof(target);
    append(&entry, sizeof(entry));
    append(match.data(), match.size());
    append(&target, sizeof(target));
    count_++;
    return start;
  }

  uint32_t accept(const char* path = nullptr) {
    xt_standard_target target = {};
    target.verdict = -NF_ACCEPT - 1;
    return add(target, path);
  }

  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return bytes_; }
  [[nodiscard]] uint32_t count() const { return count_; }

 private:
  // XT_ALIGN(), which is no C++ in the headers of every architecture.
  static constexpr size_t aligned(size_t size) {
    return (size + alignof(_xt_align) - 1) / alignof(_xt_align) * alignof(_xt_align);
  }

  static std::vector<uint8_t> match_of(const char* path) {
    xt_entry_match head = {};
    xt_bpf_info_v1 info = {};
    const size_t size = aligned(sizeof(head)) + aligned(sizeof(info));
    head.u.user.match_size = static_cast<uint16_t>(size);
    std::strncpy(head.u.user.name, "bpf", sizeof(head.u.user.name) - 1);
    head.u.user.revision = 1;
    info.mode = XT_BPF_MODE_PATH_PINNED;
    std::strncpy(info.path, path, sizeof(info.path) - 1);
    std::vector<uint8_t> bytes(size);
    std::memcpy(bytes.data(), &head, sizeof(head));
    std::memcpy(bytes.data() + aligned(sizeof(head)), &info, sizeof(info));
    return bytes;
  }

  void append(const void* value, size_t size) {
    const size_t at = bytes_.size();
    bytes_.resize(at + size);
    if (size != 0) std::memcpy(bytes_.data() + at, value, size);
  }

  std::vector<uint8_t> bytes_;
  uint32_t count_ = 0;
};

uint32_t entries_now(const Fd& socket) {
  ipt_getinfo info = {};
  std::strncpy(info.name, "filter", sizeof(info.name) - 1);
  socklen_t size = sizeof(info);
  REQUIRE(::getsockopt(socket.get(), IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) == 0);
  return info.num_entries;
}

// Makes the program at `path` the match of the only rule for what comes in; none: no rule. 0, or
// errno.
int replace_table(const char* path) {
  const Fd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  REQUIRE(socket);
  Entries entries;
  ipt_replace head = {};
  head.hook_entry[NF_INET_LOCAL_IN] = 0;
  if (path != nullptr) entries.accept(path);
  for (const int hook : {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT}) {
    head.underflow[hook] = entries.accept();
    if (hook != NF_INET_LOCAL_IN) head.hook_entry[hook] = head.underflow[hook];
  }
  xt_error_target error = {};
  std::strncpy(error.target.u.user.name, XT_ERROR_TARGET, sizeof(error.target.u.user.name) - 1);
  std::strncpy(error.errorname, XT_ERROR_TARGET, sizeof(error.errorname) - 1);
  entries.add(error);
  std::vector<xt_counters> counters(entries_now(socket));
  std::strncpy(head.name, "filter", sizeof(head.name) - 1);
  head.valid_hooks = 1 << NF_INET_LOCAL_IN | 1 << NF_INET_FORWARD | 1 << NF_INET_LOCAL_OUT;
  head.num_entries = entries.count();
  head.size = static_cast<uint32_t>(entries.bytes().size());
  head.num_counters = static_cast<uint32_t>(counters.size());
  head.counters = counters.data();
  std::vector<uint8_t> bytes(sizeof(head) + entries.bytes().size());
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::memcpy(bytes.data() + sizeof(head), entries.bytes().data(), entries.bytes().size());
  return error_of(::setsockopt(socket.get(), IPPROTO_IP, IPT_SO_SET_REPLACE, bytes.data(),
                               static_cast<socklen_t>(bytes.size())));
}

// Pinned, and held by nobody.
uint32_t pin(const Load& request, const char* path) {
  const Fd program = loaded(request);
  ::unlink(path);
  REQUIRE(bpf_obj_pin(program.get(), path) == 0);
  return program_id(program);
}

class Pins {
 public:
  ~Pins() {
    for (const char* const path : {kPinned, kOther}) ::unlink(path);
  }
};

}  // namespace

TEST_CASE("deny_a_rule_of_iptables_with_a_program_at_another_path", "[vm][attach]") {
  const Pins pins;
  Warden warden;
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 7)};
  const std::string rules = two.rules("socket", "socket");
  CHECK(replace_table(nullptr) == 0);
  warden.apply("enforce", rules);
  pin(two.wanted, kPinned);
  const uint32_t other = pin(two.other, kOther);
  CHECK(replace_table(kPinned) == 0);
  CHECK(replace_table(nullptr) == 0);
  CHECK(replace_table(kOther) == EPERM);
  const nlohmann::json event = last_refused_attachment(warden);
  CHECK(event["route"] == "setsockopt");
  CHECK(event["attach"] == "socket");
  CHECK(event["program_id"] == other);
  CHECK(event["rule"] == "other");

  // A descriptor by that path is no attachment.
  const Fd opened(bpf_obj_get(kOther));
  CHECK(opened);
  warden.apply("audit", rules);
  CHECK(replace_table(kOther) == 0);
  CHECK(replace_table(nullptr) == 0);
}

TEST_CASE("allow_a_program_by_its_path_after_a_rule_of_iptables", "[vm][attach]") {
  const Pins pins;
  Warden warden;
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 7)};
  warden.apply("enforce", two.rules("socket", "socket"));
  pin(two.wanted, kPinned);
  pin(two.other, kOther);
  CHECK(replace_table(kPinned) == 0);
  const Fd opened(bpf_obj_get(kOther));  // with the setsockopt(2) still noted
  CHECK(opened);
  Fd held(bpf_prog_get_fd_by_id(program_id(opened)));
  CHECK(held);
}

}  // namespace bpfwarden::vm
