// docs/json.md is made of the tables of the dialect, which fit together.
//
// After a change of loader/text/json_members.h or json_shapes.cpp, BPFWARDEN_UPDATE_DOCS=1 writes
// the tables of docs/json.md anew.
#include "loader/text/json_shapes.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "loader/events/event_json.h"
#include "loader/text/json_members.h"

using namespace bpfwarden;
using namespace bpfwarden::loader;

namespace {

const std::string kJsonReference = std::string(BPFWARDEN_SOURCE_DIR) + "/docs/json.md";

std::string whole_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void put_table(std::string& text, const std::string& name, const std::string& table) {
  const std::string begin = "<!-- " + name + " -->\n", end = "<!-- end -->\n";
  const size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  const size_t to = text.find(end, from);
  REQUIRE(to != std::string::npos);
  text.replace(from, to - from, begin + table);
}

}  // namespace

TEST_CASE("docs/json.md holds the members and objects of the dialect") {
  const std::string before = whole_text(kJsonReference);
  std::string text = before;
  put_table(text, "members", members_table());
  put_table(text, "answers", answers_text());
  if (std::getenv("BPFWARDEN_UPDATE_DOCS") != nullptr)
    std::ofstream(kJsonReference, std::ios::binary) << text;
  else
    CHECK(before == text);
}

TEST_CASE("the tables of the dialect fit together") {
  for (const std::string& fault : faults_of_shapes()) FAIL_CHECK(fault);
}

TEST_CASE("an event has the members of its object, and no others") {
  const auto schema = nlohmann::json::parse(answer_schema("events").value());
  const auto& properties = schema.at("$defs").at("event").at("properties");
  const nlohmann::json event = event_to_json(Event());
  CHECK(event.size() == properties.size());
  for (const auto& [name, value] : event.items()) {
    INFO(name);
    CHECK(properties.contains(name));
  }
}

TEST_CASE("there is no schema of what is no verb") {
  CHECK_FALSE(answer_schema("frobnicate"));
  CHECK_FALSE(answer_schema("keys"));
}

TEST_CASE("a schema holds all objects that it names") {
  for (const std::string& verb : verbs_with_schema()) {
    INFO(verb);
    const std::string schema = answer_schema(verb).value();
    const auto defs = nlohmann::json::parse(schema).at("$defs");
    constexpr std::string_view reference = "\"#/$defs/";
    for (size_t at = 0; (at = schema.find(reference, at)) != std::string::npos;) {
      at += reference.size();
      CHECK(defs.contains(schema.substr(at, schema.find('"', at) - at)));
    }
  }
}
