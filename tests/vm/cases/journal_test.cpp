// `events --journal` into a real systemd-journald, read back by journalctl.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <sstream>
#include <thread>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kSocket = "/run/systemd/journal/socket";

constexpr const char* kRules = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signature = "unsigned"
[[rules]]
name = "no classifiers, on trial"
deny = ["tc", "tcx/*", "netkit/*"]
mode = "audit"
)";

// Waits up to 30 s.
template <class Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 300; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

void start_journal() {
  run("mkdir -p /run/systemd/journal /run/log/journal; "
      "[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcdef >/etc/machine-id; "
      "systemd-journald >/run/journald.log 2>&1 & echo $! >/run/journald.pid");
  INFO(run("cat /run/journald.log").output);
  REQUIRE(comes_true([] { return run(std::string("test -S ") + kSocket).status == 0; }));
}

void stop_journal() {
  run("kill $(cat /run/journald.pid); tail --pid=$(cat /run/journald.pid) -f /dev/null");
  run(std::string("rm -f ") + kSocket);
}

std::vector<nlohmann::json> entries() {
  std::istringstream lines(run("journalctl --directory=/run/log/journal -o json --all "
                               "MESSAGE_ID=0b658fd86a0b4af8b66ddd8f86dc399b")
                               .output);
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);) {
    auto entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object()) found.push_back(std::move(entry));
  }
  return found;
}

}  // namespace

TEST_CASE("deny_and_allow_into_a_real_journal", "[vm][journal]") {
  Warden warden;
  warden.apply("enforce", kRules);
  const Ran nobody = run("bpfwarden events --journal");
  CHECK(nobody.status == 1);
  CHECK(nobody.output.find("start systemd-journald") != std::string::npos);

  start_journal();
  run("bpfwarden events --follow --journal --output /tmp/beside.jsonl >/run/reader.log 2>&1 & "
      "echo $! >/run/reader.pid");
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SCHED_CLS)).error == 0);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER)).error == 0);
  INFO(run("cat /run/reader.log /run/journald.log").output);
  REQUIRE(comes_true([] { return entries().size() >= 3; }));
  const auto written = entries();
  REQUIRE(written.size() == 3);
  CHECK(written[0]["PRIORITY"] == "4");
  CHECK(written[0]["BPFWARDEN_DECISION"] == "deny");
  CHECK(written[0]["BPFWARDEN_REFUSED"] == "true");
  CHECK(written[0]["BPFWARDEN_ATTACH"] == "xdp");
  CHECK(written[0]["BPFWARDEN_ERRNO"] == "1");
  const auto message = written[0]["MESSAGE"].get<std::string>();
  CHECK(message.starts_with("DENIED: "));
  CHECK(message.contains(" tried to load an unsigned xdp program 'scene'; it got EPERM: "));
  CHECK(written[0]["SYSLOG_IDENTIFIER"] == "bpfwarden");
  CHECK_FALSE(written[0].contains("BPFWARDEN_RULE"));
  CHECK(written[0].contains("_PID"));  // the journal's own, of who sent it
  CHECK(written[1]["PRIORITY"] == "5");
  CHECK(written[1]["BPFWARDEN_RULE"] == "no classifiers, on trial");
  CHECK(written[2]["PRIORITY"] == "6");
  CHECK(written[2]["BPFWARDEN_RULE"] == "packet filters");

  // Nothing is lost while there is no journal.
  stop_journal();
  CHECK(load({}).error == EPERM);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  start_journal();
  CHECK(comes_true([] { return entries().size() == 4; }));
  run("kill $(cat /run/reader.pid)");
  CHECK(run("wc -l < /tmp/beside.jsonl").output == "4\n");
  stop_journal();
}

}  // namespace bpfwarden::vm
