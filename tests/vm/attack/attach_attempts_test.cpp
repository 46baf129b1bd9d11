// Attempts at where a program becomes active.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/delegation.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

// Devices ak0 and ak9.
class Pair {
 public:
  Pair() {
    clear();
    must("ip link add ak0 type veth peer name ak9");
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() { clear(); }

 private:
  static void clear() { run("ip link del ak0; ip link del ak9; ip link del ak1"); }
};

int index_of(const char* device) { return static_cast<int>(::if_nametoindex(device)); }

int attach(const Fd& program, const char* device) {
  return error_of_made(bpf_link_create(program.get(), index_of(device), BPF_XDP, nullptr));
}

std::string allow(const std::string& attach, const std::string& more = "") {
  return "[[rules]]\nname = \"here\"\nallow = [\"" + attach + "\"]\nsignature = \"unsigned\"\n" +
         more;
}

const Control elsewhere([] {
  const Pair pair;
  return attach(loaded({}), "ak9") == 0;
});

const Control renamed([] {
  const Pair pair;
  const Fd program = loaded({});
  const Fd link = make_link(program, index_of("ak0"), BPF_XDP);
  return run("ip link set dev ak0 name ak1").status == 0;
});

const Control by_one_buffer([] {
  const Pair pair;
  return rename_and_attach(loaded({}), index_of("ak0"), "ak1", Messages::one) == 0;
});

const Control with_a_companion([] {
  const Pair pair;
  const Companion companion;
  return attach(loaded({}), "ak0") == 0;
});

int filter_by(const Fd& program) {
  const Fd socket = udp_socket();
  const int fd = program.get();
  return error_of(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
}

const Control as_a_filter([] { return filter_by(loaded(Load::packet_filter())) == 0; });

// The option by which ebtables(8) sets a table, with nothing that the kernel takes: what counts is
// who refuses it. Kernels without that module know no such option.
int set_table_of_ebtables() {
  const Fd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  constexpr int kSetEntries = 128;
  return error_of(::setsockopt(socket.get(), SOL_IP, kSetEntries, "", 0));
}

const Control by_ebtables([] {
  const Fd filter = loaded(Load::packet_filter());
  return set_table_of_ebtables() != EPERM;
});

int load_with_token() {
  return in_delegated_child([](const Fd& bpffs) {
    const Attempt token = create_token(bpffs);
    return token.error != 0 ? token.error : load(with_token({}, token.fd)).error;
  });
}

const Control from_a_user_namespace([] { return load_with_token() == 0; });

}  // namespace

TEST_CASE("attack_attach_elsewhere", "[vm][attack][control]") {
  elsewhere.must_have_worked();
  const Pair pair;
  Warden warden;
  warden.apply("enforce", allow("xdp@ak0"));
  const Fd program = loaded({});
  CHECK(attach(program, "ak9") == EPERM);
  CHECK(attach(program, "ak0") == 0);
}

// It is told, and stays.
TEST_CASE("attack_rename_a_device_with_its_programs",
          "[vm][attack][control][kernel][kernel:netif_change_name]") {
  renamed.must_have_worked();
  const Pair pair;
  Warden warden;
  warden.apply("enforce", allow("xdp@ak0"));
  const Fd program = loaded({});
  const Fd link = make_link(program, index_of("ak0"), BPF_XDP);
  (void)warden.events();
  must("ip link set dev ak0 name ak1");
  const auto told = events_of_hook(warden, "attach");
  REQUIRE(told.size() == 1);
  CHECK(told[0]["route"] == "device-renamed");
  CHECK(told[0]["decision"] == "deny");
  must("ip link set dev ak1 name ak0");
  CHECK(events_of_hook(warden, "attach").at(0)["decision"] == "allow");
}

TEST_CASE("attack_rename_a_device_and_attach_by_one_buffer", "[vm][attack][control]") {
  by_one_buffer.must_have_worked();
  const Pair pair;
  Warden warden;
  warden.apply("enforce", allow("xdp@ak0"));
  const Fd program = loaded({});
  for (const Messages messages : {Messages::one, Messages::two}) {
    CHECK(rename_and_attach(program, index_of("ak0"), "ak1", messages) == EPERM);
    CHECK(rename_and_attach(program, index_of("ak0"), nullptr, messages) == 0);
    REQUIRE(bpf_xdp_detach(index_of("ak0"), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  }
}

// Whoever shares the table could put another program under the number; tests/vm/cases/race_test.cpp
// does.
TEST_CASE("attack_share_the_file_descriptors_of_who_attaches", "[vm][attack][control]") {
  with_a_companion.must_have_worked();
  const Pair pair;
  Warden warden;
  warden.apply("enforce", allow("xdp@ak0"));
  const Fd program = loaded({});
  {
    const Companion companion;
    CHECK(attach(program, "ak0") == EPERM);
    CHECK(last_refused_attachment(warden)["cause"] == "shared-files");
  }
  wait_until_alone();
  CHECK(attach(program, "ak0") == 0);
}

// Where no hook reads which program is meant, every fitting one that is open must be allowed.
TEST_CASE("attack_hold_another_filter_beside_the_allowed_one", "[vm][attack][control]") {
  as_a_filter.must_have_worked();
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 1)};
  Warden warden;
  warden.apply("enforce", two.rules("socket", "socket"));
  const Fd wanted = loaded(two.wanted);
  {
    const Fd other = loaded(two.other);
    CHECK(filter_by(other) == EPERM);
    CHECK(filter_by(wanted) == EPERM);
  }
  CHECK(filter_by(wanted) == 0);
}

TEST_CASE("attack_set_a_table_of_ebtables_that_runs_a_program", "[vm][attack][control]") {
  by_ebtables.must_have_worked();
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 1)};
  Warden warden;
  warden.apply("enforce", two.rules("socket", "socket"));
  {
    const Fd other = loaded(two.other);
    CHECK(set_table_of_ebtables() == EPERM);
    CHECK(last_refused_attachment(warden)["route"] == "setsockopt");
  }
  const Fd wanted = loaded(two.wanted);
  CHECK(set_table_of_ebtables() != EPERM);
}

TEST_CASE("attack_load_with_a_token_from_a_user_namespace", "[vm][attack][control]") {
  from_a_user_namespace.must_have_worked();
  Warden warden;
  warden.apply("enforce", allow("xdp", "delegated = false\n"));
  CHECK(load_with_token() == EPERM);
  CHECK(load(Load{}).error == 0);
  warden.apply("enforce", "bpf-tokens = \"deny\"\n" + allow("xdp"));
  CHECK(load_with_token() == EPERM);
  CHECK(load(Load{}).error == 0);
  warden.apply("enforce", allow("xdp", "delegated = true\n"));
  CHECK(load_with_token() == 0);
}

}  // namespace bpfwarden::vm
