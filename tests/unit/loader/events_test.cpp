// How an event record is told: to scripts as JSON, to people in sentences.
#include "loader/events/event.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "loader/events/event_json.h"
#include "loader/events/event_text.h"
#include "loader/events/journal.h"
#include "loader/events/refusal_text.h"
#include "loader/policies/publish.h"
#include "policy/image/compile.h"
#include "policy/language/attach_point.h"
#include "policy/language/parse.h"
#include "tests/unit/loader/event_of.h"

namespace bpfwarden::loader {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr const char* kPolicy = R"(schema = 1
name = "edge"
version = 3
mode = "enforce"
default = "deny"

[keys.distro]
keyring = "builtin"

[[rules]]
name = "network"
allow = ["xdp"]
signed-by = ["distro"]
signature = "prog-used-maps"
)";

std::unique_ptr<bw_image> image(const char* text = kPolicy) {
  const auto no_certificates = [](const std::filesystem::path&) {
    return Result<std::vector<Certificate>>(fail("no certificates here"));
  };
  const auto parsed = policy::parse({{"edge.toml", text}}, no_certificates, 0);
  REQUIRE(parsed);
  constexpr std::array<uint8_t, 32> digest = {};
  auto compiled = policy::compile(*parsed.policy, digest);
  REQUIRE(compiled);
  return std::move(*compiled);
}

constexpr const char* kAtAttach = R"(schema = 1
name = "edge"
version = 4
mode = "enforce"
default = "deny"

[[rules]]
name = "one device"
allow = ["xdp@eth0"]
signature = "unsigned"

[[rules]]
name = "probes"
allow = ["kprobe/tcp_*"]
signature = "unsigned"
sleepable = true
)";

bw_event refused_xdp() {
  bw_event event = {};
  event.abi = BW_EVENT_ABI;
  event.hook = BW_HOOK_PROG_LOAD;
  event.refused = 1;
  event.mode = BW_MODE_ENFORCE;
  event.sequence = 7;
  event.error = EPERM;
  event.rule = BW_NO_RULE;
  event.cause = BW_CAUSE_DEFAULT;
  event.prog_type = 6;  // BPF_PROG_TYPE_XDP
  std::strcpy(event.comm, "agent");
  std::strcpy(event.exe, "/usr/bin/agent");
  std::strcpy(event.program_name, "drop\x1b[2J");
  event.tgid = 42;
  return event;
}

template <size_t size>
void set_text(__u64 (&words)[size], const std::string& text) {
  REQUIRE(text.size() < sizeof(words));
  std::memcpy(words, text.data(), text.size());
}

bw_event refused_attachment(const std::string& family, const std::string& target,
                            const std::string& place) {
  bw_event event = refused_xdp();
  const size_t number = policy::find_family(family).value();
  event.hook = BW_HOOK_ATTACH;
  event.route = BW_ROUTE_LINK_CREATE;
  event.family = static_cast<uint8_t>(number + 1);
  event.prog_type = policy::attach_families()[number].prog_type;
  event.attach_type = policy::attach_families()[number].attach_type;
  std::strcpy(event.program_name, "drop");
  set_text(event.attach_name, target);
  set_text(event.place, place);
  return event;
}

// As the manager tells a record.
nlohmann::json event_to_json(const bw_event& event, const bw_image* image) {
  return event_to_json(from_record(event, image));
}
std::string event_sentence(const bw_event& event, const bw_image* image) {
  return event_sentence(from_record(event, image));
}
std::string event_to_text(const bw_event& event, const bw_image* image) {
  return event_to_text(from_record(event, image));
}
std::vector<std::string> journal_fields(const bw_event& event, const bw_image* image) {
  return journal_fields(from_record(event, image));
}

}  // namespace

TEST_CASE("a refusal says who, which rule came near, why, and what to do") {
  const auto names = image();
  const std::string text = event_to_text(refused_xdp(), names.get());
  CHECK_THAT(text, ContainsSubstring("#7 DENIED: agent (/usr/bin/agent, uid 0, pid 42) tried to "
                                     "load an unsigned xdp program"));
  CHECK_THAT(text, ContainsSubstring("; it got EPERM.\n"));
  CHECK_THAT(text, ContainsSubstring("    why: no rule of the policy matched"));
  CHECK_THAT(text, ContainsSubstring("rule 'network' (line 10) allows it, but asks for signature "
                                     "prog-used-maps or more and a signer that it names"));
  CHECK_THAT(text, ContainsSubstring("    do:  Sign it: "));
}

TEST_CASE("a refused token is about no program") {
  bw_event event = refused_xdp();
  event.hook = BW_HOOK_TOKEN_CREATE;
  event.cause = BW_CAUSE_TOKEN_DENIED;
  const auto names = image();
  const std::string text = event_to_text(event, names.get());
  CHECK_THAT(text, ContainsSubstring("#7 DENIED: agent ("));
  CHECK_THAT(text, ContainsSubstring(" tried to make a BPF token; it got EPERM."));
  CHECK_THAT(text, ContainsSubstring("why: the policy admits no BPF tokens"));
  CHECK(text.find("signed") == std::string::npos);
  const auto object = event_to_json(event, names.get());
  CHECK(object["hook"] == "token-create");
  CHECK(object["cause"] == "token-denied");
  CHECK(object["attach"].is_null());
}

TEST_CASE("names from the kernel cannot drive a terminal") {
  const auto names = image();
  const std::string text = event_to_text(refused_xdp(), names.get());
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK_THAT(text, ContainsSubstring("'drop?[2J'"));
}

TEST_CASE("JSON has one meaning a field") {
  const auto names = image();
  const nlohmann::json json = event_to_json(refused_xdp(), names.get());
  CHECK(json["sequence"] == 7);
  CHECK(json["decision"] == "deny");
  CHECK(json["refused"] == true);
  CHECK(json["errno"] == EPERM);
  CHECK(json["rule"].is_null());
  CHECK(json["cause"] == "default");
  CHECK(json["attach"] == "xdp");
  CHECK(json["signer"].is_null());
  CHECK(json["almost"].size() == 1);
}

TEST_CASE("a decision by a rule names it, and the signer") {
  const auto names = image();
  bw_event event = refused_xdp();
  event.refused = 0;
  event.error = 0;
  event.allow = 1;
  event.rule = 0;
  event.cause = BW_CAUSE_RULE;
  event.signature = BW_SIGNATURE_PROG_USED_MAPS;
  event.signer = BW_SIGNER_BUILTIN;
  const nlohmann::json json = event_to_json(event, names.get());
  CHECK(json["rule"] == "network");
  CHECK(json["rule_line"] == 10);
  CHECK(json["signer"].is_string());
  const std::string text = event_to_text(event, names.get());
  CHECK_THAT(text, ContainsSubstring("allowed: agent (/usr/bin/agent, uid 0, pid 42) asked to load "
                                     "a prog-used-maps signed (by "));
  CHECK_THAT(text, ContainsSubstring(") xdp program 'drop"));
  CHECK_THAT(text, ContainsSubstring("why: rule 'network' on line 10 decided"));
  CHECK(text.find("do:") == std::string::npos);
  CHECK(text.find("EPERM") == std::string::npos);
}

TEST_CASE("without its image an event still tells its rule's number") {
  bw_event event = refused_xdp();
  event.rule = 4;
  event.cause = BW_CAUSE_RULE;
  CHECK_THAT(event_to_text(event, nullptr), ContainsSubstring("rule '#5' decided"));
  CHECK(event_to_json(event, nullptr)["rule"] == "#5");
}

TEST_CASE("an event in the journal has each member in upper case, and a priority") {
  const auto names = image();
  const auto has = [&](const bw_event& event, const std::string& field) {
    const auto fields = journal_fields(event, names.get());
    return std::ranges::find(fields, field) != fields.end();
  };
  bw_event event = refused_xdp();
  CHECK(has(event, "PRIORITY=4"));
  CHECK(has(event, "MESSAGE_ID=0b658fd86a0b4af8b66ddd8f86dc399b"));
  CHECK(has(event,
            "MESSAGE=DENIED: agent (/usr/bin/agent, uid 0, pid 42) tried to load an unsigned xdp "
            "program 'drop?[2J'; it got EPERM: no rule of the policy matched, so its default "
            "decided (policy version 0)"));
  const nlohmann::json json = event_to_json(event, names.get());
  const auto fields = journal_fields(event, names.get());
  for (const auto& [member, value] : json.items()) {
    std::string name = "BPFWARDEN_" + member;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    const auto count = std::ranges::count_if(
        fields, [&](const std::string& field) { return field.starts_with(name + "="); });
    INFO(name);
    CHECK(count == static_cast<long>(value.is_array() ? value.size() : !value.is_null()));
  }
  CHECK(has(event, "BPFWARDEN_REFUSED=true"));
  CHECK(has(event, "BPFWARDEN_ATTACH=xdp"));
  event.refused = 0;
  event.mode = BW_MODE_AUDIT;
  CHECK(has(event, "PRIORITY=5"));
  event.allow = 1;
  CHECK(has(event, "PRIORITY=6"));
  event.hook = BW_HOOK_STAGED;
  CHECK(has(event, "PRIORITY=5"));
}

// The first cell of each row of docs/events.md names one member or more.
TEST_CASE("docs/events.md describes each member of an event, and no other") {
  std::ifstream file(std::string(BPFWARDEN_SOURCE_DIR) + "/docs/events.md");
  std::set<std::string> described, printed;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    std::istringstream cell(line.substr(1, line.find(" | ") - 1));
    for (std::string before, name;
         std::getline(cell, before, '`') && std::getline(cell, name, '`');)
      described.insert(name);
  }
  const nlohmann::json event = event_to_json(refused_xdp(), nullptr);
  for (const auto& [name, value] : event.items()) printed.insert(name);
  CHECK(described == printed);
}

TEST_CASE("an attachment is told with its target, its place and its way") {
  const auto told = [](const bw_event& event) {
    return event_to_json(event, nullptr)["attach"].get<std::string>();
  };
  CHECK(told(refused_attachment("xdp", "", "eth1")) == "xdp@eth1");
  CHECK(told(refused_attachment("xdp", "", "")) == "xdp");
  CHECK(told(refused_attachment("kprobe", "tcp_connect", "")) == "kprobe/tcp_connect");
  CHECK(told(refused_attachment("kprobe", "", "")) == "kprobe/…");
  CHECK(told(refused_attachment("cgroup/connect4", "", "/system.slice/a")) ==
        "cgroup/connect4@/system.slice/a");
  CHECK(told(refused_attachment("fentry", "tcp_connect", "")) == "fentry/tcp_connect");
  bw_event event = refused_attachment("xdp", "", "eth1");
  const nlohmann::json json = event_to_json(event, nullptr);
  CHECK(json["hook"] == "attach");
  CHECK(json["route"] == "link-create");
  CHECK_THAT(
      event_sentence(event, nullptr),
      ContainsSubstring("DENIED: agent (/usr/bin/agent, uid 0, pid 42) tried to attach an "
                        "unsigned program 'drop' to xdp@eth1 by link-create; it got EPERM: "));
  event.route = BW_ROUTE_TEST_RUN;
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring(" tried to run an unsigned xdp@eth1 program 'drop'; it got "));
  event.refused = 0;
  event.error = 0;
  event.route = BW_ROUTE_DEVICE_RENAMED;
  CHECK_THAT(
      event_sentence(event, nullptr),
      ContainsSubstring("NO LONGER ALLOWED: agent (/usr/bin/agent, uid 0, pid 42) renamed the "
                        "device of an unsigned program 'drop', now xdp@eth1; the program is "
                        "still attached: "));
  event.route = BW_ROUTE_DEVICE_MOVED;
  CHECK(event_to_json(event, nullptr)["route"] == "device-moved");
  CHECK_THAT(
      event_sentence(event, nullptr),
      ContainsSubstring(" moved the device of an unsigned program 'drop' into another network "
                        "namespace, now xdp@eth1; "));
  event.route = BW_ROUTE_DEVICE_JOINED;
  CHECK(event_to_json(event, nullptr)["route"] == "device-joined");
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring(" joined a device to a bond, a shared block or an action with an "
                               "unsigned program 'drop', now xdp@eth1; "));
  event.allow = 1;
  CHECK_THAT(event_sentence(event, nullptr), ContainsSubstring("allowed: agent ("));
  CHECK_THAT(event_sentence(event, nullptr), ContainsSubstring(", now xdp@eth1: "));
  event.family = 0;
  CHECK(told(event) == "xdp");
  event.family = 255;
  CHECK(told(event) == "xdp");
  event.hook = BW_HOOK_PROG_LOAD;
  event.route = BW_ROUTE_NONE;
  CHECK(event_to_json(event, nullptr)["route"].is_null());
  CHECK(told(event) == "xdp");
}

TEST_CASE("a rule comes near an attachment for its place, and for what else it asks") {
  const auto names = image(kAtAttach);
  const auto almost = [&](const bw_event& event) {
    return event_to_json(event, names.get())["almost"].get<std::vector<std::string>>();
  };
  CHECK(
      almost(refused_attachment("xdp", "", "eth1")) ==
      std::vector<std::string>{"rule 'one device' (line 7) allows it, but asks for another place"});
  CHECK(almost(refused_attachment("kprobe", "tcp_connect", "")) ==
        std::vector<std::string>{
            "rule 'probes' (line 12) allows it, but asks for a sleepable program"});
  CHECK(almost(refused_attachment("kprobe", "udp_recvmsg", "")).empty());
  CHECK(almost(refused_attachment("uprobe", "/bin/bash:0x1", "")).empty());
  bw_event unknown = refused_attachment("xdp", "", "eth1");
  unknown.family = 0;
  CHECK(almost(unknown).empty());
}

TEST_CASE("a difference of the staged policy about an attachment names that") {
  bw_event event = refused_attachment("xdp", "", "eth1");
  event.hook = BW_HOOK_STAGED;
  event.refused = 0;
  event.error = 0;
  event.active_allow = 1;
  CHECK(event_to_json(event, nullptr)["attach"] == "xdp@eth1");
  CHECK_THAT(
      event_sentence(event, nullptr),
      ContainsSubstring("the staged policy would REFUSE what the active one allowed: agent ("));
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring(") asked to attach an unsigned program 'drop' to xdp@eth1 by "
                               "link-create: "));
}

TEST_CASE("a difference of the staged policy is told with what the active one said") {
  bw_event event = refused_xdp();
  event.hook = BW_HOOK_STAGED;
  event.refused = 0;
  event.error = 0;
  event.active_allow = 1;
  const nlohmann::json json = event_to_json(event, nullptr);
  CHECK(json["hook"] == "staged");
  CHECK(json["decision"] == "deny");
  CHECK(json["active_decision"] == "allow");
  CHECK_THAT(event_to_text(event, nullptr),
             ContainsSubstring("the staged policy would REFUSE what the active one allowed"));
}

TEST_CASE("`events`, `run` and `why` tell a refusal in the same words") {
  const auto names = image();
  bw_event record = refused_xdp();
  record.time_ns = boot_time_ns();
  const Event event = from_record(record, names.get());
  RefusalLog log;
  log.add(event_of(event_to_json(event)));  // as it comes back from a recording
  const std::string why = refusal_text(log.latest(1).front(), 0);
  CHECK_THAT(why, ContainsSubstring("\n  " + deed_text(event) + ".\n"));
  CHECK_THAT(why, ContainsSubstring(explanation_text(event, "  ")));
  CHECK_THAT(event_to_text(event), ContainsSubstring(deed_text(event) + ".\n"));
  CHECK_THAT(event_to_text(event), ContainsSubstring(explanation_text(event, "    ")));
  CHECK_THAT(event_sentence(event), ContainsSubstring(deed_text(event)));
}

TEST_CASE("who lost a race, or went by a way that no hook judged, was killed") {
  bw_event event = refused_attachment("xdp", "", "eth1");
  event.error = 0;
  event.cause = BW_CAUSE_ATTACH_RACE;
  CHECK_THAT(event_sentence(event, nullptr), ContainsSubstring("and its process was killed: "));
  event.cause = BW_CAUSE_UNJUDGED_ROUTE;
  event.route = BW_ROUTE_UNJUDGED;
  set_text(event.place, "bpf(99, 0x1)");
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring(" by a way that no hook judged, bpf(99, 0x1); its process was "
                               "killed: "));
  event.hook = BW_HOOK_SUM;
  CHECK_THAT(
      event_sentence(event, nullptr),
      ContainsSubstring("DENIED: too many denials to tell apart, so only their number is known: "));
}

}  // namespace bpfwarden::loader
