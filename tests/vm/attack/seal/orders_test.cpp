// On a sealed host a signed order ends the policy or brings back the one before, and a signed
// policy is asked beside the active one: verified by the kernel part, in the bytes that it acts
// upon. What else is tried leaves all as it is.
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "tests/vm/attack/seal/fleet.h"
#include "tests/vm/helpers/effort.h"
#include "tests/vm/helpers/interrupted.h"

namespace bpfwarden::vm {
namespace {

RawOrder asking(const Bytes& request, std::vector<Bytes> signatures) {
  return {.signatures = std::move(signatures),
          .ring = own_ring(),
          .change = {},
          .kind = BW_ORDER_REQUEST,
          .request = &request};
}

RawOrder policy_order(bw_order_kind kind, const Bytes& image, std::vector<Bytes> signatures) {
  return {.image = &image,
          .signatures = std::move(signatures),
          .ring = own_ring(),
          .change = {},
          .kind = kind};
}

Bytes changed(const Bytes& request, const std::function<void(bw_request&)>& change) {
  bw_request one = {};
  std::memcpy(&one, request.data(), sizeof(one));
  change(one);
  const auto* begin = reinterpret_cast<const uint8_t*>(&one);
  return {begin, begin + sizeof(one)};
}

// Signed by who may: what it says is wrong.
void try_another(const char* attempt, const Fleet& fleet, const Bytes& request, int expected,
                 const std::function<void(bw_request&)>& change) {
  const Bytes other = changed(request, change);
  check_refused(attempt, asking(other, {fleet.ops.sign(other), fleet.second.sign(other)}).give(),
                expected);
}

void try_other_requests(const Fleet& fleet, const Bytes& request) {
  try_another("another challenge", fleet, request, BW_ORDER_EXPIRED,
              [](bw_request& one) { one.challenge[0] ^= 1; });
  try_another("no challenge", fleet, request, BW_ORDER_EXPIRED,
              [](bw_request& one) { std::memset(one.challenge, 0, sizeof(one.challenge)); });
  try_another("about another name", fleet, request, BW_ORDER_OTHER_NAME,
              [](bw_request& one) { one.policy_name[0]++; });
  try_another("about another version", fleet, request, BW_ORDER_OTHER_VERSION,
              [](bw_request& one) { one.policy_version++; });
  try_another("a verb that there is not", fleet, request, BW_ORDER_OTHER_ABI,
              [](bw_request& one) { one.verb = 3; });
  try_another("of another version of bpfwarden", fleet, request, BW_ORDER_OTHER_ABI,
              [](bw_request& one) { one.abi++; });
}

// One may sign policies, by itself.
void try_signatures(Fleet& fleet, const Bytes& request) {
  try_who_may_not_sign(fleet, request, [&](std::vector<Bytes> signatures) {
    return asking(request, std::move(signatures));
  });
  const Bytes next = fleet.image({.version = 7});
  check_refused("the signature of a policy", asking(request, {fleet.ops.sign(next)}).give(),
                BW_ORDER_REJECTED);
  check_refused("a policy in its place", asking(next, {fleet.ops.sign(next)}).give(),
                BW_ORDER_OTHER_ABI);
  const auto as_policy = [&](const Bytes& image) {
    return policy_order(BW_ORDER_APPLY, image, {fleet.ops.sign(request)}).give();
  };
  check_refused("its signature as that of a policy", as_policy(next), BW_ORDER_REJECTED);
  Bytes padded = request;
  padded.resize(next.size());
  check_refused("it in the place of a policy", as_policy(padded), BW_ORDER_OTHER_ABI);
  RawOrder nowhere = asking(request, {fleet.ops.sign(request)});
  nowhere.change = [](bw_order& given) { given.request = 4096; };
  check_refused("memory that is not there", nowhere.give(), BW_ORDER_NOT_RESIDENT);
  RawOrder unknown = asking(request, {fleet.ops.sign(request)});
  unknown.change = [](bw_order& given) { given.kind = 99; };
  check_refused("an order that there is not", unknown.give(), BW_ORDER_OTHER_ABI);
}

void try_each_bit(const Fleet& fleet, Bytes request, const std::vector<Bytes>& signatures) {
  const size_t step = effort<size_t>(5, 1);
  size_t tried = 0, refused = 0;
  for (size_t bit = 0; bit < request.size() * 8; bit += step, tried++) {
    request[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    const int error = asking(request, signatures).give();
    request[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    refused += error == BW_ORDER_REJECTED || error == BW_ORDER_OTHER_ABI ||
               error == BW_ORDER_OTHER_NAME || error == BW_ORDER_OTHER_VERSION ||
               error == BW_ORDER_EXPIRED || error == BW_ORDER_NOTHING_BEFORE;
  }
  std::printf("  one bit flipped: %zu places, %zu refused\n", tried, refused);
  CHECK(refused == tried);
  check_decides(fleet);
}

bool is_sealed_host() { return status()["sealed"] == "now"; }

// The kernel ends programs later than their links, and a run that was killed waits for none.
bool becomes_so(const std::function<bool()>& is_so) {
  for (int i = 0; i < 100 && !is_so(); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return is_so();
}

// One after the other, without repair between them. Until the order was taken nothing has changed;
// from then on nothing is refused, and nobody takes the host for one that is kept.
void end_it_killed_at_each_change(const Fleet& fleet, const std::string& file) {
  size_t killed = 0, released = 0;
  for (size_t at = 0;; at += effort<size_t>(released == 0 ? 1 : 7, 1)) {
    std::vector<std::string> command = {"bpfwarden", "off"};
    if (released == 0) command.insert(command.end(), {"--order", file});
    const Interrupted ended = run_interrupted(command, {.at = released == 0 ? at : at % 40});
    INFO(describe({.at = at}, ended) << "\n" << ended.output);
    if (ended.status != -1) {
      CHECK(ended.status == 0);
      break;
    }
    killed++;
    if (load({}).error == EPERM) {
      REQUIRE(released == 0);
      CHECK(is_sealed_host());
      check_decides(fleet);
      continue;
    }
    released++;
    CHECK(run("bpfwarden status").status == 1);
    if (released == 1) {
      CHECK(says(run("bpfwarden status"), "run `bpfwarden off`"));
      CHECK(run("bpfwarden confirm").status == 1);
    }
  }
  std::printf("  off --order killed at %zu changes, %zu of them after the order was taken\n",
              killed, released);
  CHECK(released > 0);
}

void check_nothing_is_left() {
  CHECK(becomes_so([] { return load({}).error == 0; }));
  CHECK(becomes_so([] { return !says(run("bpftool prog show"), "warden_"); }));
  CHECK(says(run("bpfwarden status"), "off:"));
  CHECK(run("bpftool cgroup show /sys/fs/cgroup").output.empty());
  CHECK(run("ls /sys/fs/bpf").output.empty());
  CHECK_FALSE(keyring::find_ring("bpfwarden"));
  CHECK(run("bpfwarden apply --saved").status == 1);
}

}  // namespace

TEST_CASE("attack_seal_end_it_by_an_order_that_is_not_good",
          "[vm][attack][bare][signing][kernel][kernel:signature_attr][slow]") {
  Fleet fleet;
  seal(fleet, {.version = 5});
  const uint64_t before = generation();
  const std::string file = fleet.order_file("off");
  CHECK(run("bpfwarden off").status == 1);
  CHECK(run("bpfwarden off --order " + file).status == 1);
  const Bytes request = fleet.order("off");  // the same one, until one is taken
  try_signatures(fleet, request);
  try_other_requests(fleet, request);
  try_each_bit(fleet, request, {fleet.ops.sign(request)});
  CHECK(run("bpfwarden order rollback -o /tmp/none.order").status == 1);
  CHECK(is_sealed_host());
  CHECK(generation() == before);
  CHECK(says(run("bpfwarden events --json"), R"("errno":127)"));
  check_decides(fleet);

  must_run("bpfwarden order sign " + file + " " + fleet.ops.options());
  CHECK(run("bpfwarden rollback --order " + file).status == 1);
  check_decides(fleet);
  end_it_killed_at_each_change(fleet, file);
  check_nothing_is_left();

  // It was worth that host, as it was then.
  seal(fleet, {.version = 5});
  const std::vector<Bytes> good = {fleet.ops.sign(request)};
  check_refused("the same again, before there is a challenge", asking(request, good).give(),
                BW_ORDER_EXPIRED);
  (void)fleet.order("off");
  check_refused("the same again, of another run", asking(request, good).give(), BW_ORDER_EXPIRED);
  CHECK(run("bpfwarden off --order " + file).status == 1);
  CHECK(is_sealed_host());
  check_decides(fleet);
}

namespace {

constexpr const char* kBoth = "\"ops\", \"second\"";

Fleet::Text of_two(uint64_t version, bool seals = true) {
  return {.version = version, .signed_by = kBoth, .needed = 2, .seals = seals};
}

std::string signed_by_both(Fleet& fleet, uint64_t version) {
  std::string folder = fleet.compile(of_two(version), fleet.ops.options());
  must_run("bpfwarden compile " + folder + " " + fleet.second.options());
  return folder;
}

std::vector<Bytes> both_sign(const Fleet& fleet, const Bytes& bytes) {
  return {fleet.ops.sign(bytes), fleet.second.sign(bytes)};
}

// By a thread, all the time: between what was signed and an order to end the policy.
void try_swapped_verb(const Fleet& fleet, const Bytes& genuine) {
  Bytes request = genuine;
  const auto signatures = both_sign(fleet, genuine);
  std::atomic<bool> begins = false, ends = false;
  volatile uint8_t* verb = &request[offsetof(bw_request, verb)];
  std::thread swapper([&] {
    for (size_t i = 1; !ends; i++) {
      *verb = i % 64 == 0 ? BW_REQUEST_ROLLBACK : BW_REQUEST_OFF;
      begins = true;
    }
  });
  while (!begins) std::this_thread::yield();
  size_t refused = 0, taken = 0;
  for (int round = 0; round < effort(100, 5000) && taken == 0; round++)
    (asking(request, signatures).give() == 0 ? taken : refused)++;
  ends = true;
  swapper.join();
  std::printf("  the verb swapped meanwhile: %zu refused, %zu taken\n", refused, taken);
  CHECK(is_sealed_host());
  CHECK(active_version() == (taken != 0 ? 2 : 3));
  check_decides(fleet);
}

}  // namespace

TEST_CASE("attack_seal_go_back_by_an_order_that_is_not_good",
          "[vm][attack][bare][signing][kernel][kernel:signature_attr]") {
  Fleet fleet;
  // Of version 1 its audit form is left, from before the seal.
  must_run("bpfwarden apply --confirm-within 10m --accept-denials " + fleet.write(of_two(1)));
  must_run("bpfwarden rollback");
  REQUIRE_FALSE(is_sealed_host());
  must_run("bpfwarden apply --accept-denials " + signed_by_both(fleet, 2));
  REQUIRE(is_sealed_host());
  check_decides(fleet);

  std::puts(" what is before the seal");
  const Bytes off = fleet.order("off");
  const auto back = [](uint64_t to) {
    return [to](bw_request& one) {
      one.verb = BW_REQUEST_ROLLBACK;
      one.to_version = to;
    };
  };
  const Ran below = run("bpfwarden order rollback -o /tmp/none.order");
  CHECK(below.status == 1);
  CHECK(says(below, "before the host was sealed"));
  try_another("below the seal", fleet, off, BW_ORDER_BELOW_SEAL, back(1));

  const std::string third = signed_by_both(fleet, 3);
  must_run("bpfwarden apply --accept-denials " + third);
  REQUIRE(active_version() == 3);

  std::puts(" from version 3 to version 2");
  const std::string file = fleet.order_file("rollback");
  const Bytes request = fleet.order("rollback");
  const auto given = [&](std::vector<Bytes> signatures) {
    return asking(request, std::move(signatures)).give();
  };
  check_refused("unsigned", given({}), BW_ORDER_UNSIGNED);
  check_refused("one of two", given({fleet.ops.sign(request)}), BW_ORDER_UNSIGNED);
  check_refused("the same one twice", given({fleet.ops.sign(request), fleet.ops.sign(request)}),
                BW_ORDER_UNSIGNED);
  check_refused("one, and a stranger's",
                given({fleet.ops.sign(request), fleet.stranger.sign(request)}), BW_ORDER_UNSIGNED);
  try_other_requests(fleet, request);
  try_another("to another version", fleet, request, BW_ORDER_OTHER_VERSION, back(1));
  CHECK(active_version() == 3);
  must_run("bpfwarden order sign " + file + " " + fleet.ops.options());
  CHECK(run("bpfwarden rollback --order " + file).status == 1);
  check_decides(fleet);
  try_swapped_verb(fleet, request);

  // The right one, unless it was taken while bytes were swapped: then there is nothing left to do.
  must_run("bpfwarden order sign " + file + " " + fleet.second.options());
  must_run("bpfwarden rollback --order " + file);
  CHECK(active_version() == 2);
  CHECK(is_sealed_host());
  check_decides(fleet);

  std::puts(" used up");
  const uint64_t after = generation();
  must_run("bpfwarden rollback --order " + file);
  CHECK(generation() == after);
  const auto good = both_sign(fleet, request);
  check_refused("once more", given(good), BW_ORDER_EXPIRED);
  (void)fleet.order("off");
  check_refused("once more, with a new challenge", given(good), BW_ORDER_EXPIRED);
  CHECK(run("bpfwarden apply --accept-denials " + third).status == 1);
  const Bytes taken_back = fleet.image(of_two(3));
  check_refused("the version that was taken back",
                policy_order(BW_ORDER_APPLY, taken_back, both_sign(fleet, taken_back)).give(),
                BW_ORDER_OLDER);
  check_refused("likewise, staged",
                policy_order(BW_ORDER_STAGE, taken_back, both_sign(fleet, taken_back)).give(),
                BW_ORDER_OLDER);
  CHECK(active_version() == 2);
  must_run("bpfwarden apply --accept-denials " + signed_by_both(fleet, 4));
  CHECK(active_version() == 4);
  check_decides(fleet);
}

TEST_CASE("attack_seal_stage_and_promote_what_is_not_signed",
          "[vm][attack][bare][signing][kernel][kernel:signature_attr]") {
  Fleet fleet;
  must_run("bpfwarden apply --confirm-within 10m --accept-denials " + fleet.write({.version = 5}));
  must_run("bpfwarden stage --no-events " + fleet.write({.version = 9}));
  must_run("bpfwarden confirm");
  REQUIRE(is_sealed_host());
  check_decides(fleet);
  const Bytes next = fleet.image({.version = 7}), older = fleet.image({.version = 4});
  const auto staged = [&](const Bytes& image, std::vector<Bytes> signatures) {
    return policy_order(BW_ORDER_STAGE, image, std::move(signatures)).give();
  };
  const auto promoted = [&] { return policy_order(BW_ORDER_PROMOTE, next, {}).give(); };
  check_refused("unsigned", staged(next, {}), BW_ORDER_UNSIGNED);
  check_refused("a stranger's key", staged(next, {fleet.stranger.sign(next)}), BW_ORDER_UNSIGNED);
  check_refused("the signature of another", staged(next, {fleet.ops.sign(older)}),
                BW_ORDER_REJECTED);
  check_refused("an older one", staged(older, {fleet.ops.sign(older)}), BW_ORDER_OLDER);
  const Bytes other = fleet.image({.version = 7, .name = "other"});
  check_refused("another name", staged(other, {fleet.ops.sign(other)}), BW_ORDER_OTHER_NAME);
  CHECK(says(run("bpfwarden status"), "version 9"));
  check_refused("promoted, what was staged before the seal", promoted(), BW_ORDER_UNSIGNED);
  CHECK(run("bpfwarden stage " + fleet.write({.version = 7})).status == 1);
  CHECK(run("bpfwarden stage " + fleet.compile({.version = 7}, "")).status == 1);
  CHECK(says(run("bpfwarden promote"), "was not signed"));
  CHECK(active_version() == 5);
  check_decides(fleet);

  // Signed, it is asked beside, and decides nothing; then it does.
  const char* quiet = "log-allowed = false\n";
  const std::string folder = fleet.compile({.version = 7, .more = quiet}, fleet.ops.options());
  must_run("bpfwarden stage --no-events " + folder);
  CHECK(says(run("bpfwarden status"), "version 7"));
  CHECK(active_version() == 5);
  check_decides(fleet);
  must_run("bpfwarden stage --no-events " + fleet.compile({.version = 8}, fleet.ops.options()));
  must_run("bpfwarden promote --accept-denials");
  CHECK(active_version() == 8);
  CHECK(is_sealed_host());
  check_decides(fleet);
  check_refused("promoted, where nothing is staged", promoted(), BW_ORDER_UNSIGNED);

  // An order brings back what it followed, once.
  const std::string file = fleet.order_file("rollback");
  must_run("bpfwarden order sign " + file + " " + fleet.ops.options());
  must_run("bpfwarden rollback --order " + file);
  CHECK(active_version() == 5);
  CHECK(is_sealed_host());
  check_decides(fleet);
}

}  // namespace bpfwarden::vm
