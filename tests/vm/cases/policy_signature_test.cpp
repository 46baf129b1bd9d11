// On a sealed host a signed policy takes the place of the active one, and nothing else does:
// verified by the kernel part, in the bytes that decide afterwards.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "bpf-lsm/abi/order.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/publish.h"
#include "loader/signed/signed_policy.h"
#include "tests/vm/attack/seal/fleet.h"
#include "tests/vm/attack/seal/raw_order.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

// The image that decides, as the kernel has it.
Bytes deciding_bytes() {
  auto pins = loader::open_pins();
  REQUIRE((pins && *pins));
  const auto active = loader::read_active((*pins)->control.get(), (*pins)->generations.get());
  REQUIRE((active && *active));
  const auto bytes = loader::signed_bytes(*(*active)->image);
  return {bytes.begin(), bytes.end()};
}

void try_what_is_not_signed_as_it_must(Fleet& fleet) {
  const Bytes next = fleet.image({.version = 7}), same = fleet.image({.version = 5});
  const auto ring = own_ring();
  const auto order = [&](const Bytes& image, std::vector<Bytes> signatures) {
    return RawOrder{.image = &image, .signatures = std::move(signatures), .ring = ring};
  };
  try_who_may_not_sign(fleet, next, [&](std::vector<Bytes> signatures) {
    return order(next, std::move(signatures));
  });
  check_refused("the signature of another policy", order(next, {fleet.ops.sign(same)}).give(),
                BW_ORDER_REJECTED);
  check_refused("the same version", order(same, {fleet.ops.sign(same)}).give(), BW_ORDER_OLDER);
  const Bytes older = fleet.image({.version = 4});
  check_refused("an older one", order(older, {fleet.ops.sign(older)}).give(), BW_ORDER_OLDER);
  const Bytes other = fleet.image({.version = 7, .name = "other"});
  check_refused("another name", order(other, {fleet.ops.sign(other)}).give(), BW_ORDER_OTHER_NAME);
  Bytes abi = next;
  abi[offsetof(bw_image, abi)]++;
  check_refused("another ABI", order(abi, {fleet.ops.sign(abi)}).give(), BW_ORDER_OTHER_ABI);
  RawOrder system = order(next, {fleet.stranger.sign(next)});
  system.ring = 1;  // a number that bpf(2) takes for the secondary keyring
  check_refused("a system keyring's number", system.give(), BW_ORDER_UNSIGNED);
  RawOrder huge = order(next, {fleet.ops.sign(next)});
  huge.change = [](bw_order& given) { given.signature_sizes[0] = UINT32_MAX; };
  check_refused("a signature of 4 GB", huge.give(), BW_ORDER_REJECTED);
  RawOrder many = order(next, {Bytes{1, 2, 3}});
  many.change = [](bw_order& given) { given.signature_count = UINT32_MAX; };
  check_refused("four billion signatures", many.give(), BW_ORDER_REJECTED);
  RawOrder nowhere = order(next, {fleet.ops.sign(next)});
  nowhere.change = [](bw_order& given) { given.image = 4096; };
  check_refused("memory that is not there", nowhere.give(), BW_ORDER_NOT_RESIDENT);
  RawOrder kernel = order(next, {fleet.ops.sign(next)});
  kernel.change = [](bw_order& given) { given.image = 0xffff888000000000; };
  check_refused("memory of the kernel", kernel.give(), BW_ORDER_NOT_RESIDENT);
  RawOrder confirmation = order(next, {});
  confirmation.kind = BW_ORDER_CONFIRM;
  check_refused("a confirmation of nothing", confirmation.give(), BW_ORDER_OLDER);
}

// One bit, in block after block of 256 bytes.
void try_flipped_bits(Fleet& fleet) {
  Bytes image = fleet.image({.version = 7});
  const Bytes signature = fleet.ops.sign(image);
  const size_t blocks = image.size() / 256, step = effort<size_t>(blocks / 48, 3);
  size_t tried = 0, refused = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t block = 0; block < blocks; block += step) {
    uint8_t& byte = image[block * 256 + block % 256];
    byte ^= static_cast<uint8_t>(1U << block % 8);
    const int error =
        RawOrder{.image = &image, .signatures = {signature}, .ring = own_ring()}.give();
    byte ^= static_cast<uint8_t>(1U << block % 8);
    tried++;
    refused += error == BW_ORDER_REJECTED || error == BW_ORDER_OTHER_ABI ||
               error == BW_ORDER_OTHER_NAME || error == BW_ORDER_OLDER;
  }
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
  std::printf("  one bit flipped: %zu places, %zu refused (%.0f s)\n", tried, refused,
              took.count());
  CHECK(refused == tried);
}

// By a thread, all the time; a policy that is taken must be the one that was signed.
void try_swapped_bytes(Fleet& fleet) {
  const Bytes genuine = fleet.image({.version = 7});
  const Bytes signature = fleet.ops.sign(genuine);
  Bytes image = genuine;
  std::atomic<bool> ends = false;
  volatile uint8_t* mode = &image[offsetof(bw_image, mode)];
  std::thread swapper([&] {
    for (size_t i = 0; !ends; i++) *mode = i % 64 == 0 ? BW_MODE_ENFORCE : BW_MODE_AUDIT;
  });
  size_t refused = 0, taken = 0;
  for (int round = 0; round < effort(20, 500) && taken == 0; round++) {
    const int error =
        RawOrder{.image = &image, .signatures = {signature}, .ring = own_ring()}.give();
    (error == 0 ? taken : refused)++;
  }
  ends = true;
  swapper.join();
  std::printf("  bytes swapped meanwhile: %zu refused, %zu taken\n", refused, taken);
  if (taken != 0) CHECK(deciding_bytes() == genuine);
}

// In processes of their own, until the pipe is closed: each outcome that is not the policy's is one
// that was undecided.
class Loaders {
 public:
  explicit Loaders(const Fleet& fleet) {
    for (int i = 0; i < 8; i++) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) ::_exit(hammer(fleet, i));
      children_.push_back(child);
    }
  }
  Loaders(const Loaders&) = delete;
  Loaders& operator=(const Loaders&) = delete;
  ~Loaders() {
    for (const pid_t child : children_) ::kill(child, SIGKILL);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }

  // How many loads there were, and how many came out otherwise.
  [[nodiscard]] std::pair<size_t, size_t> end() {
    std::ofstream("/tmp/loaders.end").put('x');
    size_t loads = 0, wrong = 0;
    for (const pid_t child : children_) {
      int ended = 0;
      ::waitpid(child, &ended, 0);
      wrong += !WIFEXITED(ended) || WEXITSTATUS(ended) != 0;
    }
    children_.clear();
    for (int i = 0; i < 8; i++) {
      size_t one = 0;
      std::ifstream("/tmp/loads." + std::to_string(i)) >> one;
      loads += one;
    }
    return {loads, wrong};
  }

 private:
  static bool is_other(const char* what, int error, int expected) {
    if (error == expected) return false;
    std::printf("  beside it: %s got %s\n", what, ::strerrorname_np(error));
    std::fflush(stdout);
    return true;
  }

  // Where bpfwarden verifies it does so for two at once; and who signed may not have been seen.
  static int load_again(const Load& request) {
    int error = EAGAIN;
    while (error == EAGAIN) error = load(request).error;
    return error;
  }

  static int hammer(const Fleet& fleet, int number) {
    size_t loads = 0;
    int wrong = 0;
    const Load genuine = Load().signed_by(fleet.ops);  // by a ring that no policy replaces
    const Load foreign = Load().signed_by(fleet.stranger);
    while (::access("/tmp/loaders.end", F_OK) != 0 && wrong == 0) {
      wrong += is_other("unsigned", load({}).error, EPERM);
      wrong += is_other("a stranger's", load_again(foreign), EPERM);
      wrong += is_other("signed", load_again(genuine), 0);
      loads += 3;
    }
    std::ofstream("/tmp/loads." + std::to_string(number)) << loads;
    return wrong;
  }

  std::vector<pid_t> children_;
};

void take_over_beside_loaders(Fleet& fleet) {
  const std::string folder = fleet.compile({.version = 8}, fleet.ops.options());
  Loaders loaders(fleet);
  const uint64_t before = generation();
  const Ran ran = run("bpfwarden apply --accept-denials " + folder);
  const auto [loads, wrong] = loaders.end();
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  std::printf("  taken over beside 8 loaders: %zu loads, %zu of them undecided\n", loads, wrong);
  CHECK(loads > 0);
  CHECK(wrong == 0);
  CHECK(generation() != before);
  CHECK(active_version() == 8);
  check_decides(fleet);
}

}  // namespace

TEST_CASE("deny_a_sealed_host_every_policy_but_the_one_signed_right",
          "[vm][bare][signing][policy-signature]") {
  Fleet fleet;
  seal(fleet, {.version = 5});
  const uint64_t before = generation();
  try_what_is_not_signed_as_it_must(fleet);
  try_flipped_bits(fleet);
  CHECK(generation() == before);
  CHECK(active_version() == 5);
  const Ran told = run("bpfwarden events --json");
  CHECK(says(told, R"("cause":"order-refused")"));
  CHECK(says(told, R"("errno":129)"));
  check_decides(fleet);
  for (const char* verb : {"off", "promote", "rollback"})
    CHECK(run(std::string("bpfwarden ") + verb).status == 1);
  const Ran bare = run("bpfwarden apply --accept-denials " + fleet.write({.version = 7}));
  CHECK(bare.status == 1);
  CHECK(says(bare, "sealed"));
  CHECK(run("bpfwarden stage " + fleet.write({.version = 7})).status == 1);
  CHECK(generation() == before);
  try_swapped_bytes(fleet);
  take_over_beside_loaders(fleet);
}

TEST_CASE("deny_one_signature_of_two_and_a_way_back_below_the_seal",
          "[vm][bare][signing][slow][policy-signature]") {
  Fleet fleet;
  const char* both = "\"ops\", \"second\"";
  const auto text = [&](uint64_t version) {
    return Fleet::Text{.version = version, .signed_by = both, .needed = 2};
  };
  seal(fleet, text(1));
  const Bytes next = fleet.image(text(2));
  const auto given = [&](std::vector<Bytes> signatures) {
    return RawOrder{.image = &next, .signatures = std::move(signatures), .ring = own_ring()}.give();
  };
  check_refused("one of two", given({fleet.ops.sign(next)}), BW_ORDER_UNSIGNED);
  check_refused("the same one twice", given({fleet.ops.sign(next), fleet.ops.sign(next)}),
                BW_ORDER_UNSIGNED);
  check_refused("one, and a stranger's", given({fleet.ops.sign(next), fleet.stranger.sign(next)}),
                BW_ORDER_UNSIGNED);
  CHECK(active_version() == 1);

  // Nobody confirms: the sealed version decides again.
  const std::string folder = fleet.compile(text(2), fleet.ops.options() + " --confirm-within 3s");
  CHECK(run("bpfwarden apply --accept-denials " + folder).status == 1);
  REQUIRE(run("bpfwarden compile " + folder + " " + fleet.second.options()).status == 0);
  const Ran first = run("bpfwarden apply --accept-denials " + folder);
  INFO(first.output);
  REQUIRE(first.status == 0);
  for (int i = 0; i < 600 && status()["returned"] != true; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(active_version() == 1);
  check_decides(fleet);

  // Again, in time; ten more times, each in a slot of one before.
  const std::string longer = fleet.compile(text(3), fleet.ops.options() + " --confirm-within 10m");
  REQUIRE(run("bpfwarden compile " + longer + " " + fleet.second.options()).status == 0);
  REQUIRE(run("bpfwarden apply --accept-denials " + longer).status == 0);
  CHECK(status()["confirm_within"].get<uint64_t>() > 0);
  CHECK(run("bpfwarden confirm").status == 0);
  CHECK(status()["confirm_within"] == 0);
  CHECK(active_version() == 3);
  for (uint64_t version = 4; version < 14; version++) {
    const std::string one = fleet.compile(text(version), fleet.ops.options());
    REQUIRE(run("bpfwarden compile " + one + " " + fleet.second.options()).status == 0);
    const Ran ran = run("bpfwarden apply --accept-denials " + one);
    INFO(ran.output);
    REQUIRE(ran.status == 0);
    CHECK(active_version() == version);
  }
  check_decides(fleet);
}

}  // namespace bpfwarden::vm
