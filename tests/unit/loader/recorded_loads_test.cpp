// What recorded events say of the past: loads for `suggest`, loads and attachments for a preflight.
#include "loader/rollout/recorded_loads.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/rollout/preflight.h"
#include "tests/unit/keyring/test_keys.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

json let_through(const char* hook, const char* attach) {
  return {{"hook", hook},
          {"decision", "allow"},
          {"refused", false},
          {"cause", "rule"},
          {"rule", "packets"},
          {"attach", attach},
          {"signature", "unsigned"},
          {"signer", nullptr},
          {"program", "drop"},
          {"program_id", 7},
          {"digest", std::string(64, 'd')},
          {"exe", "/usr/bin/agent"},
          {"uid", 0},
          {"wall_time", 1'800'000'000}};
}

json refused(json event) {
  event.update({{"decision", "deny"}, {"refused", true}, {"cause", "default"}});
  return event;
}

struct Recording {
  explicit Recording(const std::vector<json>& events) {
    std::ofstream file(source.file);
    for (const json& event : events) file << event.dump() << "\n";
  }
  test::TempDir folder;
  EventSource source = {.file = folder.path() / "events.jsonl"};
};

CompiledPolicy compiled(const std::string& rules) {
  auto policy = compile_policy(policy::parse(
      {{"next.toml",
        "schema=1\nname=\"next\"\nversion=1\nmode=\"enforce\"\ndefault=\"deny\"\n" + rules}},
      {}, 0));
  REQUIRE(policy.has_value());
  return std::move(*policy);
}

}  // namespace

TEST_CASE("an attachment is no other load of its program") {
  CHECK(seen_load_of(event_of(let_through("bpf_prog_load", "xdp"))).has_value());
  CHECK_FALSE(seen_load_of(event_of(let_through("attach", "xdp@eth0"))).has_value());
  CHECK_FALSE(seen_attachment_of(event_of(let_through("bpf_prog_load", "xdp"))).has_value());
  const auto attached = seen_attachment_of(event_of(let_through("attach", "xdp@eth0")));
  REQUIRE(attached.has_value());
  CHECK(attached->load.attach == "xdp@eth0");
  CHECK(attached->fate == policy::Fate::ran);
}

TEST_CASE("loads and attachments that went through, each kind once") {
  const Recording recording({let_through("bpf_prog_load", "xdp"), let_through("attach", "xdp@eth0"),
                             let_through("attach", "xdp@eth0"), let_through("attach", "xdp@eth1"),
                             refused(let_through("attach", "xdp@eth2"))});
  const auto kinds = read_recorded_kinds(recording.source);
  REQUIRE(kinds.has_value());
  REQUIRE(kinds->loads.size() == 1);
  CHECK(kinds->loads[0].seen.count == 1);
  REQUIRE(kinds->attachments.size() == 2);
  CHECK(kinds->attachments[0].seen.count == 2);
  CHECK(kinds->attachments[0].seen.load.attach == "xdp@eth0");
  CHECK(kinds->attachments[1].seen.load.attach == "xdp@eth1");
}

TEST_CASE("a preflight asks about attachments where the next policy decides there") {
  const Recording recording({let_through("bpf_prog_load", "xdp"), let_through("attach", "xdp@eth0"),
                             let_through("attach", "xdp@eth1")});
  const auto found = [&](const std::string& allow) {
    return preflight(
        compiled("[[rules]]\nname=\"one\"\nallow=[" + allow + "]\nsignature=\"unsigned\"\n"),
        recording.source);
  };
  const auto one_device = found("\"xdp@eth0\"");
  if (!one_device && one_device.error().code == EACCES) SKIP("not root: the pins cannot be seen");
  REQUIRE(one_device.has_value());
  CHECK(one_device->recorded.empty());
  REQUIRE(one_device->attached.size() == 1);
  CHECK(one_device->attached[0].attach == "xdp@eth1");
  CHECK_FALSE(one_device->is_clean());
  CHECK(
      preflight_text(*one_device)
          .starts_with("would refuse 1 of the kinds of attachments that were recorded:\n  'drop', "
                       "xdp@eth1, no known signer, by /usr/bin/agent, 1 time, last 20"));
  CHECK(found("\"xdp\"")->is_clean());  // decides nothing at attach
  const auto other = found("\"tc@eth0\"");
  CHECK(other->recorded.size() == 1);
  CHECK(other->attached.empty());  // the load is refused already
}

}  // namespace bpfwarden::loader
