#include "tests/vm/attack/control.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

bool runs(std::string_view half) {
  const char* text = std::getenv("BPFWARDEN_HALF");
  return text != nullptr && half == text;
}

bool has_worked = false, has_begun = false;

// Cases of one program know nothing of each other.
class EachCase : public Catch::EventListenerBase {
 public:
  using EventListenerBase::EventListenerBase;
  void testCasePartialStarting(const Catch::TestCaseInfo& /*info*/, uint64_t /*part*/) override {
    has_worked = has_begun = false;
  }
};
CATCH_REGISTER_LISTENER(EachCase)

// The first run of a case ends at its first Warden; one that has tried nothing until then has not
// been controlled.
void begin() {
  has_begun = true;
  if (!runs("control")) return;
  REQUIRE(has_worked);
  SKIP("the rest is for a guest that has the hooks");
}

[[maybe_unused]] const bool ends_at_warden = (Warden::on_begin = begin, true);

}  // namespace

void Control::must_have_worked() const {
  REQUIRE_FALSE(has_begun);
  if (runs("verdict")) return;
  REQUIRE_FALSE(std::filesystem::exists("/sys/fs/bpf/bpfwarden"));
  REQUIRE(attack_());
  has_worked = true;
}

}  // namespace bpfwarden::vm
