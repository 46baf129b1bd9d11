#include "tests/vm/attack/control.h"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

namespace bpfwarden::vm {

void Control::must_have_worked() const {
  REQUIRE_FALSE(std::filesystem::exists("/sys/fs/bpf/bpfwarden"));
  REQUIRE(attack_());
}

}  // namespace bpfwarden::vm
