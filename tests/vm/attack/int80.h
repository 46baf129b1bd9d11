// System calls of the 32-bit table, which any process may make.
#pragma once

#include <linux/bpf.h>
#include <sys/mman.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <new>

namespace bpfwarden::vm {

// Called as it is: no wrapper tidies a register. Returns what the kernel does.
inline long by_int80(uint64_t number, uint64_t first, uint64_t second, uint64_t third,
                     uint64_t fourth, uint64_t fifth) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(fifth)
               : "r8", "r9", "r10", "r11", "memory");
  return result;
}

inline long by_int80(uint64_t number, uint64_t first, uint64_t second, uint64_t third) {
  return by_int80(number, first, second, third, 0, 0);
}

// Where 32 bits can point to.
template <class T>
T& low_memory() {
  static void* const memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return *new (memory) T{};
}

inline bpf_attr& low_attr() { return low_memory<bpf_attr>(); }

}  // namespace bpfwarden::vm
