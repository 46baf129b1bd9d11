// How an event record is told: to scripts as JSON, to people in sentences.
#include "loader/events/events.h"

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

#include "loader/events/journal.h"
#include "policy/image/compile.h"
#include "policy/language/attach_point.h"
#include "policy/language/parse.h"

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
    return Result<std::vector<policy::CertificateInfo>>(fail("no certificates here"));
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

}  // namespace

TEST_CASE("a refusal says who, which rule came near, why, and what to do") {
  const auto names = image();
  const std::string text = event_to_text(refused_xdp(), names.get());
  CHECK_THAT(text, ContainsSubstring("#7 DENIED: xdp program"));
  CHECK_THAT(text, ContainsSubstring("agent (/usr/bin/agent, pid 42, uid 0), who got EPERM"));
  CHECK_THAT(text, ContainsSubstring("rule 'network' (line 10) allows it, but asks for signature "
                                     "prog-used-maps or more and a signer that it names"));
  CHECK_THAT(text, ContainsSubstring("next: "));
}

TEST_CASE("a refused token is about no program") {
  bw_event event = refused_xdp();
  event.hook = BW_HOOK_TOKEN_CREATE;
  event.cause = BW_CAUSE_TOKEN_DENIED;
  const auto names = image();
  const std::string text = event_to_text(event, names.get());
  CHECK_THAT(text, ContainsSubstring("#7 DENIED: a BPF token, by agent ("));
  CHECK_THAT(text, ContainsSubstring("why: the policy admits no BPF tokens"));
  CHECK(text.find("signature:") == std::string::npos);
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
  CHECK_THAT(text, ContainsSubstring("allowed: xdp"));
  CHECK_THAT(text, ContainsSubstring("why: rule 'network' (line 10)"));
  CHECK(text.find("next:") == std::string::npos);
}

TEST_CASE("without its image an event still tells its rule's number") {
  bw_event event = refused_xdp();
  event.rule = 4;
  event.cause = BW_CAUSE_RULE;
  CHECK_THAT(event_to_text(event, nullptr), ContainsSubstring("rule #5"));
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
            "MESSAGE=DENIED: xdp program 'drop?[2J', by agent (/usr/bin/agent, pid 42, uid 0), who "
            "got EPERM: no rule of the policy matched, so its default decided"));
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
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("DENIED: attaching xdp@eth1 program 'drop' by link-create, by agent "
                               "(/usr/bin/agent, pid 42, uid 0), who got EPERM: "));
  event.route = BW_ROUTE_TEST_RUN;
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("DENIED: running xdp@eth1 program 'drop' by test-run, by "));
  event.refused = 0;
  event.error = 0;
  event.route = BW_ROUTE_DEVICE_RENAMED;
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("NO LONGER ALLOWED, but still attached: xdp@eth1 program 'drop', "
                               "whose device was renamed, by agent (/usr/bin/agent, "));
  event.route = BW_ROUTE_DEVICE_MOVED;
  CHECK(event_to_json(event, nullptr)["route"] == "device-moved");
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("'drop', whose device went into another network namespace, by "));
  event.route = BW_ROUTE_DEVICE_JOINED;
  CHECK(event_to_json(event, nullptr)["route"] == "device-joined");
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("'drop', which came with a bond, a shared block or an action that "
                               "the device joined, by "));
  event.allow = 1;
  CHECK_THAT(event_sentence(event, nullptr), ContainsSubstring("allowed: xdp@eth1 program"));
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
  CHECK_THAT(event_sentence(event, nullptr),
             ContainsSubstring("the staged policy would REFUSE what the active one allowed: "
                               "attaching xdp@eth1 program 'drop' by link-create"));
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

}  // namespace bpfwarden::loader
