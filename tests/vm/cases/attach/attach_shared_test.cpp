// Who shares its file descriptors could have another program judged than the one that is attached,
// and attaches none; nor who names its program where no hook can read it, and holds one that would
// not be allowed there.
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/netlink_attach.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

// One row of each route; the link-update is of a cgroup, whose place is in the policy anyway.
constexpr std::pair<const char*, const char*> kSome[] = {
    {"xdp", "link-create"},        {"cgroup/dev", "prog-attach"},
    {"cgroup/dev", "link-update"}, {"raw_tp", "raw-tracepoint-open"},
    {"kprobe", "perf-event"},      {"socket", "test-run"},
    {"socket", "map-update"},      {"socket", "setsockopt"},
    {"socket", "ioctl"},           {"xdp", "netlink"},
};

std::vector<Row> some_rows() {
  const std::vector<Row> rows = all_rows();
  std::vector<Row> some;
  for (const auto& [family, route] : kSome) {
    const auto found = std::ranges::find_if(
        rows, [&](const Row& row) { return row.family == family && row.route == route; });
    REQUIRE(found != rows.end());
    some.push_back(*found);
  }
  return some;
}

std::string rules(const std::vector<Row>& rows) {
  std::string patterns;
  for (const Row& row : rows)
    if (patterns.find(pattern_of(row)) == std::string::npos)
      patterns += (patterns.empty() ? "" : ", ") + pattern_of(row);
  return "[[rules]]\nname = \"here\"\nallow = [" + patterns + "]\nsignature = \"unsigned\"\n";
}

// Each is made ready before there is a policy, so that only the attachment itself is decided.
std::vector<Attach> ready(const std::vector<Row>& rows) {
  std::vector<Attach> attachments;
  for (const Row& row : rows) attachments.push_back(row.prepare(Where::good));
  return attachments;
}

int filter_socket(const Fd& program) {
  const Fd socket = udp_socket();
  const int fd = program.get();
  return error_of(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
}

}  // namespace

TEST_CASE("deny_attachments_of_who_shares_its_files",
          "[vm][attach][kernel][kernel:cgroup_link][kernel:kernfs_parent]") {
  const Sites sites;
  Warden warden;
  const std::vector<Row> rows = some_rows();
  for (const Row& row : rows) {
    INFO(name_of(row));
    const Companion companion;
    CHECK(row.prepare(Where::good)(load(row).fd) == 0);  // without a policy
  }
  std::vector<Attach> attach = ready(rows);
  warden.apply("enforce", rules(rows));
  for (size_t i = 0; i < rows.size(); i++) {
    INFO(name_of(rows[i]));
    const Attempt program = load(rows[i]);
    REQUIRE(program.error == 0);
    {
      const Companion companion;
      CHECK(attach[i](program.fd) == EPERM);
      const json event = last_refused_attachment(warden);
      CHECK(event["cause"] == "shared-files");
      CHECK(event["route"] == rows[i].route);
      CHECK(event["program_id"] == program_id(program.fd));
    }
    {
      const Sharer sharer(CLONE_FILES);
      CHECK(attach[i](program.fd) == EPERM);
    }
    CHECK(attach[i](program.fd) == 0);
  }
}

// Of each family and route.
TEST_CASE("allow_attachments_of_threads_that_are_looked_at_afterwards",
          "[vm][attach][kernel][kernel:fsession][kernel:tracing_multi][kernel:tracing_multi_link]["
          "kernel:kprobe_multi_link][kernel:"
          "cgroup_link][kernel:kernfs_parent][kernel:user_strings]") {
  const Sites sites;
  Warden warden;
  std::vector<Row> rows = all_rows();
  std::erase_if(rows, [](const Row& row) {
    return row.is_early || (row.family == "lsm_cgroup" &&
                            row.route != "link-create");  // one rule holds one of them
  });
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + rules(rows));
  size_t attached = 0;
  for (const Row& row : rows) {
    INFO(name_of(row));
    const Attempt program = load(row);
    CHECK(program.error == (is_known_here(row) ? 0 : EINVAL));
    if (program.error != 0) continue;
    Attach attach = row.prepare(Where::good);
    const Companion companion;
    CHECK(attach(program.fd) == 0);
    attached++;
  }
  CHECK(attached > 100);
  for (const json& event : warden.events()) CHECK(event["decision"] == "allow");
}

TEST_CASE("deny_who_shares_its_files_with_another_process_where_threads_are_let_through",
          "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const std::vector<Row> rows = some_rows();
  std::vector<Attach> attach = ready(rows);
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + rules(rows));
  for (size_t i = 0; i < rows.size(); i++) {
    INFO(name_of(rows[i]));
    const Attempt program = load(rows[i]);
    {
      const Sharer sharer(CLONE_FILES);
      CHECK(attach[i](program.fd) == EPERM);
      CHECK(last_refused_attachment(warden)["cause"] == "shared-files");
    }
    const Companion companion;
    CHECK(attach[i](program.fd) == 0);
  }
}

TEST_CASE("deny_threads_what_a_rule_does_not_let_through", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 7)};
  const std::string not_here =
      "[[rules]]\nname = \"no kprobes\"\nload-only = [\"kprobe/*\"]\n"
      "signature = \"unsigned\"\n";
  const std::string allow = "allow = [\"socket\"]\n";
  warden.apply("enforce",
               rule_about(two.wanted, "watched", allow + "multithreaded-attach = \"detect\"") +
                   rule_about(two.other, "alone", allow) + not_here);
  const auto filter_alone = [](const Load& request) { return filter_socket(loaded(request)); };
  CHECK(filter_alone(two.other) == 0);
  const Companion companion;
  CHECK(filter_alone(two.wanted) == 0);
  CHECK(filter_alone(two.other) == EPERM);
  CHECK(last_refused_attachment(warden)["cause"] == "shared-files");
}

TEST_CASE("allow_attachments_of_a_child_that_shares_nothing", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const std::vector<Row> rows = some_rows();
  std::vector<Attach> attach = ready(rows);
  warden.apply("enforce", rules(rows));
  const Companion companion;
  for (size_t i = 0; i < rows.size(); i++) {
    INFO(name_of(rows[i]));
    const Attempt program = load(rows[i]);
    REQUIRE(program.error == 0);
    CHECK(attach[i](program.fd) == EPERM);
    CHECK(in_child([&] { return attach[i](program.fd); }) == 0);
  }
}

TEST_CASE("allow_in_audit_mode_who_shares_its_files", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const std::vector<Row> rows = some_rows();
  std::vector<Attach> attach = ready(rows);
  warden.apply("audit", rules(rows));
  for (size_t i = 0; i < rows.size(); i++) {
    INFO(name_of(rows[i]));
    const Attempt program = load(rows[i]);
    (void)warden.events();
    {
      const Companion companion;
      CHECK(attach[i](program.fd) == 0);
    }
    const std::vector<json> events = warden.events();
    CHECK_FALSE(events.empty());
    for (const json& event : events) {
      CHECK(event["cause"] == "shared-files");
      CHECK(event["decision"] == "deny");
      CHECK(event["refused"] == false);
    }
  }
}

TEST_CASE("allow_threads_what_only_a_staged_policy_decides_at_attach", "[vm][attach]") {
  const Sites sites;
  Warden warden;
  const std::vector<Row> rows = some_rows();
  std::vector<Attach> attach = ready(rows);
  warden.apply("enforce", "", "allow");
  must("bpfwarden stage " + warden.write_policy("enforce", rules(rows), warden.version() + 1));
  for (size_t i = 0; i < rows.size(); i++) {
    INFO(name_of(rows[i]));
    const Attempt program = load(rows[i]);
    const Companion companion;
    CHECK(attach[i](program.fd) == 0);
  }
  for (const json& event : warden.events()) CHECK(event["cause"] != "attach-race");
}

// What the kernel reads there is judged once more (tests/vm/attack/shared_memory_test.cpp).
TEST_CASE("allow_names_in_memory_that_another_process_shares",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"here\"\nallow = [\"kprobe.multi/tcp_connect\"]\n"
               "signature = \"unsigned\"\n");
  const Fd program = loaded(program_of("kprobe.multi"));
  const auto attach = [&](const char* function) {
    return attach_functions(program, BPF_TRACE_KPROBE_MULTI, 0, {function});
  };
  const Sharer sharer(CLONE_VM);
  CHECK(attach("tcp_connect") == 0);
  CHECK(attach("tcp_close") == EPERM);
  CHECK(last_refused_attachment(warden)["cause"] == "default");
}

TEST_CASE("deny_a_filter_of_who_holds_another_that_is_not_allowed", "[vm][attach]") {
  Warden warden;
  const TwoPrograms two = {Load::packet_filter(), Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER, 7)};
  warden.apply("enforce", two.rules("socket", "socket"));
  const Fd program = loaded(two.wanted);
  CHECK(filter_socket(program) == 0);
  Fd held = loaded(two.other);
  CHECK(filter_socket(held) == EPERM);
  CHECK(filter_socket(program) == EPERM);
  const json event = last_refused_attachment(warden);
  CHECK(event["program_id"] == program_id(held));
  CHECK(event["rule"] == "other");
  CHECK(event["route"] == "setsockopt");
  held.reset();
  CHECK(filter_socket(program) == 0);
}

TEST_CASE("allow_a_filter_of_who_holds_programs_of_other_types", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"filters\"\nallow = [\"socket\"]\nsignature = \"unsigned\"\n"
               "[[rules]]\nname = \"others\"\nload-only = [\"xdp\", \"tc\"]\n"
               "signature = \"unsigned\"\n");
  const Fd program = loaded(Load::packet_filter());
  const Fd xdp = loaded({}), tc = loaded(program_of("tc"));
  CHECK(filter_socket(program) == 0);
  const std::vector<Row> rows = map_rows();
  const auto tail_call = std::ranges::find(rows, "tc", &Row::family);
  REQUIRE(tail_call != rows.end());
  CHECK(tail_call->prepare(Where::good)(tc) == EPERM);
}

TEST_CASE("deny_an_action_of_who_holds_another_that_is_not_allowed", "[vm][attach]") {
  Warden warden;
  const TwoPrograms two = {program_of("action"), Load::of_type(BPF_PROG_TYPE_SCHED_ACT, 2)};
  warden.apply("enforce", two.rules("action", "action"));
  const Fd program = loaded(two.wanted);
  CHECK(add_action(program) == 0);
  Fd held = loaded(two.other);
  CHECK(add_action(program) == EPERM);
  held.reset();
  CHECK(add_action(program) == 0);
}

}  // namespace bpfwarden::vm
