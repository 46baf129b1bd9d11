// Attempts by messages of netlink that say less than others do, or say it elsewhere: nothing in
// them is a number or a kind that a reader of single words would find.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

int index_of(const char* device) { return static_cast<int>(::if_nametoindex(device)); }

// Devices nl0 and nl1, each with a place for filters.
class Devices {
 public:
  Devices() {
    clear();
    must("ip link add nl0 type veth peer name nl1 && ip link set nl0 up && ip link set nl1 up");
    for (const std::string device : {"nl0", "nl1"}) must("tc qdisc add dev " + device + " clsact");
  }
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;
  ~Devices() { clear(); }

 private:
  static void clear() {
    run("ip link del nl0; ip link del nl7; tc actions flush action bpf; ip nexthop flush");
  }
};

std::string allow(const std::string& attach) {
  return "[[rules]]\nname = \"here\"\nallow = [" + attach + "]\nsignature = \"unsigned\"\n";
}

// Programs of the family may be loaded, and go nowhere.
std::string refuse(const std::string& family) {
  return "[[rules]]\nname = \"nowhere\"\nload-only = [\"" + family +
         "\"]\nsignature = \"unsigned\"\n";
}

Fd loaded_as(bpf_prog_type type) { return loaded(Load::of_type(type, 0)); }

// ---- Filters ------------------------------------------------------------------------------------

Request filter_at(const char* device, uint16_t flags, uint32_t handle) {
  tcmsg body = {};
  body.tcm_ifindex = index_of(device);
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  body.tcm_info = TC_H_MAKE(7U << 16, htons(ETH_P_ALL));
  body.tcm_handle = handle;
  return {RTM_NEWTFILTER, flags, body};
}

// A classic program that lets everything through: what comes first.
int add_classic_filter(const char* device) {
  const sock_filter instruction = {BPF_RET | BPF_K, 0, 0, 0};
  Request request = filter_at(device, NLM_F_CREATE | NLM_F_EXCL, 1);
  request.put_text(TCA_KIND, "bpf");
  const size_t options = request.begin(TCA_OPTIONS);
  request.put(TCA_BPF_OPS_LEN, uint16_t{1});
  request.put(TCA_BPF_OPS, instruction);
  request.end(options);
  return send_request(std::move(request));
}

void put_options(Request& request, const Fd& program) {
  const size_t options = request.begin(TCA_OPTIONS | NLA_F_NESTED);
  request.put(TCA_BPF_FD, program.get());
  request.put_text(TCA_BPF_NAME, "nl");
  request.end(options);
}

// To one of kind bpf that is there: another one beside it, or in its place.
enum class Into { new_one, old_one };

int add_filter_without_kind(const char* device, Into into) {
  must(std::string("tc filter del dev ") + device + " ingress");
  REQUIRE(add_classic_filter(device) == 0);
  const Fd program = loaded_as(BPF_PROG_TYPE_SCHED_CLS);
  const bool is_new = into == Into::new_one;
  Request request = filter_at(device, is_new ? NLM_F_CREATE : 0, is_new ? 2 : 1);
  put_options(request, program);
  return send_request(std::move(request));
}

// `bpf` without NUL, as the last attribute and without its padding.
int add_unpadded_filter(const Fd& program, const char* device) {
  must(std::string("tc filter del dev ") + device + " ingress");
  Request request = filter_at(device, NLM_F_CREATE | NLM_F_EXCL, 1);
  put_options(request, program);
  request.put_letters(TCA_KIND, "bpf");
  request.trim();
  return send_request(std::move(request));
}

const Control without_kind([] {
  const Devices devices;
  return add_filter_without_kind("nl1", Into::new_one) == 0 &&
         add_filter_without_kind("nl1", Into::old_one) == 0;
});

const Control unpadded_filter([] {
  const Devices devices;
  return add_unpadded_filter(loaded_as(BPF_PROG_TYPE_SCHED_CLS), "nl1") == 0;
});

// ---- Actions ------------------------------------------------------------------------------------

enum class Last { padded, unpadded };

int add_action_by(const Fd& program, Last last) {
  Request request(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, tcamsg{});
  const size_t table = request.begin(TCA_ACT_TAB), first = request.begin(1);
  const size_t options = request.begin(TCA_ACT_OPTIONS | NLA_F_NESTED);
  tc_act_bpf parameters = {};
  parameters.action = TC_ACT_PIPE;
  request.put(TCA_ACT_BPF_PARMS, parameters);
  request.put(TCA_ACT_BPF_FD, program.get());
  request.put_text(TCA_ACT_BPF_NAME, "nl");
  request.end(options);
  request.put_letters(TCA_ACT_KIND, "bpf");
  request.end(first);
  request.end(table);
  if (last == Last::unpadded) request.trim();
  const int error = send_request(std::move(request));
  if (error == 0) must("tc actions flush action bpf");
  return error;
}

const Control unpadded_action([] {
  return add_action_by(loaded_as(BPF_PROG_TYPE_SCHED_ACT), Last::unpadded) == 0;
});

// ---- Routes -------------------------------------------------------------------------------------

enum class How { plain, unpadded, multipath, next_hop };

void put_tunnel(Request& request, uint16_t tunnel_type, uint16_t kind_type, const Fd& program,
                bool is_padded = true) {
  const size_t tunnel = request.begin(static_cast<uint16_t>(tunnel_type | NLA_F_NESTED));
  const size_t hook = request.begin(LWT_BPF_XMIT | NLA_F_NESTED);
  request.put(LWT_BPF_PROG_FD, program.get());
  request.put_text(LWT_BPF_PROG_NAME, "nl");
  request.end(hook);
  request.end(tunnel);
  request.put(kind_type, uint16_t{LWTUNNEL_ENCAP_BPF});
  if (!is_padded) request.trim();
}

Request route_to(const char* address) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, host_route());
  request.put(RTA_DST, ::inet_addr(address));
  return request;
}

int add_multipath_route(const Fd& program) {
  Request request = route_to("192.0.2.9");
  const size_t paths = request.begin(RTA_MULTIPATH);
  for (const char* const device : {"nl0", "nl1"}) {
    const size_t hop =
        request.begin_struct(rtnexthop{.rtnh_len = 0, .rtnh_ifindex = index_of(device)});
    if (device == std::string("nl1")) put_tunnel(request, RTA_ENCAP, RTA_ENCAP_TYPE, program);
    request.end(hop);
  }
  request.end(paths);
  return send_request(std::move(request));
}

int add_next_hop(const Fd& program) {
  nhmsg body = {};
  body.nh_family = AF_INET;
  body.nh_scope = 0;
  Request request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, body);
  request.put(NHA_ID, uint32_t{77});
  request.put(NHA_OIF, index_of("nl0"));
  put_tunnel(request, NHA_ENCAP, NHA_ENCAP_TYPE, program);
  return send_request(std::move(request));
}

int add_route_by(const Fd& program, How how) {
  if (how == How::multipath) return add_multipath_route(program);
  if (how == How::next_hop) return add_next_hop(program);
  Request request = route_to("192.0.2.8");
  request.put(RTA_OIF, index_of("nl0"));
  put_tunnel(request, RTA_ENCAP, RTA_ENCAP_TYPE, program, how == How::plain);
  return send_request(std::move(request));
}

int routes_that_fail_with(const Fd& program, int error) {
  int count = 0;
  for (const How how : {How::unpadded, How::multipath, How::next_hop}) {
    const Devices devices;
    CAPTURE(static_cast<int>(how));
    const int got = add_route_by(program, how);
    CHECK(got == error);
    count += got == error ? 1 : 0;
  }
  return count;
}

const Control by_routes([] {
  return routes_that_fail_with(loaded_as(BPF_PROG_TYPE_LWT_XMIT), 0) == 3;
});

// ---- Devices ------------------------------------------------------------------------------------

Request about_link(uint16_t type, uint16_t flags, int index) {
  return {type, flags, ifinfomsg{.ifi_index = index}};
}

// In one buffer: takes `device` away, makes another one by its number, and attaches to that. `name`
// null: the kernel names it.
int attach_to_a_number_used_again(const Fd& program, const char* device, const char* name) {
  const int index = index_of(device);
  Request last = about_link(RTM_SETLINK, 0, index);
  Request make = about_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, index);
  if (name != nullptr) make.put_text(IFLA_IFNAME, name);
  const size_t info = make.begin(IFLA_LINKINFO);
  make.put_text(IFLA_INFO_KIND, "dummy");
  make.end(info);
  const size_t xdp = last.begin(IFLA_XDP | NLA_F_NESTED);
  last.put(IFLA_XDP_FD, program.get());
  last.put(IFLA_XDP_FLAGS, uint32_t{XDP_FLAGS_SKB_MODE});
  last.end(xdp);
  last.put_before(about_link(RTM_DELLINK, 0, index));
  last.put_before(std::move(make));
  return send_request(std::move(last));
}

const Control number_used_again([] {
  run("ip link del nl7; ip link del nl8");
  must("ip link add nl7 type dummy");
  const int index = index_of("nl7");
  const bool worked = attach_to_a_number_used_again(loaded({}), "nl7", nullptr) == 0;
  char name[IF_NAMESIZE] = {};
  REQUIRE(::if_indextoname(static_cast<unsigned>(index), name) != nullptr);
  return worked && name != std::string("nl7") &&
         run(std::string("ip link del ") + name).status == 0;
});

}  // namespace

TEST_CASE("attack_add_a_filter_without_naming_its_kind", "[vm][attack][control]") {
  without_kind.must_have_worked();
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow("\"tc@nl0\""));
  for (const Into into : {Into::new_one, Into::old_one}) {
    CHECK(add_filter_without_kind("nl1", into) == EPERM);
    CHECK(add_filter_without_kind("nl0", into) == 0);
  }
  const nlohmann::json event = last_refused_attachment(warden);
  CHECK(event["route"] == "netlink");
  CHECK(event["attach"] == "tc@nl1");
}

TEST_CASE("attack_leave_the_last_attribute_of_a_message_unpadded", "[vm][attack][control]") {
  unpadded_filter.must_have_worked();
  unpadded_action.must_have_worked();
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow("\"tc@nl0\"") + refuse("action"));
  const Fd filter = loaded_as(BPF_PROG_TYPE_SCHED_CLS);
  CHECK(add_unpadded_filter(filter, "nl1") == EPERM);
  CHECK(add_unpadded_filter(filter, "nl0") == 0);
  const Fd action = loaded_as(BPF_PROG_TYPE_SCHED_ACT);
  for (const Last last : {Last::unpadded, Last::padded})
    CHECK(add_action_by(action, last) == EPERM);
  warden.apply("enforce", allow("\"action\""));
  for (const Last last : {Last::unpadded, Last::padded}) CHECK(add_action_by(action, last) == 0);
}

TEST_CASE("attack_hide_the_encapsulation_of_a_route", "[vm][attack][control]") {
  by_routes.must_have_worked();
  Warden warden;
  warden.apply("enforce", refuse("lwt_xmit"));
  const Fd program = loaded_as(BPF_PROG_TYPE_LWT_XMIT);
  CHECK(routes_that_fail_with(program, EPERM) == 3);
  warden.apply("enforce", allow("\"lwt_xmit\""));
  CHECK(routes_that_fail_with(program, 0) == 3);
}

TEST_CASE("attack_use_the_number_of_a_device_again_in_one_buffer", "[vm][attack][control]") {
  number_used_again.must_have_worked();
  must("ip link add nl7 type dummy");
  Warden warden;
  warden.apply("enforce", allow("\"xdp@nl7\""));
  const Fd program = loaded({});
  CHECK(attach_to_a_number_used_again(program, "nl7", nullptr) == EPERM);
  CHECK(attach_to_a_number_used_again(program, "nl7", "nl8") == EPERM);
  REQUIRE(index_of("nl7") != 0);  // nothing of the buffer was done
  CHECK(error_of_made(bpf_link_create(program.get(), index_of("nl7"), BPF_XDP, nullptr)) == 0);
  CHECK(rename_and_attach(program, index_of("nl7"), nullptr, Messages::two) == 0);
  run("ip link del nl7");
}

}  // namespace bpfwarden::vm
