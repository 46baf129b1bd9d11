// How much a case tries. ./test has to end within half an hour; ./test --all takes its time, and
// says so by the rounds of a race, BPFWARDEN_RACE_ROUNDS: 20,000 or more.
#pragma once

#include <cstdlib>

namespace bpfwarden::vm {

[[nodiscard]] inline bool tries_all() {
  const char* const rounds = std::getenv("BPFWARDEN_RACE_ROUNDS");
  return rounds != nullptr && std::strtoul(rounds, nullptr, 10) >= 20'000;
}

template <typename Amount>
[[nodiscard]] Amount effort(Amount usual, Amount all) {
  return tries_all() ? all : usual;
}

}  // namespace bpfwarden::vm
