// Hooks taken away while a policy is active: root can, and everybody who looks is told.
#include <bpf/bpf.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kPins = "/sys/fs/bpf/bpfwarden/";
constexpr const char* kRules = R"(
[[rules]]
name = "filters"
allow = ["socket"]
signature = "unsigned"
)";

constexpr const char* kSignedRules = R"(
[[rules]]
name = "network team"
allow = ["xdp"]
signed-by = ["netops"]
)";

std::string first_line(const Ran& ran) { return ran.output.substr(0, ran.output.find('\n')); }

// The kernel detaches it from a work queue.
bool is_gone_soon(const std::string& hook) {
  for (int i = 0; i < 500; i++) {
    const nlohmann::json now = status();
    for (const auto& name : now["hooks_missing"])
      if (name == hook) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void take_away(const std::string& hook) {
  REQUIRE(::unlink((std::string(kPins) + "link_" + hook).c_str()) == 0);
  REQUIRE(is_gone_soon(hook));
}

void check_unseen(Warden& warden, const Load& request) {
  (void)warden.events();
  CHECK(load(request).error == EAGAIN);
  auto told = warden.events();
  std::erase_if(told, [](const auto& event) { return event["cause"] != "signer-unseen"; });
  REQUIRE(told.size() == 1);
  CHECK(told.front()["errno"] == EAGAIN);
  CHECK(told.front()["refused"] == true);
  CHECK(says(run("bpfwarden why"), "Load it again"));
}

void all_is_well(size_t hooks) {
  const nlohmann::json now = status();
  CHECK(now["hooks"].size() == hooks);
  CHECK(now["hooks_expected"] == hooks);
  CHECK(now["hooks_missing"].empty());
  CHECK(run("bpfwarden status").status == 0);
  CHECK(run("bpfwarden inventory").status == 0);
  CHECK(says(run("bpfwarden doctor"), "all " + std::to_string(hooks) + " are attached"));
  CHECK(says(run("bpfwarden metrics"), "bpfwarden_hooks_missing 0\n"));
}

}  // namespace

TEST_CASE("attack_take_hooks_away_unnoticed", "[vm][attack][kernel][kernel:signature_attr][slow]") {
  Warden warden;
  warden.apply("enforce", kRules);
  CHECK(load({}).error == EPERM);
  const size_t hooks = status()["hooks"].size();
  all_is_well(hooks);

  // Somewhere else it is still there.
  Fd kept(bpf_obj_get((std::string(kPins) + "link_warden_prog").c_str()));
  REQUIRE(bpf_obj_pin(kept.get(), "/sys/fs/bpf/elsewhere") == 0);
  REQUIRE(::unlink((std::string(kPins) + "link_warden_prog").c_str()) == 0);
  all_is_well(hooks);

  // Another link of that name is not it.
  REQUIRE(::unlink((std::string(kPins) + "link_warden_prog_load").c_str()) == 0);
  REQUIRE(bpf_obj_pin(kept.get(), (std::string(kPins) + "link_warden_prog_load").c_str()) == 0);
  REQUIRE(is_gone_soon("warden_prog_load"));
  const std::string all = std::to_string(hooks);
  const std::string text =
      std::to_string(hooks - 1) + " of " + all + " hooks: warden_prog_load is gone";
  const Ran shown = run("bpfwarden status");
  CHECK(shown.status == 1);
  CHECK(first_line(shown) == "hooks        " + text);
  CHECK(run("bpfwarden status --json").status == 1);
  CHECK(status()["hooks"].size() == hooks - 1);
  const Ran metrics = run("bpfwarden metrics");
  CHECK(says(metrics, "bpfwarden_hooks_missing 1\n"));
  CHECK(says(metrics, "bpfwarden_hooks " + std::to_string(hooks - 1) + "\n"));
  const Ran doctor = run("bpfwarden doctor");
  CHECK(doctor.status == 1);
  CHECK(first_line(doctor) == "missing  hooks: " + text);
  const Ran inventory = run("bpfwarden inventory");
  CHECK(inventory.status == 1);
  CHECK(says(inventory, text));
  const Ran again = warden.try_apply("enforce", kRules, warden.version() + 1);
  CHECK(again.status == 1);
  CHECK(says(again, text));

  // The last pin of all gone, and then all brought back.
  REQUIRE(::unlink("/sys/fs/bpf/elsewhere") == 0);
  REQUIRE(::unlink((std::string(kPins) + "link_list_programs").c_str()) == 0);
  REQUIRE(is_gone_soon("list_programs"));
  CHECK(says(run("bpfwarden metrics"), "bpfwarden_hooks_missing 2\n"));
  kept = Fd();
  REQUIRE(run("bpfwarden off").status == 0);
  warden.apply("enforce", kRules);
  all_is_well(hooks);
}

// As where the kernel skips them: what is missing makes no signer, and no refusal for good.
TEST_CASE("attack_take_away_who_sees_the_signer", "[vm][attack][kernel][kernel:signature_attr]") {
  Warden warden;
  for (const std::string traced : {"note_verified_key", "note_sole_signer"}) {
    INFO(traced);
    warden.apply("enforce", kSignedRules);
    const Load genuine = Load().signed_by(warden.netops(), warden.ring());
    const Load foreign = Load().signed_by(warden.stranger(), warden.ring());
    const Skeleton skeleton = {.bundle = sign_object("xdp_pass", warden.netops())};
    const Attempt map = skeleton.create_map();
    REQUIRE(map.error == 0);
    CHECK(load(genuine).error == 0);
    take_away(traced);
    CHECK(load(genuine).error == 0);  // two stand there
    take_away(traced + "_too");
    check_unseen(warden, genuine);
    CHECK(skeleton.load_loader(map.fd, warden.ring()).error == EAGAIN);
    CHECK(skeleton.load_loader(map.fd, warden.ring()).error == EAGAIN);  // the map is still its own
    CHECK(load({}).error == EPERM);
    CHECK(load(foreign).error == ENOKEY);
    REQUIRE(run("bpfwarden off").status == 0);
  }
  // Where unknown signers may load, nobody misses it.
  warden.apply("enforce", "", "allow");
  take_away("note_sole_signer");
  take_away("note_sole_signer_too");
  CHECK(load(Load().signed_by(warden.netops(), warden.ring())).error == 0);
}

}  // namespace bpfwarden::vm
