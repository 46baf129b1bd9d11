// A kernel part takes over from another one, of this version or another, while loaders are at work
// (docs/adr/0020): no load is decided by none, and none that the policy admits is refused.
#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "dawdle.skel.h"
#include "loader/bundles/run_bundle.h"
#include "loader/kernel/hooks.h"
#include "loader/policies/active_policy.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/shared_memory.h"

namespace bpfwarden::vm {
namespace {

constexpr size_t kLoaders = 4;
constexpr const char* kProgramRecords = "/sys/fs/bpf/bpfwarden/map_programs";

// What the network team signs may become active on the loopback device, and nothing else.
constexpr const char* kSigned = R"(
[[rules]]
name = "signed"
allow = ["xdp@lo"]
signed-by = ["netops"]
[[rules]]
name = "sockets"
allow = ["socket"]
signature = "unsigned"
)";

// Why something was refused that must not be, by both rings.
std::string told_of(const std::string& binary) {
  return run("{ cat /tmp/before.jsonl; " + binary +
             " events --json; } | grep '\"refused\":true' | grep -v '\"cause\":\"default\"' | tail "
             "-n 20")
      .output;
}

// Reads the ring of the kernel part that is taken over from, to its end.
void record_what_was_before(const std::string& binary) {
  (void)run(binary + " events --json --follow >/tmp/before.jsonl 2>&1 &");
}

struct Seen {
  std::atomic<bool> stops = false;
  std::atomic<uint32_t> rounds = 0;
  std::atomic<uint32_t> let_in = 0;    // that no rule admits
  std::atomic<uint32_t> kept_out = 0;  // that one does
  std::atomic<int> last_error = 0;
};

// Loads by themselves, and by signed loaders that run, all the time.
class Loaders {
 public:
  explicit Loaders(Warden& warden, size_t count = kLoaders)
      : bundle_(sign_object("xdp_pass", warden.netops())),
        signed_(Load().signed_by(warden.netops(), warden.ring())),
        ring_(warden.ring()) {
    for (size_t i = 0; i < count; i++) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) work(i);
      children_.push_back(child);
    }
  }
  Loaders(const Loaders&) = delete;
  Loaders& operator=(const Loaders&) = delete;
  ~Loaders() {
    seen_->stops = true;
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }

  [[nodiscard]] pid_t first() const { return children_.front(); }

  // `binary`: of the version that decides by now.
  void check(const char* what, const std::string& binary) const {
    INFO(what);
    const std::string told = seen_->kept_out == 0 ? "" : told_of(binary);
    INFO(told);
    INFO("errno of the last that was kept out: " << seen_->last_error);
    CHECK(seen_->let_in == 0);
    CHECK(seen_->kept_out == 0);
    CHECK(seen_->rounds > 2 * children_.size());
    std::printf("takeover, %s: %u rounds of loads, %u let in, %u kept out\n", what,
                seen_->rounds.load(), seen_->let_in.load(), seen_->kept_out.load());
  }

 private:
  void must_work(int error) const {
    if (error == 0) return;
    seen_->kept_out++;
    seen_->last_error = error;
  }

  // Where the kernel part verifies, it has two places for that.
  [[nodiscard]] int load_signed() const {
    int error = EAGAIN;
    for (int tries = 0; tries < 50 && error == EAGAIN; tries++) error = load(signed_).error;
    return error;
  }

  [[noreturn]] void work(size_t number) const {
    while (!seen_->stops) {
      seen_->let_in += load({}).error != EPERM;
      if (number % 2 == 0)
        must_work(load_bundle(bundle_, ring_));
      else
        must_work(load_signed());
      must_work(load(Load::of_type(BPF_PROG_TYPE_SOCKET_FILTER)).error);
      seen_->rounds++;
      ::usleep(300'000);  // the kernel has hooks to verify meanwhile
    }
    ::_exit(0);
  }

  SharedMemory<Seen> seen_ = make_shared_memory<Seen>();
  keyring::Bundle bundle_;
  Load signed_;
  keyring::KeySerial ring_;
  std::vector<pid_t> children_;
};

// Loaded before there is a policy that could refuse it: each run of a loader takes a second or two.
class SlowRuns {
 public:
  SlowRuns() : skeleton_(dawdle_bpf::open_and_load()) {
    if (!skeleton_ && errno == ESRCH) SKIP("this kernel has no function to wait in");
    REQUIRE(skeleton_);
    REQUIRE(dawdle_bpf::attach(skeleton_.get()) == 0);
  }
  void of(pid_t process) { skeleton_->bss->loader = static_cast<uint32_t>(process); }

 private:
  std::unique_ptr<dawdle_bpf, decltype([](dawdle_bpf* it) { dawdle_bpf::destroy(it); })> skeleton_;
};

void must_do(const std::string& command) {
  const Ran ran = run(command);
  INFO(command << ": " << ran.output);
  REQUIRE(ran.status == 0);
}

std::string version_that_decides(const std::string& binary) {
  const Ran ran = run(binary + " status --json");
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  return nlohmann::json::parse(ran.output)["kernel_part"]["bpfwarden_version"];
}

std::string pins() { return run("ls /sys/fs/bpf /sys/fs/bpf/bpfwarden").output; }

int attach_to_loopback(const Fd& program) {
  struct bpf_link_create_opts options = {};
  options.sz = sizeof(options);
  options.flags = XDP_FLAGS_SKB_MODE;
  const Fd link(
      bpf_link_create(program.get(), static_cast<int>(::if_nametoindex("lo")), BPF_XDP, &options));
  return link ? 0 : errno;
}

uint32_t id_of(const Fd& program) {
  bpf_prog_info info = {};
  uint32_t size = sizeof(info);
  REQUIRE(bpf_prog_get_info_by_fd(program.get(), &info, &size) == 0);
  return info.id;
}

// Of one program, as `binary` tells it.
nlohmann::json listed(const std::string& binary, uint32_t id) {
  const Ran ran = run(binary + " inventory --json --id " + std::to_string(id));
  INFO(ran.output);
  REQUIRE(ran.status == 0);
  return nlohmann::json::parse(ran.output)["programs"][0];
}

void forget_all_records() {
  const Fd records(bpf_obj_get(kProgramRecords));
  REQUIRE(records);
  for (uint64_t key = 0; bpf_map_get_next_key(records.get(), nullptr, &key) == 0;)
    REQUIRE(bpf_map_delete_elem(records.get(), &key) == 0);
}

// Who signed it was noted by hooks that are gone after a takeover.
class LoadedBefore {
 public:
  explicit LoadedBefore(Warden& warden)
      : programs_(loader::load_bundle(sign_object("xdp_pass", warden.netops()), warden.ring())) {
    REQUIRE(programs_);
    before_ = listed("bpfwarden", id_of(program()));
  }

  void check_known(const std::string& binary) const {
    const auto now = listed(binary, id_of(program()));
    CHECK(now["standing"] == before_["standing"]);
    CHECK(now["admission"]["signer"] == before_["admission"]["signer"]);
    CHECK(now["admission"]["origin"] == before_["admission"]["origin"]);
    CHECK(attach_to_loopback(program()) == 0);
  }

  // The check of what is carried over: without it the program is nobody's.
  void check_unknown_without_records() const {
    forget_all_records();
    CHECK(attach_to_loopback(program()) == EPERM);
  }

 private:
  [[nodiscard]] const Fd& program() const { return programs_->front().fd; }

  decltype(loader::load_bundle({}, {})) programs_;
  nlohmann::json before_;
};

void check_hooks(const nlohmann::json& status) {
  CHECK(status["hooks"].size() == 50);
  CHECK(status["unjudged"].empty());
}

void check_guarded() {
  const auto active = loader::require_active_policy();
  REQUIRE(active);
  const auto guarded = loader::is_guarded(active->pins);
  REQUIRE(guarded);
  CHECK(*guarded);
}

void check_sealed(Warden& warden) {
  CHECK(status()["sealed"] == "now");
  CHECK(status()["hooks"].size() == 50);
  check_guarded();
  CHECK(load({}).error == EPERM);
  CHECK(load(Load().signed_by(warden.netops(), warden.ring())).error == 0);
  const Ran upgrade = run("bpfwarden_next upgrade");
  CHECK(upgrade.status == 1);
  CHECK(says(upgrade, "the host is sealed"));
  CHECK(run("bpfwarden off").status == 1);
}

}  // namespace

TEST_CASE("deny_all_along_while_another_version_takes_over_and_back", "[vm][takeover]") {
  Warden warden;
  warden.apply("enforce", kSigned);
  const std::string before = pins(), version = version_that_decides("bpfwarden");
  const LoadedBefore loaded(warden);
  {
    const Loaders loaders(warden);
    record_what_was_before("bpfwarden");
    must_do("bpfwarden_next upgrade");
    loaders.check("to another ABI", "bpfwarden_next");
  }
  CHECK(version_that_decides("bpfwarden_next") == "99.0.0");
  CHECK(pins() == before);
  loaded.check_known("bpfwarden_next");
  {
    const Loaders loaders(warden);
    record_what_was_before("bpfwarden_next");
    must_do("bpfwarden upgrade");
    loaders.check("and back", "bpfwarden");
  }
  CHECK(version_that_decides("bpfwarden") == version);
  CHECK(pins() == before);
  CHECK(load({}).error == EPERM);
  CHECK(says(run("bpfwarden upgrade"), "already"));
  check_hooks(status());
  loaded.check_known("bpfwarden");
  loaded.check_unknown_without_records();
}

TEST_CASE("deny_all_along_while_a_guard_takes_over_and_the_host_is_sealed",
          "[vm][takeover][slow]") {
  Warden warden;
  warden.apply("enforce", kSigned);
  const auto before = status();
  {
    const Loaders loaders(warden);
    record_what_was_before("bpfwarden");
    must_do("bpfwarden seal");
    loaders.check("with a guard", "bpfwarden");
  }
  CHECK(status()["generation"] == before["generation"]);
  CHECK(status()["keyring"] == before["keyring"]);
  check_sealed(warden);
  // The guard is what is left once the links are gone.
  const Load by_netops = Load().signed_by(warden.netops(), warden.ring());
  REQUIRE(::umount2("/sys/fs/bpf", MNT_DETACH) == 0);
  int error = 0;
  for (int i = 0; i < 100 && error != EPERM; i++) {
    ::usleep(100'000);
    error = load(by_netops).error;
  }
  CHECK(error == EPERM);
  CHECK(load({}).error == EPERM);
}

TEST_CASE("deny_by_a_policy_that_seals_a_running_host_at_once", "[vm][takeover]") {
  Warden warden;
  warden.apply("enforce", kSigned);
  const std::string seals = "seal = true\n" + std::string(kSigned);
  const Ran awaits = run("bpfwarden apply --confirm-within 1h --accept-denials " +
                         warden.write_policy("enforce", seals, warden.raise_version()));
  INFO(awaits.output);
  REQUIRE(awaits.status == 0);
  CHECK(says(awaits, "once it is confirmed"));
  must_do("bpfwarden confirm");
  check_sealed(warden);
}

TEST_CASE("admit_what_a_signed_loader_loads_whose_run_outlasts_a_takeover",
          "[vm][takeover][slow]") {
  SlowRuns slow;
  Warden warden;
  warden.apply("enforce", kSigned);
  const Loaders loaders(warden, 1);
  slow.of(loaders.first());
  must_do("bpfwarden_next upgrade");
  loaders.check("during slow runs", "bpfwarden_next");
}

TEST_CASE("deny_as_before_where_a_takeover_finds_no_room", "[vm][takeover][slow]") {
  Warden warden;
  warden.apply("enforce", std::string(kSigned) + R"([[rules]]
name = "many"
allow = ["lsm/bpf_prog_load"]
signature = "unsigned"
)");
  const uint32_t function = function_id("bpf_lsm_bpf_prog_load");
  std::vector<Fd> programs, links;
  for (int i = 0; i < 64; i++) {
    Load one = Load::of_type(BPF_PROG_TYPE_LSM);
    one.attach_type = BPF_LSM_MAC;
    one.btf_id = function;
    Attempt loaded = load(one);
    REQUIRE(loaded.error == 0);
    Fd link(bpf_raw_tracepoint_open(nullptr, loaded.fd.get()));
    if (!link) break;
    programs.push_back(std::move(loaded.fd));
    links.push_back(std::move(link));
  }
  REQUIRE(!links.empty());
  const auto before = status();
  const std::string pinned = pins();
  const Ran upgrade = run("bpfwarden_next upgrade");
  INFO(upgrade.output);
  CHECK(upgrade.status == 1);
  CHECK(says(upgrade, "no room"));
  CHECK(says(upgrade, std::to_string(id_of(programs.back()))));
  CHECK(pins() == pinned);
  CHECK(status()["generation"] == before["generation"]);
  CHECK(status()["hooks"] == before["hooks"]);
  CHECK(load({}).error == EPERM);
  links.clear();
  programs.clear();
  must_do("bpfwarden_next upgrade");
}

}  // namespace bpfwarden::vm
