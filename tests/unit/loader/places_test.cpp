// Links and places become one list: nothing twice, nothing lost.
#include "loader/inventory/places.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace bpfwarden::loader;

namespace {

HeldByLink link(uint32_t id, uint32_t program, const std::string& key) {
  return {id, program, {.kind = "xdp", .attach = "xdp@#2", .key = key}};
}

Sighting place(uint32_t program, const std::string& key, const std::string& attach = "xdp@eth0") {
  return {.program_id = program,
          .key = key,
          .kind = "found",
          .attach = attach,
          .detail = "generic",
          .network = "blue"};
}

using Told = std::vector<std::pair<uint32_t, uint32_t>>;  // program, link

Told told(std::vector<HeldByLink> links, std::vector<Sighting> places) {
  Told pairs;
  for (const auto& [program, attachment] : join(std::move(links), std::move(places)))
    pairs.emplace_back(program, attachment.link_id);
  std::ranges::sort(pairs);
  return pairs;
}

}  // namespace

TEST_CASE("a link takes the words of its place, and its own kind") {
  const auto joined = join({link(9, 1, "a")}, {place(1, "a")});
  REQUIRE(joined.size() == 1);
  CHECK(joined[0].first == 1);
  CHECK(joined[0].second.link_id == 9);
  CHECK(joined[0].second.kind == "xdp");
  CHECK(joined[0].second.attach == "xdp@eth0");
  CHECK(joined[0].second.detail == "generic");
  CHECK(joined[0].second.network == "blue");
}

TEST_CASE("a link whose place was not found keeps its own words") {
  const auto joined = join({link(9, 1, "a")}, {});
  REQUIRE(joined.size() == 1);
  CHECK(joined[0].second.attach == "xdp@#2");
  CHECK(joined[0].second.link_id == 9);
}

TEST_CASE("a place that no link holds has no link") {
  CHECK(told({link(9, 1, "a")}, {place(1, "b")}) == Told{{1, 0}, {1, 9}});
  CHECK(told({link(9, 1, "a")}, {place(2, "a")}) == Told{{1, 9}, {2, 0}});
}

TEST_CASE("one program at one place with a link and without is told twice") {
  CHECK(told({link(9, 1, "a")}, {place(1, "a"), place(1, "a")}) == Told{{1, 0}, {1, 9}});
  CHECK(told({link(8, 1, "a"), link(9, 1, "a")}, {place(1, "a"), place(1, "a")}) ==
        Told{{1, 8}, {1, 9}});
}

TEST_CASE("a link without a program stands for all at its place") {
  CHECK(told({link(9, 0, "a")}, {place(1, "a"), place(2, "a"), place(3, "b")}) ==
        Told{{1, 9}, {2, 9}, {3, 0}});
  CHECK(told({link(9, 0, "a")}, {}).empty());
}

TEST_CASE("what only a link makes active is not told without one") {
  Sighting prepared = place(1, "a");
  prepared.needs_link = true;
  CHECK(told({}, {prepared}).empty());
  CHECK(told({link(9, 0, "a")}, {prepared}) == Told{{1, 9}});
}
