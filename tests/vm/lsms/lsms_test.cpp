// Beside SELinux or AppArmor (tests/vm/lsms/run): what they refuse is theirs, and what bpfwarden
// refuses stays so. Both know a `stranger` who may not load programs.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

struct Other {
  const char *name, *attribute, *stranger;
  int error;          // of a load by a stranger
  const char* named;  // by `why`
};

// AppArmor judges the capability, SELinux the load itself.
constexpr Other kOthers[] = {
    {"selinux", "/proc/self/attr/current", "system_u:system_r:stranger_t", EACCES,
     "SELinux judges"},
    {"apparmor", "/proc/self/attr/apparmor/current", "changeprofile stranger", EPERM,
     "AppArmor judges"},
};

const Other* active() {
  std::string list;
  std::getline(std::ifstream("/sys/kernel/security/lsm"), list);
  for (const Other& one : kOthers)
    if (list.contains(one.name)) return &one;
  return nullptr;
}

constexpr int kNoStranger = 250;

// A child that has become one and tried to load. It stays, to be asked about.
class Stranger {
 public:
  Stranger(const Other& other, const Load& request) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      std::ofstream attribute(other.attribute);
      const bool is_one = static_cast<bool>(attribute << other.stranger << std::flush);
      const int error = is_one ? load(request).error : kNoStranger;
      (void)!::write(ends[1], &error, sizeof(error));
      for (;;) ::pause();
    }
    ::close(ends[1]);
    REQUIRE(::read(ends[0], &error_, sizeof(error_)) == sizeof(error_));
    ::close(ends[0]);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  ~Stranger() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] std::string why() const {
    return run("bpfwarden why --pid " + std::to_string(process_)).output;
  }

 private:
  pid_t process_ = -1;
  int error_ = kNoStranger;
};

bool is_refused_and_told(Warden& warden, const Load& request) {
  const bool is_refused = load(request).error == EPERM;
  const auto told = warden.events();
  return is_refused && told.size() == 1 && told[0]["errno"] == EPERM;
}

}  // namespace

TEST_CASE("deny_beside_another_lsm_and_tell_whose_refusal_it_was", "[vm][why]") {
  const Other* const other = active();
  if (other == nullptr) SKIP("for a guest that has SELinux or AppArmor: tests/vm/lsms/run");
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"team\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  Load signed_load;
  signed_load.signed_by(warden.netops());
  (void)warden.events();
  {
    const Stranger stranger(*other, signed_load);
    CHECK(stranger.error() == other->error);
    for (const auto& event : warden.events())
      CHECK((event["hook"] == "observed" || event["decision"] == "allow"));
    const std::string why = stranger.why();
    INFO(why);
    CHECK(why.contains("it can be:"));
    const size_t named = why.find(other->named);
    CHECK(named < why.find("looked at, and not the reason:"));
    CHECK(why.contains("it has the label"));
  }
  // Neither is weaker for the other, nor for what it refused before.
  CHECK(load(signed_load).error == 0);
  (void)warden.events();
  CHECK(is_refused_and_told(warden, Load{}));
  CHECK(Stranger(*other, Load{}).error() == other->error);
  CHECK(is_refused_and_told(warden, Load{}));
  CHECK(load(signed_load).error == 0);
}

}  // namespace bpfwarden::vm
