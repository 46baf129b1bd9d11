// bpf(2) without a library in between, for calls that must not be preceded by feature probes:
// libbpf's probes are tiny unsigned programs, which the warden rightly refuses and reports.
#pragma once

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace bpfwarden::loader {

// Returns what the system call returns; errno is set on -1.
inline int sys_bpf(bpf_cmd command, bpf_attr& attr) {
  return static_cast<int>(::syscall(__NR_bpf, command, &attr, sizeof(attr)));
}

template <class T>
uint64_t as_u64(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

}  // namespace bpfwarden::loader
