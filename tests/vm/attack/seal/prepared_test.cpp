// What is prepared before a host is sealed, to write its maps afterwards: it is not sealed then,
// and says so.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

void check_is_not_sealed(const char* because) {
  const Ran ran = run("bpfwarden seal");
  INFO(ran.output);
  CHECK(ran.status == 1);
  CHECK(says(ran, because));
  CHECK(status()["sealed"] == "no");
}

}  // namespace

TEST_CASE("attack_seal_prepare_a_program_that_writes",
          "[vm][attack][bare][kernel][kernel:signature_attr][slow]") {
  Warden warden;
  const std::string policy =
      warden.write_policy("enforce",
                          "seal = true\n[[rules]]\nname = \"tools\"\n"
                          "allow = [\"socket\", \"iter/*\"]\nsignature = \"unsigned\"\n",
                          warden.raise_version());
  must("bpfwarden apply --accept-denials --confirm-within 30m " + policy);
  const Victim own("/sys/fs/bpf/bpfwarden/", warden.ring());
  {
    const Fd program = binding_program(own.programs);
    REQUIRE(program);
    must("bpfwarden confirm || true");
    check_is_not_sealed("binds maps of bpfwarden");
  }
  {
    const Fd iterator = reading_iterator(own.control);
    REQUIRE(iterator);
    check_is_not_sealed("iterates over the elements of maps");
  }
  must("bpfwarden seal");
  CHECK(status()["sealed"] == "now");
  CHECK_FALSE(binding_program(own.programs));
  CHECK_FALSE(reading_iterator(own.control));
}

}  // namespace bpfwarden::vm
