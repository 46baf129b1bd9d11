#include "tests/vm/attack/seal/host.h"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

// Whoever is not refused by these rules is refused by the seal. What is admitted unsigned here
// stands for what somebody signed without a thought of it. No rule admits an unsigned xdp.
constexpr const char* kSealRules = R"(seal = true
[[rules]]
name = "team"
allow = ["xdp"]
signed-by = ["netops"]
[[rules]]
name = "tools"
allow = ["socket", "iter/*", "fentry/*", "fentry/prog:*", "fexit/*", "fexit/prog:*", "freplace/*",
         "lsm_cgroup/*", "lsm/socket_listen", "lsm/file_open"]
signature = "unsigned"
)";

std::string result_of(int error, const char* well) {
  if (error == 0) return well;
  const char* const name = ::strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

}  // namespace

void print_result(const std::string& attempt, int error, int unsigned_load, int signed_load,
                  const char* well) {
  std::printf("%-64s | %s | unsigned load: %s | signed load: %s\n", attempt.c_str(),
              result_of(error, well).c_str(), result_of(unsigned_load, "ADMITTED").c_str(),
              result_of(signed_load, "admitted").c_str());
  std::fflush(stdout);
}

// The kernel gives a load up when a signal comes, as of a ring that is closed: libbpf tries again.
int error_of_load(const Load& request) {
  int error = EAGAIN;
  for (int tries = 0; tries < 5 && error == EAGAIN; tries++) error = load(request).error;
  return error;
}

int verdict_of(const std::string& command) { return run(command).status == 0 ? 0 : EPERM; }

void control_attacks(const SealAttacks& attacks) {
  for (const SealAttack& attack : attacks) {
    if (attack.on != On::both) continue;
    INFO(attack.name);
    Decoy decoy;
    CHECK(attack.attempt(decoy.victim()) == 0);
  }
}

SealedHost::SealedHost(const std::function<void(Warden&)>& prepare, const std::string& more) {
  const std::string file =
      warden_.write_policy("enforce", kSealRules + more, warden_.raise_version());
  must("bpfwarden apply --accept-denials --confirm-within 30m " + file +
       " || { tail -40 /run/bpfwarden-load.log; false; }");
  own_ = std::make_unique<Victim>("/sys/fs/bpf/bpfwarden/", warden_.ring());
  if (prepare) prepare(warden_);
  signed_ = Load{}.signed_by(warden_.netops());
  must("bpfwarden confirm");
  REQUIRE(status()["sealed"] == "now");
  REQUIRE(load_unsigned() == EPERM);
  REQUIRE(load_signed() == 0);
}

void SealedHost::must_withstand(const SealAttacks& attacks) {
  for (const SealAttack& attack : attacks) {
    INFO(attack.name);
    const int error = attack.attempt(*own_);
    const int unsigned_load = load_unsigned(), signed_load = load_signed();
    print_result(attack.name, error, unsigned_load, signed_load);
    CHECK(error == attack.expected);
    CHECK(unsigned_load == EPERM);
    CHECK(signed_load == 0);
  }
}

}  // namespace bpfwarden::vm
