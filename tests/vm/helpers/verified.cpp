#include "tests/vm/helpers/verified.h"

#include <catch2/catch_test_macros.hpp>

namespace bpfwarden::vm {

Ran run_as_verified(const Warden& warden, const std::string& bundle, const std::string& options) {
  const Ran said = run("bpfwarden verify " + bundle + " --policy " + warden.policy_file());
  Ran ran = run("bpfwarden run " + bundle + " " + options);
  INFO(said.output << ran.output);
  CHECK((said.status == 0) == (ran.status == 0));
  return ran;
}

}  // namespace bpfwarden::vm
