#include "tests/vm/attack/seal/ring.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/fd.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr unsigned kSetOption = 3;  // SOCKET_URING_OP_SETSOCKOPT

uint32_t& word_at(void* memory, uint32_t offset) {
  return *reinterpret_cast<uint32_t*>(static_cast<char*>(memory) + offset);
}

void* map_ring(const Fd& ring, size_t size, off_t what) {
  return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.get(), what);
}

// One request. What it returned: negative, an errno.
int submit(const io_uring_sqe& request) {
  io_uring_params params = {};
  const Fd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &params)));
  if (!ring) return -errno;
  const size_t size = 4096;
  void* const queue = map_ring(ring, size, IORING_OFF_SQ_RING);
  auto* const entries = static_cast<io_uring_sqe*>(map_ring(ring, size, IORING_OFF_SQES));
  if (queue == MAP_FAILED || entries == MAP_FAILED) return -errno;
  entries[0] = request;
  word_at(queue, params.sq_off.array) = 0;
  __atomic_store_n(&word_at(queue, params.sq_off.tail), 1, __ATOMIC_RELEASE);
  const long done =
      ::syscall(SYS_io_uring_enter, ring.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
  const auto* const answer =
      reinterpret_cast<const io_uring_cqe*>(static_cast<const char*>(queue) + params.cq_off.cqes);
  const int result = done == 1 ? answer->res : -errno;
  ::munmap(entries, size);
  ::munmap(queue, size);
  return result;
}

}  // namespace

int open_by_io_uring(const char* path, int flags) {
  io_uring_sqe request = {};
  request.opcode = IORING_OP_OPENAT;
  request.flags = IOSQE_ASYNC;
  request.fd = AT_FDCWD;
  request.addr = reinterpret_cast<uint64_t>(path);
  request.open_flags = static_cast<uint32_t>(flags);
  return in_child([&] {
    const int result = submit(request);
    const Fd made(result);
    return result < 0 ? -result : 0;
  });
}

int set_option_by_io_uring(int socket, int level, int option, const void* value, unsigned size) {
  io_uring_sqe request = {};
  request.opcode = IORING_OP_URING_CMD;
  request.fd = socket;
  // cmd_op, level, optname, optlen, optval: newer than the headers of Debian 12.
  std::memcpy(reinterpret_cast<char*>(&request) + 8, &kSetOption, sizeof(kSetOption));
  std::memcpy(reinterpret_cast<char*>(&request) + 16, &level, sizeof(level));
  std::memcpy(reinterpret_cast<char*>(&request) + 20, &option, sizeof(option));
  std::memcpy(reinterpret_cast<char*>(&request) + 44, &size, sizeof(size));
  const auto address = reinterpret_cast<uint64_t>(value);
  std::memcpy(reinterpret_cast<char*>(&request) + 48, &address, sizeof(address));
  const int result = submit(request);
  return result < 0 ? -result : 0;
}

}  // namespace bpfwarden::vm
