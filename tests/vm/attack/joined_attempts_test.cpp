// Attempts that name no program: a device joins what has one already. It is told, and stays.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>
#include <net/if.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr uint32_t kBlock = 22, kAction = 5;

int index_of(const char* device) { return static_cast<int>(::if_nametoindex(device)); }

// A bond jb0, and devices jd0 and jd1 that can be enslaved.
class Devices {
 public:
  Devices() {
    clear();
    must("ip link add jb0 type bond mode active-backup");
    must("ip link add jd0 type veth peer name jd1");
  }
  Devices(const Devices&) = delete;
  Devices& operator=(const Devices&) = delete;
  ~Devices() { clear(); }

 private:
  static void clear() {
    run("ip link del jb0 2>/dev/null; ip link del jd0 2>/dev/null; tc actions flush action bpf");
  }
};

std::string allow(const std::string& attach) {
  return "[[rules]]\nname = \"here\"\nallow = [" + attach + "]\nsignature = \"unsigned\"\n";
}

void check_told(Warden& warden, const char* attach, const char* decision) {
  const auto told = events_of_hook(warden, "attach");
  REQUIRE(told.size() == 1);
  INFO(told[0].dump());
  CHECK(told[0]["route"] == "device-joined");
  CHECK(told[0]["attach"] == attach);
  CHECK(told[0]["decision"] == decision);
  CHECK(told[0]["refused"] == false);
}

// ---- Bonds --------------------------------------------------------------------------------------

enum class By { netlink, file };

int enslave(const char* device, By by) {
  if (by == By::netlink)
    return run(std::string("ip link set dev ") + device + " master jb0").status;
  std::ofstream slaves("/sys/class/net/jb0/bonding/slaves");
  slaves << "+" << device << std::flush;
  return slaves ? 0 : 1;
}

void release(const char* device) { must(std::string("ip link set dev ") + device + " nomaster"); }

const Control enslaved([] {
  const Devices devices;
  const Fd program = loaded({});
  const Fd link = make_link(program, index_of("jb0"), BPF_XDP);
  return enslave("jd0", By::netlink) == 0;
});

bool inventory_has(const std::string& attach) {
  const nlohmann::json programs = json_of("bpfwarden inventory --json")["programs"];
  for (const nlohmann::json& one : programs)
    for (const nlohmann::json& attachment : one["attachments"])
      if (attachment["attach"] == attach) return true;
  return false;
}

// ---- Blocks of filters --------------------------------------------------------------------------

int bind_block(const char* device) {
  return run(std::string("tc qdisc add dev ") + device + " ingress_block " +
             std::to_string(kBlock) + " clsact")
      .status;
}

int add_filter_to_block(const Fd& program) {
  tcmsg body = {};
  body.tcm_ifindex = static_cast<int>(TCM_IFINDEX_MAGIC_BLOCK);
  body.tcm_parent = kBlock;
  body.tcm_info = TC_H_MAKE(7U << 16, htons(ETH_P_ALL));
  Request request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body);
  request.put_text(TCA_KIND, "bpf");
  const size_t options = request.begin(TCA_OPTIONS);
  request.put(TCA_BPF_FD, program.get());
  request.put_text(TCA_BPF_NAME, "joined");
  request.end(options);
  return send_request(std::move(request));
}

int fill_block() {
  const Fd program = loaded(Load::of_type(BPF_PROG_TYPE_SCHED_CLS));
  const int error = bind_block("jd0");
  return error != 0 ? error : add_filter_to_block(program);
}

const Control block_bound([] {
  const Devices devices;
  return fill_block() == 0 && bind_block("jd1") == 0;
});

// ---- Actions ------------------------------------------------------------------------------------

void put_action(Request& request, uint16_t type, const Fd* program) {
  const size_t table = request.begin(type), first = request.begin(1);
  request.put_text(TCA_ACT_KIND, "bpf");
  const size_t options = request.begin(TCA_ACT_OPTIONS | NLA_F_NESTED);
  tc_act_bpf parameters = {};
  parameters.index = kAction;
  parameters.action = TC_ACT_PIPE;
  request.put(TCA_ACT_BPF_PARMS, parameters);
  if (program != nullptr) {
    request.put(TCA_ACT_BPF_FD, program->get());
    request.put_text(TCA_ACT_BPF_NAME, "joined");
  }
  request.end(options);
  request.end(first);
  request.end(table);
}

int make_action() {
  const Fd program = loaded(Load::of_type(BPF_PROG_TYPE_SCHED_ACT));
  Request request(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, tcamsg{});
  put_action(request, TCA_ACT_TAB, &program);
  return send_request(std::move(request));
}

// A filter of another kind, with the action by its number alone.
int name_action(uint32_t priority) {
  tcmsg body = {};
  body.tcm_ifindex = index_of("jd1");
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
  body.tcm_info = TC_H_MAKE(priority << 16, htons(ETH_P_IP));
  Request request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, body);
  request.put_text(TCA_KIND, "flower");
  const size_t options = request.begin(TCA_OPTIONS | NLA_F_NESTED);
  put_action(request, TCA_FLOWER_ACT, nullptr);
  request.put(TCA_FLOWER_KEY_ETH_TYPE, htons(ETH_P_IP));
  request.end(options);
  return send_request(std::move(request));
}

const Control action_named([] {
  const Devices devices;
  must("tc qdisc add dev jd1 clsact");
  return make_action() == 0 && name_action(1) == 0;
});

}  // namespace

TEST_CASE("attack_enslave_a_device_to_a_bond_with_a_program", "[vm][attack][control]") {
  enslaved.must_have_worked();
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow("\"xdp@jb0\""));
  const Fd program = loaded({});
  const Fd link = make_link(program, index_of("jb0"), BPF_XDP);
  CHECK(error_of_made(bpf_link_create(program.get(), index_of("jd0"), BPF_XDP, nullptr)) == EPERM);
  (void)warden.events();
  for (const By by : {By::netlink, By::file}) {
    REQUIRE(enslave("jd0", by) == 0);
    check_told(warden, "xdp@jd0", "deny");
    CHECK(inventory_has("xdp@jd0"));
    release("jd0");
    CHECK_FALSE(inventory_has("xdp@jd0"));
  }
  warden.apply("enforce", allow("\"xdp@jb0\", \"xdp@jd0\""));
  (void)warden.events();
  REQUIRE(enslave("jd0", By::netlink) == 0);
  check_told(warden, "xdp@jd0", "allow");
}

TEST_CASE("attack_bind_a_block_of_filters_to_another_device", "[vm][attack][control]") {
  block_bound.must_have_worked();
  const Devices devices;
  Warden warden;
  warden.apply("enforce", allow("\"tc@jd0\""));
  CHECK(fill_block() == EPERM);  // wherever it is bound later
  must("tc qdisc del dev jd0 clsact");
  warden.apply("enforce", allow("\"tc\""));
  CHECK(fill_block() == 0);
  warden.apply("enforce", allow("\"tc@jd0\""));
  (void)warden.events();
  REQUIRE(bind_block("jd1") == 0);
  check_told(warden, "tc@jd1", "deny");
  must("tc qdisc del dev jd1 clsact");
  warden.apply("enforce", allow("\"tc@jd1\""));
  (void)warden.events();
  REQUIRE(bind_block("jd1") == 0);
  check_told(warden, "tc@jd1", "allow");
}

TEST_CASE("attack_name_an_action_by_its_number", "[vm][attack][control]") {
  action_named.must_have_worked();
  const Devices devices;
  must("tc qdisc add dev jd1 clsact");
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"nowhere\"\nload-only = [\"action\"]\n"
               "signature = \"unsigned\"\n");
  CHECK(make_action() == EPERM);
  warden.apply("enforce", allow("\"action\", \"tc@jd0\""));
  CHECK(make_action() == 0);
  warden.apply("enforce", allow("\"tc@jd0\""));
  (void)warden.events();
  REQUIRE(name_action(1) == 0);
  check_told(warden, "action", "deny");
  warden.apply("enforce", allow("\"action\", \"tc@jd0\""));
  (void)warden.events();
  REQUIRE(name_action(2) == 0);
  check_told(warden, "action", "allow");
}

}  // namespace bpfwarden::vm
