// Diagnostics for machines: the escaping, and the structure that readers rely on.
#include <nlohmann/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include "loader/policies/diagnostic_output.h"

using namespace bpfwarden::loader;
using bpfwarden::policy::Diagnostic;
using bpfwarden::policy::Severity;

namespace {

std::vector<Diagnostic> two() {
  return {{Severity::error, "a b/p,1.toml", 3, 9, 4, "50%: `x`\nis wrong", "write `y`", "invalid"},
          {Severity::warning, "/etc/p.toml", 7, 1, 1, "nobody", "", "unused-key"}};
}

}  // namespace

TEST_CASE("GitHub annotations are escaped as GitHub asks") {
  CHECK(to_github(two()) ==
        "::error file=a b/p%2C1.toml,line=3,col=9,endColumn=13,title=bpfwarden invalid::"
        "50%25: `x`%0Ais wrong%0Ahint: write `y`\n"
        "::warning file=/etc/p.toml,line=7,col=1,endColumn=2,title=bpfwarden unused-key::nobody\n");
  CHECK(to_github({}).empty());
}

TEST_CASE("SARIF: tool, rules and results, with places") {
  const auto sarif = nlohmann::json::parse(to_sarif(two()));
  CHECK(sarif.at("version") == "2.1.0");
  const auto& run = sarif.at("runs").at(0);
  CHECK(run.at("columnKind") == "unicodeCodePoints");
  const auto& driver = run.at("tool").at("driver");
  CHECK(driver.at("name") == "bpfwarden");
  REQUIRE(driver.at("rules").size() == 2);
  CHECK(driver.at("rules").at(1).at("id") == "unused-key");
  CHECK(driver.at("rules").at(1).at("shortDescription").at("text") == "no rule names the key");
  const auto& first = run.at("results").at(0);
  CHECK(first.at("ruleId") == "invalid");
  CHECK(first.at("ruleIndex") == 0);
  CHECK(first.at("level") == "error");
  CHECK(first.at("message").at("text") == "50%: `x`\nis wrong\nhint: write `y`");
  const auto& place = first.at("locations").at(0).at("physicalLocation");
  CHECK(place.at("artifactLocation").at("uri") == "a%20b/p%2C1.toml");
  CHECK(place.at("region").at("startLine") == 3);
  CHECK(place.at("region").at("startColumn") == 9);
  CHECK(place.at("region").at("endColumn") == 13);
  const auto& second = run.at("results").at(1).at("locations").at(0).at("physicalLocation");
  CHECK(second.at("artifactLocation").at("uri") == "file:///etc/p.toml");
  CHECK(nlohmann::json::parse(to_sarif({})).at("runs").at(0).at("results").empty());
}

TEST_CASE("JSON, and bytes that are not UTF-8") {
  auto found = two();
  found[0].message = "\xff\xfe bad";
  CHECK(diagnostics_json(found).at(1).at("code") == "unused-key");
  CHECK_FALSE(to_sarif(found).empty());
  CHECK(diagnostic_format("sarif") == DiagnosticFormat::sarif);
  CHECK_FALSE(diagnostic_format("xml").has_value());
}
