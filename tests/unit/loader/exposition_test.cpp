// Metrics as text: what Prometheus' parsers ask for, whatever a rule is called.
#include "loader/metrics/exposition.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

namespace bpfwarden::loader {
namespace {

std::vector<Metric> some() {
  return {{"x_total",
           MetricType::counter,
           "A \"b\" \\ c\nd",
           {{{{"rule", "say \"hi\" \\ and\nleave, ä"}, {"mode", ""}}, 3}}},
          {"x_seconds", MetricType::gauge, "Left.", {{{}, -5}}},
          {"none", MetricType::gauge, "Nothing.", {}}};
}

}  // namespace

TEST_CASE("Prometheus' format escapes labels, and in HELP all but quotes") {
  CHECK(expose(some(), Exposition::prometheus) ==
        "# HELP x_total A \"b\" \\\\ c\\nd\n"
        "# TYPE x_total counter\n"
        "x_total{rule=\"say \\\"hi\\\" \\\\ and\\nleave, ä\",mode=\"\"} 3\n"
        "# HELP x_seconds Left.\n"
        "# TYPE x_seconds gauge\n"
        "x_seconds -5\n"
        "# HELP none Nothing.\n"
        "# TYPE none gauge\n");
}

TEST_CASE("OpenMetrics names a counter's family without _total, and ends in EOF") {
  const std::string text = expose(some(), Exposition::openmetrics);
  CHECK(text.starts_with("# HELP x A \\\"b\\\" \\\\ c\\nd\n# TYPE x counter\nx_total{rule="));
  CHECK(text.ends_with("# TYPE none gauge\n# EOF\n"));
}

TEST_CASE("metrics as JSON keep names, labels and whole numbers") {
  const nlohmann::json all = metrics_to_json(some())["metrics"];
  REQUIRE(all.size() == 3);
  CHECK(all[0]["name"] == "x_total");
  CHECK(all[0]["type"] == "counter");
  CHECK(all[0]["samples"][0]["labels"]["rule"] == "say \"hi\" \\ and\nleave, ä");
  CHECK(all[0]["samples"][0]["value"] == 3);
  CHECK(all[2]["samples"].empty());
}

}  // namespace bpfwarden::loader
