#include "tests/vm/helpers/linger.h"

#include <catch2/catch_test_macros.hpp>

#include "linger.skel.h"

namespace bpfwarden::vm {

void Linger::Destroy::operator()(linger_bpf* skeleton) const { linger_bpf::destroy(skeleton); }

Linger::Linger() : skeleton_(linger_bpf::open_and_load()) {
  REQUIRE(skeleton_);
  REQUIRE(linger_bpf::attach(skeleton_.get()) == 0);
}

}  // namespace bpfwarden::vm
