// Each way in which a program becomes active, decided: let through where a rule names the place or
// the target, refused with EPERM elsewhere, and told by an event. The ways are the rows of
// attach_routes.h; without a policy each of them goes through everywhere.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <map>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

// One attachment that was tried.
struct Tried {
  const Row* row;
  Where where;
  uint32_t program;
};

// What is made ready for a row, once; rows that are not early are made ready anew each time.
class Ready {
 public:
  explicit Ready(const std::vector<const Row*>& rows) {
    for (const Row* row : rows)
      if (row->is_early) {
        early_[{row, Where::good}] = row->prepare(Where::good);
        if (!row->bad.empty()) early_[{row, Where::bad}] = row->prepare(Where::bad);
      }
  }

  int attach(const Row& row, Where where, const Fd& program) {
    return row.is_early ? early_.at({&row, where})(program) : row.prepare(where)(program);
  }

 private:
  std::map<std::pair<const Row*, Where>, Attach> early_;
};

// Without a policy: those that this kernel knows, and each of them goes through in both places.
std::vector<const Row*> known_rows(const std::vector<Row>& rows) {
  std::vector<const Row*> known;
  for (const Row& row : rows) {
    INFO(name_of(row));
    const Attempt program = load(row);
    CHECK(program.error == (is_known_here(row) ? 0 : EINVAL));
    if (program.error != 0) {
      WARN(name_of(row) << " is not known to this kernel: error " << program.error);
      continue;
    }
    CHECK(row.prepare(Where::good)(program.fd) == 0);
    if (!row.bad.empty()) CHECK(row.prepare(Where::bad)(program.fd) == 0);
    known.push_back(&row);
  }
  return known;
}

template <class Chosen>
std::string rule(const std::string& action, const std::vector<const Row*>& rows, Chosen chosen) {
  std::string patterns;
  for (const Row* row : rows) {
    if (!chosen(*row) || patterns.find(pattern_of(*row)) != std::string::npos) continue;
    patterns += (patterns.empty() ? "" : ", ") + pattern_of(*row);
  }
  if (patterns.empty()) return "";
  return "[[rules]]\nname = \"" + action + "\"\n" + action + " = [" + patterns +
         "]\nsignature = \"unsigned\"\n";
}

bool has_two_places(const Row& row) { return !row.bad.empty(); }

// Falls at attach, so that each attachment is looked at, and admits none of them.
constexpr const char* kSomethingElse = R"(
[[rules]]
name = "something else"
allow = ["tc@nowhere"]
signature = "unsigned"
)";

json event_of(const std::vector<json>& events, const Tried& tried, bool refused) {
  for (const json& event : events)
    if (event["hook"] == "attach" && event["program_id"] == tried.program &&
        event["refused"] == refused)
      return event;
  return {};
}

void check_event(const std::vector<json>& events, const Tried& tried) {
  const Row& row = *tried.row;
  const bool refused = tried.where == Where::bad;
  INFO(name_of(row) << (refused ? ", refused" : ", let through"));
  const json event = event_of(events, tried, refused);
  INFO(event.dump());
  REQUIRE_FALSE(event.is_null());
  CHECK(event["route"] == row.route);
  CHECK(event["decision"] == (refused ? "deny" : "allow"));
  CHECK(event["errno"] == (refused ? EPERM : 0));
  CHECK(event["mode"] == "enforce");
  if (has_two_places(row)) {
    CHECK(event["attach"] == row.family + (refused ? row.bad : row.good));
    CHECK(event["cause"] == (refused ? "default" : "rule"));
  }
}

// One program of each row, at both places.
void attach_under_allow(Warden& warden, Ready& ready, const std::vector<const Row*>& rows) {
  std::vector<Tried> tried;
  for (const Row* row : rows) {
    INFO(name_of(*row));
    const Attempt program = load(*row);
    REQUIRE(program.error == 0);
    CHECK(ready.attach(*row, Where::good, program.fd) == 0);
    tried.push_back({row, Where::good, program_id(program.fd)});
    if (!has_two_places(*row)) continue;
    CHECK(ready.attach(*row, Where::bad, program.fd) == EPERM);
    tried.push_back({row, Where::bad, program_id(program.fd)});
  }
  const std::vector<json> events = warden.events();
  for (const Tried& one : tried) check_event(events, one);
}

void attach_under_load_only(Warden& warden, Ready& ready, const std::vector<const Row*>& rows) {
  std::vector<Tried> tried;
  for (const Row* row : rows) {
    if (has_two_places(*row)) continue;
    INFO(name_of(*row));
    const Attempt program = load(*row);
    REQUIRE(program.error == 0);
    CHECK(ready.attach(*row, Where::good, program.fd) == EPERM);
    tried.push_back({row, Where::bad, program_id(program.fd)});
  }
  const std::vector<json> events = warden.events();
  for (const Tried& one : tried) check_event(events, one);
}

void check_rows(const std::vector<Row>& rows) {
  Warden warden;
  const Sites sites;
  const std::vector<const Row*> known = known_rows(rows);
  Ready ready(known);
  const auto all = [](const Row&) { return true; };
  warden.apply("enforce", rule("allow", known, all) + kSomethingElse);
  attach_under_allow(warden, ready, known);
  const std::string load_only =
      rule("load-only", known, [](const Row& row) { return !has_two_places(row); });
  if (load_only.empty()) return;
  warden.apply("enforce", load_only);
  attach_under_load_only(warden, ready, known);
}

}  // namespace

TEST_CASE("allow_each_way_and_tell_of_none_where_nothing_falls_at_attach",
          "[vm][attach][kernel][kernel:fsession][kernel:tracing_multi]") {
  Warden warden;
  const Sites sites;
  std::vector<Row> rows = all_rows();
  std::erase_if(rows, [](const Row& row) { return row.route == "link-update"; });  // in the way
  const std::vector<const Row*> known = known_rows(rows);
  Ready ready(known);
  warden.apply("enforce", "[[rules]]\nname = \"all\"\nallow = [\"*\"]\nsignature = \"unsigned\"\n");
  const Companion companion;
  for (const Row* row : known) {
    INFO(name_of(*row));
    CHECK(ready.attach(*row, Where::good, load(*row).fd) == 0);
  }
  for (const json& event : warden.events()) CHECK(event["hook"] != "attach");
}

TEST_CASE("deny_programs_on_devices_that_no_rule_names", "[vm][attach]") {
  check_rows(device_rows());
}

TEST_CASE("deny_programs_on_cgroups_that_no_rule_names",
          "[vm][attach][kernel][kernel:kernfs_parent]") {
  check_rows(cgroup_rows());
}

TEST_CASE("deny_probes_of_what_no_rule_names",
          "[vm][attach][kernel][kernel:user_strings][kernel:tracing_multi]") {
  check_rows(probe_rows());
}

TEST_CASE("deny_at_attach_what_may_only_be_loaded_for_its_target",
          "[vm][attach][kernel][kernel:fsession]") {
  check_rows(target_rows());
}

TEST_CASE("deny_on_sockets_and_networks_what_may_only_be_loaded", "[vm][attach]") {
  check_rows(network_rows());
}

TEST_CASE("deny_another_program_in_a_link_than_a_rule_names",
          "[vm][attach][kernel][kernel:xdp_link][kernel:tcx_link][kernel:netkit_link][kernel:"
          "cgroup_link]["
          "kernel:kernfs_parent]") {
  check_rows(update_rows());
}

// Bare: the other programs of a struct are residents, so that the one refused is the one tried.
TEST_CASE("deny_programs_in_maps_that_may_only_be_loaded",
          "[vm][bare][attach][kernel][kernel:fsession][kernel:tracing_multi][slow]") {
  check_rows(map_rows());
}

TEST_CASE("deny_runs_of_programs_that_may_only_be_loaded",
          "[vm][attach][kernel][kernel:fsession][kernel:tracing_multi]") {
  check_rows(run_rows());
}

}  // namespace bpfwarden::vm
