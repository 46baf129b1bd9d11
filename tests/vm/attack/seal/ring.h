// What a request of io_uring does in the place of a system call.
#pragma once

namespace bpfwarden::vm {

// open(2) by IORING_OP_OPENAT, in a worker of the kernel. 0, or errno. For a child process: the
// worker is one of its threads, and on older kernels stays to its end.
int open_by_io_uring(const char* path, int flags);

// setsockopt(2) by IORING_OP_URING_CMD. 0, or errno.
int set_option_by_io_uring(int socket, int level, int option, const void* value, unsigned size);

}  // namespace bpfwarden::vm
