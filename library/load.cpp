#include "library/bpfwarden/load.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bpf-lsm/abi/load_signature.h"

// Of the language's library nothing but memcpy(): C programs are linked with this.
namespace {

constexpr const char* kSignatures = "/sys/fs/bpf/bpfwarden/map_load_signatures";
// Of a kernel part that takes over: both verify meanwhile.
constexpr const char* kSignaturesBeside = "/sys/fs/bpf/bpfwarden-staging/map_load_signatures";
constexpr unsigned kOfThread = O_EXCL;  // PIDFD_THREAD, which older headers do not have
constexpr uint32_t kMostAttr = 4096;    // a page, as bpf(2) has it

static_assert(int{BPFWARDEN_SIGNATURE_SIZE} == int{BW_LOAD_SIGNATURE_SIZE});
static_assert(int{BPFWARDEN_COVERS_MAP} == int{BW_COVERS_MAP});

uint64_t address_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

int call_bpf(bpf_cmd command, bpf_attr& attr, uint32_t size) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attr, size));
}

int fails_with(int code) {
  errno = code;
  return -1;
}

// Closes it, and keeps errno.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    const int code = errno;
    if (fd_ >= 0) ::close(fd_);
    errno = code;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// What a caller's header made of it, with all that ours knows.
class Attributes {
 public:
  // False: longer than bpf(2) takes.
  bool copy(const bpf_attr* attr, uint32_t size) {
    if (attr == nullptr || size > kMostAttr) return false;
    std::memcpy(bytes_, attr, size);
    size_ = size > sizeof(bpf_attr) ? size : uint32_t{sizeof(bpf_attr)};
    given_ = size;
    return true;
  }
  bpf_attr& attr() { return *reinterpret_cast<bpf_attr*>(bytes_); }
  int call(bpf_cmd command) { return call_bpf(command, attr(), size_); }
  // Older kernels take attributes of any length, if what they do not know is zero.
  int call_as_given(bpf_cmd command) { return call_bpf(command, attr(), given_); }

 private:
  alignas(bpf_attr) unsigned char bytes_[kMostAttr] = {};
  uint32_t size_ = 0, given_ = 0;
};

// A new one each time: `bpfwarden off` and `apply` replace it.
int open_signatures(const char* pin) {
  bpf_attr attr = {};
  attr.pathname = address_of(pin);
  const int fd = call_bpf(BPF_OBJ_GET, attr, sizeof(attr));
  return fd < 0 && errno == ENOENT ? fails_with(ENOPKG) : fd;
}

// Bytes that a kernel does not know have to be zero (E2BIG), whatever the command; one that knows
// them refuses them for this one.
bool has_kernel_a_place() {
  bpf_attr attr = {};
  attr.keyring_id = 1;
  return call_bpf(BPF_PROG_GET_NEXT_ID, attr, sizeof(attr)) >= 0 || errno != E2BIG;
}

// The kernel part has a map of signatures exactly where it verifies any: it knows what its kernel
// does with maps.
bool is_somebody_beside() { return Descriptor(open_signatures(kSignatures)).get() >= 0; }

int open_thread() { return static_cast<int>(::syscall(SYS_pidfd_open, ::gettid(), kOfThread)); }

int change_in(const char* pin, int thread, bpf_cmd command, const bw_load_signature* value) {
  const Descriptor map(open_signatures(pin));
  if (map.get() < 0) return -1;
  bpf_attr attr = {};
  attr.map_fd = static_cast<uint32_t>(map.get());
  attr.key = address_of(&thread);
  attr.value = address_of(value);
  return call_bpf(command, attr, sizeof(attr));
}

// BPF_MAP_UPDATE_ELEM or BPF_MAP_DELETE_ELEM of what belongs to this thread.
int change(bpf_cmd command, const bw_load_signature* value) {
  const Descriptor thread(open_thread());
  if (thread.get() < 0) return -1;
  (void)change_in(kSignaturesBeside, thread.get(), command, value);
  return change_in(kSignatures, thread.get(), command, value);
}

int check(const bpfwarden_signature* signature) {
  constexpr uint32_t known = BPFWARDEN_COVERS_MAP;
  if (signature == nullptr || signature->bytes == nullptr || signature->size == 0 ||
      (signature->flags & ~known) != 0)
    return fails_with(EINVAL);
  return signature->size > BPFWARDEN_SIGNATURE_SIZE ? fails_with(E2BIG) : 0;
}

int load_with_attribute(Attributes& load, const bpfwarden_signature& signature) {
  bpf_attr& attr = load.attr();
  attr.signature = address_of(signature.bytes);
  attr.signature_size = signature.size;
  attr.keyring_id = signature.keyring;
  attr.fd_array_cnt = signature.flags & BPFWARDEN_COVERS_MAP ? 1 : 0;
  return load.call(BPF_PROG_LOAD);
}

int load_beside(Attributes& load, const bpfwarden_signature& signature) {
  if (bpfwarden_offer_signature(&signature) < 0) return -1;
  bpf_attr& attr = load.attr();
  attr.signature = 0;
  attr.signature_size = attr.fd_array_cnt = 0;
  attr.keyring_id = 0;
  const int fd = load.call_as_given(BPF_PROG_LOAD);
  // bpf(2) may have failed before anybody asked for it.
  const int code = errno;
  if (fd < 0) (void)bpfwarden_withdraw_signature();
  errno = code;
  return fd;
}

}  // namespace

int bpfwarden_verifier(uint32_t flags) {
  if (!has_kernel_a_place()) return BPFWARDEN_BPFWARDEN;
  return flags & BPFWARDEN_COVERS_MAP && is_somebody_beside() ? BPFWARDEN_BPFWARDEN
                                                              : BPFWARDEN_THE_KERNEL;
}

int bpfwarden_offer_signature(const bpfwarden_signature* signature) {
  if (check(signature) != 0) return -1;
  if (bpfwarden_verifier(signature->flags) == BPFWARDEN_THE_KERNEL) return BPFWARDEN_THE_KERNEL;
  bw_load_signature load = {};
  load.size = signature->size;
  load.keyring = signature->keyring;
  load.flags = signature->flags;
  std::memcpy(load.bytes, signature->bytes, signature->size);
  return change(BPF_MAP_UPDATE_ELEM, &load) == 0 ? BPFWARDEN_BPFWARDEN : -1;
}

int bpfwarden_withdraw_signature() {
  if (bpfwarden_verifier(BPFWARDEN_COVERS_MAP) == BPFWARDEN_THE_KERNEL) return 0;
  const int status = change(BPF_MAP_DELETE_ELEM, nullptr);
  return status == 0 || errno == ENOENT || errno == ENOPKG ? 0 : -1;
}

int bpfwarden_load_program(const bpf_attr* attr, uint32_t size,
                           const bpfwarden_signature* signature) {
  Attributes load;
  if (!load.copy(attr, size)) return fails_with(E2BIG);
  if (check(signature) != 0) return -1;
  return bpfwarden_verifier(signature->flags) == BPFWARDEN_THE_KERNEL
             ? load_with_attribute(load, *signature)
             : load_beside(load, *signature);
}

int bpfwarden_create_map(const bpf_attr* attr, uint32_t size, const void* hash) {
  Attributes map;
  if (!map.copy(attr, size)) return fails_with(E2BIG);
  if (hash == nullptr) return fails_with(EINVAL);
  if (bpfwarden_verifier(BPFWARDEN_COVERS_MAP) == BPFWARDEN_BPFWARDEN)
    map.attr().map_flags |= BPF_F_NUMA_NODE;
  if (!has_kernel_a_place()) return map.call_as_given(BPF_MAP_CREATE);
  map.attr().excl_prog_hash = address_of(hash);
  map.attr().excl_prog_hash_size = BPFWARDEN_HASH_SIZE;
  return map.call(BPF_MAP_CREATE);
}
