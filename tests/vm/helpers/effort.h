// How much a case tries. ./test has to end within half an hour; ./test --all takes its time, and
// says so by BPFWARDEN_RACE_ROUNDS, the rounds of a race.
#pragma once

#include <cstdlib>

namespace bpfwarden::vm {

[[nodiscard]] inline bool tries_all() { return std::getenv("BPFWARDEN_RACE_ROUNDS") != nullptr; }

template <typename Amount>
[[nodiscard]] Amount effort(Amount usual, Amount all) {
  return tries_all() ? all : usual;
}

}  // namespace bpfwarden::vm
