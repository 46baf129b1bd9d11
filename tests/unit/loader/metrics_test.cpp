// What is measured becomes metrics; docs/metrics.md lists them all.
#include "loader/metrics/metrics.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "loader/metrics/metrics_server.h"

namespace bpfwarden::loader {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

void set_signer(bw_image& image, uint32_t slot, const char* name, int64_t not_after) {
  std::string_view(name).copy(image.signers[slot].name, BW_POLICY_NAME_SIZE - 1);
  image.signers[slot].not_after = not_after;
  image.signer_count = std::max(image.signer_count, slot + 1);
}

bw_tally tally_of(const char* rule, bool allow, bw_mode mode) {
  bw_tally tally = {};
  std::string_view(rule).copy(tally.rule, BW_RULE_NAME_SIZE - 1);
  tally.allow = allow ? 1 : 0;
  tally.mode = mode;
  tally.cause = *rule != 0 ? BW_CAUSE_RULE : BW_CAUSE_DEFAULT;
  return tally;
}

std::optional<Measured> measured() {
  Measured all;
  all.status.generation = {4, std::make_unique<bw_image>()};
  all.status.residents = {.count = 3, .would_deny = 1};
  bw_image& image = *all.status.generation.image;
  image.policy_version = 12;
  image.mode = BW_MODE_ENFORCE;
  std::strcpy(image.policy_name, "edge");
  set_signer(image, BW_SIGNER_FIRST_KEY, "netops", 5'000);
  set_signer(image, BW_SIGNER_FIRST_KEY + 1, "netops", 3'000);
  set_signer(image, BW_SIGNER_FIRST_KEY + 2, "distro", 500);
  set_signer(image, BW_SIGNER_FIRST_KEY + 3, "gone", 2'000);
  image.signers[BW_SIGNER_FIRST_KEY + 3].kind = BW_SIGNER_REVOKED;
  all.status.counters.decided = 9;
  all.status.word.generation = all.status.word.unconfirmed = 4;
  all.status.word.confirm_by_ns = 100 * kSecond;
  all.tallies.counts = {{tally_of("", false, BW_MODE_AUDIT), 2},
                        {tally_of("", false, BW_MODE_ENFORCE), 3},
                        {tally_of("r", true, BW_MODE_ENFORCE), 1}};
  all.tallies.untallied[bw_untallied_slot(1, BW_MODE_AUDIT, BW_SIGNATURE_PROG_USED_MAPS)] = 3;
  all.programs = std::map<Standing, uint64_t>{{Standing::admitted, 7}};
  all.status.hooks = {.attached = {"a", "b"}, .missing = {"c"}, .programs = {1, 2}, .skipped = 7};
  all.status.tables = {{.name = "programs", .entries = 12, .room = 65'536}};
  return all;
}

std::vector<Metric> at(uint64_t boot_seconds) {
  return to_metrics(measured(), {1'000, boot_seconds * kSecond});
}

bool has(const std::vector<Metric>& metrics, const std::string& line) {
  return ("\n" + expose(metrics, Exposition::prometheus)).contains("\n" + line + "\n");
}

// The first cell of each row of the table, and the names in its second: labels.
std::set<std::string> described() {
  std::ifstream file(std::string(BPFWARDEN_SOURCE_DIR) + "/docs/metrics.md");
  std::set<std::string> found;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `bpfwarden_")) continue;
    std::istringstream cells(line.substr(2));
    std::string name, type, labels;
    std::getline(cells, name, '|');
    std::getline(cells, type, '|');
    std::getline(cells, labels, '|');
    found.insert(name + type + labels);
  }
  return found;
}

std::string row_of(const Metric& metric) {
  std::string labels;
  REQUIRE_FALSE(metric.samples.empty());
  for (const auto& [label, value] : metric.samples.front().labels)
    labels.append(labels.empty() ? "`" : ", `").append(label).append("`");
  return "`" + metric.name + "` " + (metric.type == MetricType::counter ? " counter " : " gauge ") +
         (labels.empty() ? " " : " " + labels + " ");
}

}  // namespace

TEST_CASE("decisions are told by rule, and what found no room beside them") {
  const auto metrics = at(1);
  const std::string start = "bpfwarden_decisions_total{action=";
  CHECK(has(metrics, start + R"("deny",cause="default",mode="audit",refused="false",rule="",)"
                             R"(signature="unsigned"} 2)"));
  CHECK(has(metrics, start + R"("deny",cause="default",mode="enforce",refused="true",rule="",)"
                             R"(signature="unsigned"} 3)"));
  CHECK(has(metrics, start + R"("allow",cause="rule",mode="enforce",refused="false",rule="r",)"
                             R"(signature="unsigned"} 1)"));
  CHECK(has(metrics, start + R"("allow",cause="untallied",mode="audit",refused="false",rule="",)"
                             R"(signature="prog-used-maps"} 3)"));
  CHECK(has(metrics, "bpfwarden_decided_total 9"));
}

TEST_CASE("of a key's certificates the first to end counts, and a revoked one does not") {
  const auto metrics = at(1);
  CHECK(has(metrics, "bpfwarden_certificate_remaining_seconds{key=\"netops\"} 2000"));
  CHECK(has(metrics, "bpfwarden_certificate_remaining_seconds{key=\"distro\"} -500"));
  CHECK_FALSE(expose(metrics, Exposition::prometheus).contains("gone"));
}

TEST_CASE("the time that is left to confirm, and that it has run out") {
  CHECK(has(at(40), "bpfwarden_confirm_remaining_seconds 61"));
  CHECK(has(at(40), "bpfwarden_policy_returned 0"));
  CHECK(has(at(100), "bpfwarden_confirm_remaining_seconds 0"));
  CHECK(has(at(100), "bpfwarden_policy_returned 1"));
}

TEST_CASE("hooks that are gone are told, and how full tables are") {
  CHECK(has(at(1), "bpfwarden_hooks 2"));
  CHECK(has(at(1), "bpfwarden_hooks_missing 1"));
  CHECK(has(at(1), "bpfwarden_evidence_skipped_total 7"));
  CHECK(has(at(1), "bpfwarden_unjudged_programs 0"));
  CHECK(has(at(1), "bpfwarden_table_entries{table=\"programs\"} 12"));
  CHECK(has(at(1), "bpfwarden_table_room{table=\"programs\"} 65536"));
}

TEST_CASE("that nothing is active is told, too") {
  const auto metrics = to_metrics(std::nullopt, {1'000, 0});
  CHECK(has(metrics, "bpfwarden_active 0"));
  CHECK(has(metrics, "bpfwarden_collected_timestamp_seconds 1000"));
  CHECK(metrics.size() == 3);
}

TEST_CASE("docs/metrics.md lists each metric with type and labels, and no other") {
  std::set<std::string> told;
  for (const Metric& metric : at(1)) told.insert(row_of(metric));
  CHECK(described() == told);
}

TEST_CASE("metrics are served on numeric addresses, of which some are of this host alone") {
  for (const char* own : {"127.0.0.1:9560", "127.1.2.3:1", "[::1]:9560"}) {
    const auto address = parse_listen_address(own);
    REQUIRE(address);
    CHECK(address->is_loopback());
  }
  for (const char* others :
       {"0.0.0.0:9560", "[::]:9560", "192.0.2.1:9560", "[::ffff:127.0.0.1]:9"}) {
    const auto address = parse_listen_address(others);
    REQUIRE(address);
    CHECK_FALSE(address->is_loopback());
  }
  for (const char* wrong : {"", "9560", "localhost:9560", ":9560", "127.0.0.1", "127.0.0.1:",
                            "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "::1:9560", "[::1]",
                            "[127.0.0.1]:9560", "127.1:9560", "127.0.0.1:9560 "})
    CHECK_FALSE(parse_listen_address(wrong));
}

}  // namespace bpfwarden::loader
