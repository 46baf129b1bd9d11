// Metrics are what the kernel counted: exactly, by rule, across generations, and told whole.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "bpf-lsm/abi/tally.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// What tests/vm/case brings back for promtool.
constexpr const char* kKept = "/opt/bpfwarden/kept";

constexpr const char* kRules = R"(
[[rules]]
name = "filters, \"all\" of \\ them"
allow = ["socket"]
signed-by = ["netops"]
)";

// The same rule has another number here.
constexpr const char* kRenumbered = R"(
[[rules]]
name = "no tracing"
deny = ["tp/*"]
[[rules]]
name = "Überwachung"
deny = ["kprobe/*"]
[[rules]]
name = "filters, \"all\" of \\ them"
allow = ["socket"]
signed-by = ["netops"]
)";

// By name and labels, as they are written.
using Series = std::map<std::string, int64_t>;

Series series_in(const std::string& text) {
  Series all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const size_t space = line.rfind(' ');
    REQUIRE(space != std::string::npos);
    CHECK(all.emplace(line.substr(0, space), std::stoll(line.substr(space + 1))).second);
  }
  return all;
}

Series metrics() {
  const Ran ran = run("bpfwarden metrics");
  REQUIRE(ran.status == 0);
  return series_in(ran.output);
}

int64_t value(const Series& all, const std::string& name) {
  const auto found = all.find(name);
  return found == all.end() ? -1 : found->second;
}

std::string decisions(const std::string& action, const std::string& cause, const std::string& mode,
                      const std::string& refused, const std::string& rule,
                      const std::string& signature) {
  return "bpfwarden_decisions_total{action=\"" + action + "\",cause=\"" + cause + "\",mode=\"" +
         mode + "\",refused=\"" + refused + "\",rule=\"" + rule + "\",signature=\"" + signature +
         "\"}";
}

int64_t sum_by_rule(const Series& all) {
  int64_t sum = 0;
  for (const auto& [name, count] : all)
    if (name.starts_with("bpfwarden_decisions_total{")) sum += count;
  return sum;
}

const std::string kFilters =
    decisions("allow", "rule", "enforce", "false", R"(filters, \"all\" of \\ them)", "prog-only");
const std::string kRefused = decisions("deny", "default", "enforce", "true", "", "unsigned");

void keep(const std::string& name, const std::string& command) {
  const Ran ran = run(command);
  REQUIRE(ran.status == 0);
  std::filesystem::create_directories(kKept);
  std::ofstream(std::string(kKept) + "/" + name) << ran.output;
}

// In `processes` at a time. Their exit codes tell whether all went as expected.
std::vector<pid_t> start_loads(int64_t processes, int64_t each) {
  std::vector<pid_t> children;
  for (int64_t i = 0; i < processes; i++) {
    const pid_t child = ::fork();
    if (child == 0) {
      int wrong = 0;
      for (int64_t n = 0; n < each; n++) {
        wrong += load({}).error != EPERM;
        wrong += load(Load::packet_filter()).error != 0;
      }
      ::_exit(wrong == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  return children;
}

void wait_for(const std::vector<pid_t>& children) {
  for (const pid_t child : children) {
    int ended = -1;
    REQUIRE(::waitpid(child, &ended, 0) == child);
    CHECK(ended == 0);
  }
}

// Every place that is left, with counts of 0.
void fill_tallies() {
  const Fd map(::bpf_obj_get("/sys/fs/bpf/bpfwarden/map_tallies"));
  REQUIRE(map);
  for (int i = 0; i <= BW_MAX_TALLIES; i++) {
    bw_tally key = {};
    std::snprintf(key.rule, sizeof(key.rule), "filler %d", i);
    const uint64_t none = 0;
    if (::bpf_map_update_elem(map.get(), &key, &none, BPF_NOEXIST) == 0) continue;
    REQUIRE(errno == E2BIG);
    return;
  }
  FAIL("the map has no bound");
}

}  // namespace

TEST_CASE("allow_and_deny_counted_by_rule_from_one_generation_to_the_next",
          "[vm][bare][metrics][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][slow]") {
  Warden warden;
  CHECK(value(metrics(), "bpfwarden_active") == 0);
  warden.apply("enforce", kRules);
  const Series before = metrics();
  CHECK(value(before, "bpfwarden_active") == 1);
  CHECK(sum_by_rule(before) == value(before, "bpfwarden_decided_total"));
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);
  CHECK(load({}).error == EPERM);
  CHECK(load({}).error == EPERM);
  const Series first = metrics();
  CHECK(value(first, kFilters) == 1);
  CHECK(value(first, kRefused) == 2);

  warden.apply("enforce", kRenumbered);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_TRACEPOINT)).error == EPERM);
  CHECK(load(Load::of_type(BPF_PROG_TYPE_KPROBE)).error == EPERM);
  CHECK(load({}).error == EPERM);
  const Series second = metrics();
  CHECK(value(second, kFilters) == 2);
  CHECK(value(second, kRefused) == 3);
  CHECK(value(second, decisions("deny", "rule", "enforce", "true", "no tracing", "unsigned")) == 1);
  CHECK(value(second, decisions("deny", "rule", "enforce", "true", "Überwachung", "unsigned")) ==
        1);
  CHECK(value(second, "bpfwarden_refused_total") == 5);

  warden.apply("audit", kRenumbered);
  CHECK(load({}).error == 0);
  const Series audit = metrics();
  CHECK(value(audit, kRefused) == 3);
  CHECK(value(audit, decisions("deny", "default", "audit", "false", "", "unsigned")) == 1);
  CHECK(value(audit, "bpfwarden_would_deny_total") == 1);
  CHECK(value(audit, "bpfwarden_policy_enforcing") == 0);
  CHECK(sum_by_rule(audit) == value(audit, "bpfwarden_decided_total"));
  keep("audit.prom", "bpfwarden metrics");
}

TEST_CASE("deny_from_many_processes_with_each_decision_counted_once", "[vm][metrics]") {
  constexpr int64_t processes = 4;
  const int64_t each = effort(1'000, 3'000);
  constexpr const char* rules = R"(
[[rules]]
name = "filters from anyone"
allow = ["socket"]
signature = "unsigned"
)";
  const std::string renumbered =
      std::string("[[rules]]\nname = \"no tracing\"\ndeny = [\"tp/*\"]\n") + rules;
  Warden warden;
  warden.apply("enforce", rules);
  const Series before = metrics();
  const auto children = start_loads(processes, each);
  // Generations change under it, and with them the number of the rule.
  for (int i = 0; i < 6; i++) warden.apply("enforce", i % 2 == 0 ? renumbered : rules);
  wait_for(children);
  const Series after = metrics();
  const auto grown = [&](const std::string& name) {
    return value(after, name) - std::max<int64_t>(value(before, name), 0);
  };
  CHECK(grown(decisions("allow", "rule", "enforce", "false", "filters from anyone", "unsigned")) ==
        processes * each);
  CHECK(grown(kRefused) == processes * each);
  CHECK(grown("bpfwarden_decided_total") == 2 * processes * each);
  CHECK(sum_by_rule(after) == value(after, "bpfwarden_decided_total"));
}

TEST_CASE(
    "deny_counted_where_there_is_no_room_for_another_rule",
    "[vm][metrics][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce", kRules);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);
  fill_tallies();
  CHECK(load({}).error == EPERM);
  CHECK(load({}).error == EPERM);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);
  const Series all = metrics();
  CHECK(value(all, decisions("deny", "untallied", "enforce", "true", "", "unsigned")) == 2);
  CHECK(value(all, kFilters) == 2);
  CHECK(value(all, kRefused) == -1);
  CHECK(sum_by_rule(all) == value(all, "bpfwarden_decided_total"));
}

TEST_CASE("allow_metrics_to_tell_what_a_rollout_waits_for",
          "[vm][bare][metrics][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:"
          "folded_maps][slow]") {
  Warden warden;
  const Attempt resident = load({});
  warden.apply("audit", kRules);
  const Attempt would_be_denied = load({});
  REQUIRE(run("bpfwarden stage " + warden.write_policy("enforce", kRenumbered, 7)).status == 0);
  CHECK(load(Load::packet_filter().signed_by(warden.netops())).error == 0);
  CHECK(load({}).error == 0);
  const Series staged = metrics();
  CHECK(value(staged, "bpfwarden_staged_policy_version") == 7);
  CHECK(value(staged, "bpfwarden_staged_agreed_total") == 1);
  CHECK(value(staged, "bpfwarden_staged_differed_total") == 1);
  CHECK(value(staged, "bpfwarden_confirm_remaining_seconds") == 0);
  CHECK(value(staged, "bpfwarden_keyring_present") == 1);
  CHECK(value(staged, "bpfwarden_programs{standing=\"resident\"}") >= 1);
  CHECK(value(staged, "bpfwarden_programs{standing=\"would be denied\"}") == 1);
  CHECK(value(staged, "bpfwarden_programs{standing=\"UNEXPLAINED\"}") == 0);
  CHECK(value(staged, "bpfwarden_programs{standing=\"bpfwarden\"}") ==
        value(staged, "bpfwarden_hooks"));
  CHECK(value(staged, "bpfwarden_certificate_remaining_seconds{key=\"netops\"}") > 0);

  REQUIRE(run("bpfwarden promote --accept-denials --confirm-within 8s").status == 0);
  CHECK(load({}).error == EPERM);
  const Series waiting = metrics();
  CHECK(value(waiting, "bpfwarden_policy_version") == 7);
  CHECK(value(waiting, "bpfwarden_policy_enforcing") == 1);
  CHECK(value(waiting, "bpfwarden_confirm_remaining_seconds") > 0);
  CHECK(value(waiting, "bpfwarden_confirm_remaining_seconds") <= 8);
  CHECK(value(waiting, "bpfwarden_staged_policy_version") == 0);
  keep("waiting.prom", "bpfwarden metrics");
  keep("waiting.openmetrics", "bpfwarden metrics --openmetrics");
  for (int i = 0; i < 300 && value(metrics(), "bpfwarden_policy_returned") != 1; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(value(metrics(), "bpfwarden_policy_returned") == 1);
  CHECK(value(metrics(), "bpfwarden_policy_enforcing") == 0);
  run("keyctl unlink %:bpfwarden @u");
  CHECK(value(metrics(), "bpfwarden_keyring_present") == 0);
}

TEST_CASE("allow_a_scrape_over_http_from_this_host_only", "[vm][metrics]") {
  Warden warden;
  warden.apply("enforce", kRules);
  CHECK(run("bpfwarden metrics --listen 0.0.0.0:9560").status == 2);
  CHECK(run("bpfwarden metrics --listen localhost:9560").status == 2);
  const test::TempDir folder;
  const std::string ended = folder.path() / "ended";
  run("(bpfwarden metrics --listen 127.0.0.1:9560; echo $? >" + ended + ") >/dev/null 2>&1 &");
  const std::string get = "wget -qO- http://127.0.0.1:9560";
  for (int i = 0; i < 100 && run(get + "/metrics").status != 0; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(load({}).error == EPERM);
  const Series served = series_in(run(get + "/metrics").output);
  CHECK(value(served, kRefused) == 1);
  CHECK(run(get + "/").status != 0);
  const Ran open =
      run("wget -qO- --header 'Accept: application/openmetrics-text;version=1.0.0' "
          "http://127.0.0.1:9560/metrics");
  CHECK(open.output.ends_with("# EOF\n"));
  const Ran second = run("bpfwarden metrics --listen 127.0.0.1:9560");
  CHECK(second.status == 1);
  CHECK(second.output.find("Address already in use") != std::string::npos);
  // Decisions need no process: it may go at any time.
  run("kill $(pidof bpfwarden)");
  for (int i = 0; i < 100 && !std::filesystem::exists(ended); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(run("cat " + ended).output == "0\n");
  CHECK(load({}).error == EPERM);
}

TEST_CASE("allow_no_half_of_a_textfile_to_be_read", "[vm][metrics]") {
  Warden warden;
  warden.apply("audit", kRules);
  const test::TempDir folder;
  const std::string file = folder.path() / "bpfwarden.prom";
  const std::string write = "bpfwarden metrics --output " + file;
  REQUIRE(run(write).status == 0);
  CHECK(run("stat -c %a " + file).output == "644\n");
  const size_t lines = series_in(run("cat " + file).output).size();
  const std::string done = folder.path() / "done";
  run("(for i in 1 2 3 4 5 6 7 8 9 10; do " + write + "; done; touch " + done +
      ") >/dev/null 2>&1 &");
  int reads = 0;
  for (; !std::filesystem::exists(done); reads++)
    if (series_in(run("cat " + file).output).size() != lines) FAIL("half a file");
  CHECK(reads > 1);
  const Ran nowhere = run("bpfwarden metrics --output /nonexistent/bpfwarden.prom");
  CHECK(nowhere.status == 1);
  CHECK(nowhere.output.find("hint:") != std::string::npos);
  CHECK(run("ls -A " + folder.path().string()).output == "bpfwarden.prom\ndone\n");
}

}  // namespace bpfwarden::vm
