// How a system call is made and what the kernel calls its function, by architecture.
#pragma once

#include <linux/bpf.h>
#include <sys/mman.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>
#include <new>
#include <string_view>

// The function behind a system call: SYSTEM_CALL("getpgid").
#ifdef __x86_64__
#define SYSTEM_CALL(name) "__x64_sys_" name
#else
#define SYSTEM_CALL(name) "__arm64_sys_" name
#endif

namespace bpfwarden::vm {

// Called as it is: no wrapper tidies a register. Returns what the kernel does.
inline long by_syscall(uint64_t number, uint64_t first, uint64_t second, uint64_t third) {
#ifdef __x86_64__
  long result = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(first), "S"(second), "d"(third)
               : "rcx", "r11", "memory");
  return result;
#else
  register uint64_t x8 asm("x8") = number;
  register uint64_t x0 asm("x0") = first;
  register uint64_t x1 asm("x1") = second;
  register uint64_t x2 asm("x2") = third;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory", "cc");
  return static_cast<long>(x0);
#endif
}

// System calls of the 32-bit table, which on x86 any process may make. Elsewhere only a process of
// that kind may, and this one is none: ENOSYS.
#ifdef __x86_64__
constexpr bool kHasInt80 = true;
inline long by_int80(uint64_t number, uint64_t first, uint64_t second, uint64_t third,
                     uint64_t fourth, uint64_t fifth) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(fifth)
               : "r8", "r9", "r10", "r11", "memory");
  return result;
}
#else
constexpr bool kHasInt80 = false;
inline long by_int80(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) { return -ENOSYS; }
#endif

// Whether an attempt of that name can be made here.
inline bool has_entry_of(std::string_view name) {
  return kHasInt80 || !name.ends_with("by int 0x80");
}

inline long by_int80(uint64_t number, uint64_t first, uint64_t second, uint64_t third) {
  return by_int80(number, first, second, third, 0, 0);
}

// Where 32 bits can point to, where that matters.
template <class T>
T& low_memory() {
#ifdef __x86_64__
  constexpr int low = MAP_32BIT;
#else
  constexpr int low = 0;
#endif
  static void* const memory =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | low, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return *new (memory) T{};
}

inline bpf_attr& low_attr() { return low_memory<bpf_attr>(); }

}  // namespace bpfwarden::vm
