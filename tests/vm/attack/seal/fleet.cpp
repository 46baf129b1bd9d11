#include "tests/vm/attack/seal/fleet.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "loader/signed/signed_policy.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "ours"
allow = ["xdp", "socket"]
signed-by = ["ops", "second"]
)";

}  // namespace

Fleet::Fleet() : ops("ops"), second("second"), stranger("stranger") {
  std::filesystem::copy(ops.certificate_file, folder_.path() / "ops.pem");
  std::filesystem::copy(second.certificate_file, folder_.path() / "second.pem");
}

std::string Fleet::write(const Text& text) {
  std::ofstream file(folder_.path() / "policy.toml");
  file << "schema = 1\nname = \"" << text.name << "\"\nversion = " << text.version
       << "\nmode = \"enforce\"\ndefault = \"deny\"\nseal = " << (text.seals ? "true" : "false")
       << "\npolicy-signed-by = [" << text.signed_by
       << "]\npolicy-signatures-needed = " << text.needed << "\n"
       << text.more << "[keys.ops]\ncertificates = [\"ops.pem\"]\n"
       << "[keys.second]\ncertificates = [\"second.pem\"]\n"
       << kRules;
  return folder_.path() / "policy.toml";
}

std::string Fleet::compile(const Text& text, const std::string& options) {
  std::string made = folder_.path() / ("v" + std::to_string(made_++) + ".bpfpolicy");
  must_run("bpfwarden compile " + write(text) + " -o " + made + " " + options);
  return made;
}

Bytes Fleet::image(const Text& text) {
  const auto read = loader::read_policy_folder(compile(text, ""));
  REQUIRE(read);
  const auto bytes = loader::signed_bytes(*read->image);
  return {bytes.begin(), bytes.end()};
}

std::string Fleet::order_file(const std::string& word) {
  std::string file = folder_.path() / (word + std::to_string(made_++) + ".order");
  must_run("bpfwarden order " + word + " -o " + file);
  return file;
}

Bytes Fleet::order(const std::string& word) {
  auto bytes = read_file(order_file(word), sizeof(bw_request));
  REQUIRE(bytes);
  REQUIRE(bytes->size() == sizeof(bw_request));
  return std::move(*bytes);
}

uint64_t active_version() { return status()["policy_version"].get<uint64_t>(); }
uint64_t generation() { return status()["generation"].get<uint64_t>(); }

keyring::KeySerial own_ring() { return keyring::find_ring("bpfwarden").value(); }

void must_run(const std::string& command) {
  const Ran ran = run(command);
  INFO(command << "\n" << ran.output);
  REQUIRE(ran.status == 0);
}

void check_decides(const Fleet& fleet) {
  CHECK(load({}).error == EPERM);
  CHECK(load(Load().signed_by(fleet.ops, own_ring())).error == 0);
  CHECK(load(Load().signed_by(fleet.stranger)).error == EPERM);
}

void seal(Fleet& fleet, const Fleet::Text& text) {
  must_run("bpfwarden apply --confirm-within 0 --accept-denials " + fleet.write(text));
  REQUIRE(status()["sealed"] == "now");
  check_decides(fleet);
}

void check_refused(const char* attempt, int error, int expected) {
  std::printf("  %-58s %s\n", attempt, ::strerrorname_np(error));
  CAPTURE(attempt);
  CHECK(error == expected);
}

void try_who_may_not_sign(Fleet& fleet, const Bytes& bytes,
                          const std::function<RawOrder(std::vector<Bytes>)>& ordering) {
  check_refused("unsigned", ordering({}).give(), BW_ORDER_UNSIGNED);
  check_refused("a stranger's key", ordering({fleet.stranger.sign(bytes)}).give(),
                BW_ORDER_UNSIGNED);
  RawOrder by_strangers_ring = ordering({fleet.stranger.sign(bytes)});
  by_strangers_ring.ring = fleet.stranger.ring;
  check_refused("a stranger's key, by a keyring that has it", by_strangers_ring.give(),
                BW_ORDER_UNSIGNED);
  check_refused("a key that may sign programs, not policies",
                ordering({fleet.second.sign(bytes)}).give(), BW_ORDER_UNSIGNED);
}

}  // namespace bpfwarden::vm
