// What the processes of one case tell each other: an object in memory that children share.
#pragma once

#include <sys/mman.h>

#include <memory>
#include <new>
#include <stdexcept>

namespace bpfwarden::vm {

// Unmaps it in this process. No destructor runs: a child may hold it still, or have been killed.
struct Unmap {
  template <class T>
  void operator()(T* it) const {
    ::munmap(it, sizeof(*it));
  }
};

template <class T>
using SharedMemory = std::unique_ptr<T, Unmap>;

template <class T>
[[nodiscard]] SharedMemory<T> make_shared_memory() {
  void* memory =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
  return SharedMemory<T>(new (memory) T);
}

}  // namespace bpfwarden::vm
