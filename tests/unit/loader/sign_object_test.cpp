// Bundles from real objects: the programs of examples/, built with this project.
#include "loader/bundles/sign_object.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace bpfwarden::loader {
namespace {

std::filesystem::path example(const std::string& name) {
  return std::filesystem::path(EXAMPLES_FOLDER) / (name + ".bpf.o");
}

}  // namespace

TEST_CASE("a loader bundle names what it loads and carries its payload") {
  auto bundle = make_loader_bundle(example("xdp_pass"));
  REQUIRE(bundle);
  CHECK(bundle->kind == keyring::Bundle::Kind::loader);
  CHECK(bundle->name == "xdp_pass");
  REQUIRE(bundle->programs.size() == 1);
  CHECK(bundle->programs.front().section == "xdp");
  CHECK_FALSE(bundle->maps.empty());
  CHECK_FALSE(bundle->insns.empty());
  CHECK_FALSE(bundle->metadata.empty());
}

TEST_CASE("the same object gives the same bytes to sign") {
  auto first = make_loader_bundle(example("connects"));
  auto second = make_loader_bundle(example("connects"));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(keyring::to_be_signed(*first) == keyring::to_be_signed(*second));
}

TEST_CASE("a bare program can be signed by itself") {
  auto bundle = make_program_bundle(example("xdp_bare"));
  REQUIRE(bundle);
  CHECK(bundle->kind == keyring::Bundle::Kind::program);
  CHECK(bundle->license == "GPL");
  CHECK(bundle->metadata.empty());
  CHECK(keyring::to_be_signed(*bundle) == bundle->insns);
}

TEST_CASE("a program with maps cannot be signed by itself") {
  auto bundle = make_program_bundle(example("xdp_pass"));
  REQUIRE_FALSE(bundle);
  CHECK_THAT(bundle.error().message, Catch::Matchers::ContainsSubstring("map"));
  CHECK_THAT(bundle.error().hint, Catch::Matchers::ContainsSubstring("--prog-only"));
}

TEST_CASE("what is not a BPF object is refused with the reason") {
  CHECK_FALSE(make_loader_bundle("/etc/passwd"));
  CHECK_FALSE(make_loader_bundle("/nonexistent.bpf.o"));
}

}  // namespace bpfwarden::loader
