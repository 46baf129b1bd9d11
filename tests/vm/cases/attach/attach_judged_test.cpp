// What an attachment is judged by: the policy of the moment, the name in its own namespace, each of
// several targets; and what else is told of it.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <ctime>
#include <fstream>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/extendable.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

std::string allow(const std::string& attach, const std::string& more = "") {
  return "[[rules]]\nname = \"here\"\nallow = [\"" + attach + "\"]\nsignature = \"unsigned\"\n" +
         more;
}

// Falls at attach, so that every attachment is looked at.
constexpr const char* kSomethingElse = R"(
[[rules]]
name = "something else"
allow = ["tc@att0"]
signature = "unsigned"
)";

// Under one policy, with the next version staged; of the load no event is left.
Fd loaded_with_staged(Warden& warden, const std::string& active, const std::string& staged) {
  warden.apply("enforce", allow(active));
  must("bpfwarden stage " + warden.write_policy("enforce", allow(staged), warden.version() + 1));
  Fd program = loaded({});
  (void)warden.events();
  return program;
}

// As a link on that device. 0, or errno.
int on_device(const Fd& program, const char* device) {
  return error_of_made(
      bpf_link_create(program.get(), static_cast<int>(::if_nametoindex(device)), BPF_XDP, nullptr));
}

int on_cgroup(const Fd& program, const std::string& path) {
  return error_of_made(
      bpf_link_create(program.get(), open_cgroup(path).get(), BPF_CGROUP_DEVICE, nullptr));
}

json only_attach_event(Warden& warden) {
  const std::vector<json> events = events_of_hook(warden, "attach");
  INFO(json(events).dump());
  REQUIRE(events.size() == 1);
  return events[0];
}

// This thread in another network namespace, which has a device att0 of its own.
class Elsewhere {
 public:
  Elsewhere() : home_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    run("ip netns del green");
    must("ip netns add green && ip link add far0 type veth peer name att0 netns green");
    const Fd green(::open("/run/netns/green", O_RDONLY | O_CLOEXEC));
    struct stat status = {};
    REQUIRE(::fstat(green.get(), &status) == 0);
    inode_ = std::to_string(status.st_ino);
    REQUIRE(::setns(green.get(), CLONE_NEWNET) == 0);
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  ~Elsewhere() {
    ::setns(home_.get(), CLONE_NEWNET);
    run("ip link del far0; ip netns del green");
  }

  [[nodiscard]] std::string place() const { return "netns:" + inode_ + "/att0"; }

 private:
  Fd home_;
  std::string inode_;
};

// The wall clock, an hour ahead.
class Later {
 public:
  Later() { shift(3600); }
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;
  ~Later() { shift(-3600); }

 private:
  static void shift(time_t seconds) {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += seconds;
    REQUIRE(::clock_settime(CLOCK_REALTIME, &now) == 0);
  }
};

std::string in_minutes(int minutes) {
  const time_t moment = ::time(nullptr) + time_t{60} * minutes;
  tm fields = {};
  ::gmtime_r(&moment, &fields);
  char text[32];
  ::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &fields);
  return text;
}

}  // namespace

TEST_CASE("deny_at_attach_by_the_policy_of_the_moment", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp@att0"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  warden.apply("enforce", allow("xdp@att1"));
  CHECK(on_device(program, "att0") == EPERM);
  CHECK(on_device(program, "att1") == 0);
  const std::vector<json> events = events_of_hook(warden, "attach");
  REQUIRE(events.size() == 2);
  CHECK(events[0]["policy_version"] == warden.version());
  CHECK(events[0]["attach"] == "xdp@att0");
  CHECK(events[0]["refused"] == true);
  CHECK(events[1]["rule"] == "here");
}

TEST_CASE("deny_an_attachment_once_its_rule_has_expired", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp@att0", "expires = " + in_minutes(30) + "\n"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  {
    const Later later;
    CHECK(on_device(program, "att0") == EPERM);
  }
  CHECK(on_device(program, "att0") == 0);
}

TEST_CASE("allow_in_audit_mode_and_tell_what_enforce_would_do", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("audit", allow("xdp@att0"));
  const Fd program = loaded({});
  (void)warden.events();
  CHECK(on_device(program, "att1") == 0);
  const json event = only_attach_event(warden);
  CHECK(event["decision"] == "deny");
  CHECK(event["refused"] == false);
  CHECK(event["errno"] == 0);
  CHECK(event["mode"] == "audit");
  CHECK(event["attach"] == "xdp@att1");
  CHECK(event["route"] == "link-create");
  CHECK(event["program_id"] == program_id(program));
}

TEST_CASE("allow_resident_programs_to_be_attached", "[vm][bare][attach][slow]") {
  const Sites sites;
  Warden warden;
  const Fd resident = loaded({});
  warden.apply("enforce", allow("xdp@att0"));
  CHECK(on_device(resident, "att1") == 0);
  CHECK(events_of_hook(warden, "attach").empty());
  CHECK(on_device(loaded({}), "att1") == EPERM);
}

TEST_CASE("allow_without_a_word_where_nothing_falls_at_attach", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  CHECK(events_of_hook(warden, "attach").empty());
  // Another rule does fall at attach: now this program's attachment is decided, and told.
  warden.apply("enforce", allow("xdp") + kSomethingElse);
  CHECK(on_device(program, "att0") == 0);
  const json event = only_attach_event(warden);
  CHECK(event["decision"] == "allow");
  CHECK(event["rule"] == "here");
  CHECK(event["attach"] == "xdp@att0");
}

TEST_CASE("allow_attachments_without_an_event_where_a_rule_does_not_log", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp@att0", "log = false\n"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  CHECK(events_of_hook(warden, "attach").empty());
  CHECK(on_device(program, "att1") == EPERM);
  CHECK(only_attach_event(warden)["refused"] == true);
}

TEST_CASE("allow_by_the_active_policy_and_tell_what_the_staged_one_would_refuse", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const Fd program = loaded_with_staged(warden, "xdp", "xdp@att0");
  CHECK(on_device(program, "att0") == 0);
  CHECK(events_of_hook(warden, "staged").empty());
  CHECK(on_device(program, "att1") == 0);
  const std::vector<json> differences = events_of_hook(warden, "staged");
  REQUIRE(differences.size() == 1);
  CHECK(differences[0]["attach"] == "xdp@att1");
  CHECK(differences[0]["route"] == "link-create");
  CHECK(differences[0]["decision"] == "deny");
  CHECK(differences[0]["active_decision"] == "allow");
  CHECK(differences[0]["policy_version"] == warden.version() + 1);
}

TEST_CASE("deny_by_the_active_policy_and_tell_what_the_staged_one_would_allow", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const Fd program = loaded_with_staged(warden, "xdp@att0", "xdp@att1");
  CHECK(on_device(program, "att1") == EPERM);
  const std::vector<json> differences = events_of_hook(warden, "staged");
  REQUIRE(differences.size() == 1);
  CHECK(differences[0]["attach"] == "xdp@att1");
  CHECK(differences[0]["decision"] == "allow");
  CHECK(differences[0]["active_decision"] == "deny");
}

TEST_CASE("deny_a_place_that_a_rule_denies_and_a_run_that_has_none", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"not there\"\ndeny = [\"xdp@att1\"]\n" + allow("xdp"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  CHECK(on_device(program, "att1") == EPERM);
  uint8_t packet[64] = {};
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));
  CHECK(error_of(bpf_prog_test_run_opts(program.get(), &options)) == EPERM);
  warden.apply("enforce", allow("xdp@att0"));  // nor does a rule with a place admit one without
  CHECK(error_of(bpf_prog_test_run_opts(program.get(), &options)) == EPERM);
  warden.apply("enforce", allow("xdp") + kSomethingElse);
  CHECK(error_of(bpf_prog_test_run_opts(program.get(), &options)) == 0);
}

TEST_CASE("deny_beyond_a_beginning_of_names", "[vm][attach][kernel][kernel:kernfs_parent]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp@att*") +
                              "[[rules]]\nname = \"below\"\nallow = "
                              "[\"cgroup/dev@/att.good/*\"]\n"
                              "signature = \"unsigned\"\n");
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  CHECK(on_device(program, "att1") == 0);
  CHECK(on_device(program, "lo") == EPERM);
  const Fd device = loaded(program_of("cgroup/dev"));
  CHECK(on_cgroup(device, "/att.good/inner") == 0);
  CHECK(on_cgroup(device, "/att.good") == EPERM);
  CHECK(on_cgroup(device, "/att.bad") == EPERM);
  CHECK(on_cgroup(device, "/") == EPERM);
}

TEST_CASE("deny_the_same_name_in_another_network_namespace", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("xdp@att0"));
  const Fd program = loaded({});
  CHECK(on_device(program, "att0") == 0);
  (void)warden.events();
  const Elsewhere elsewhere;
  CHECK(on_device(program, "att0") == EPERM);
  CHECK(only_attach_event(warden)["attach"] == "xdp@" + elsewhere.place());
  warden.apply("enforce", allow("xdp@" + elsewhere.place()));
  CHECK(on_device(program, "att0") == 0);
  CHECK(on_device(program, "lo") == EPERM);
}

TEST_CASE("deny_another_direction_than_the_load_told", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce", allow("tcx/ingress@att0"));
  const Fd program = loaded(program_of("tcx/ingress"));
  const auto device = static_cast<int>(::if_nametoindex("att0"));
  CHECK(error_of_made(bpf_link_create(program.get(), device, BPF_TCX_INGRESS, nullptr)) == 0);
  (void)warden.events();
  CHECK(error_of_made(bpf_link_create(program.get(), device, BPF_TCX_EGRESS, nullptr)) == EPERM);
  CHECK(only_attach_event(warden)["attach"] == "tcx/egress@att0");
}

TEST_CASE("deny_an_extension_of_another_function_than_it_was_loaded_for", "[vm][attach]") {
  Warden warden;
  const Extendable host;
  {
    const Attempt extension = host.load_extension();
    REQUIRE(extension.error == 0);
    CHECK(host.link(extension.fd, "replaceable_too") == 0);  // the kernel takes it
  }
  warden.apply("enforce", allow("freplace/replaceable") + kSomethingElse);
  const Attempt extension = host.load_extension();
  REQUIRE(extension.error == 0);
  CHECK(host.link(extension.fd, "replaceable_too") == EPERM);
  CHECK(host.link(extension.fd, "replaceable") == 0);
  const Attempt another = host.load_extension();
  CHECK(host.link(another.fd) == 0);
}

TEST_CASE("allow_a_signed_loader_to_run_where_its_children_fall_at_attach",
          "[vm][attach][kernel][signing][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps]") {
  const Sites sites;
  Warden warden;
  const std::string rule =
      "[[rules]]\nname = \"here\"\nallow = [\"xdp@att0\"]\nsigned-by = [\"netops\"]\n";
  warden.apply("enforce", rule);
  const keyring::Bundle bundle = sign_object("xdp_pass", warden.netops());
  CHECK(load_bundle(bundle, warden.ring()) == 0);
  CHECK(load_bundle(sign_object("xdp_pass", warden.stranger()), warden.stranger().ring) == EPERM);
}

}  // namespace bpfwarden::vm
