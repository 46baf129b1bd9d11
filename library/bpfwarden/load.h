/*
 * Loading signed BPF programs on every kernel from Linux 6.12 on, for loaders of any make. C99.
 *
 * Since Linux 6.18 bpf(2) takes a signature and the kernel verifies it (bpf_prog_verify_signature()
 * in kernel/bpf/verifier.c; before 7.3 in syscall.c), until 7.2 over the instructions alone. From
 * 6.12 to 6.17 bpf(2) has no place for one. What a kernel does not verify is put beside the call,
 * and bpfwarden verifies it by bpf_verify_pkcs7_signature() once a policy is active. The functions
 * here see which kernel runs and do what it wants; what the kernel verifies by itself needs no
 * bpfwarden.
 *
 * A signature belongs to the next BPF_PROG_LOAD of the calling thread, and to no other thread: who
 * moves work between threads (Go) stays on one from the first call to the last. All functions may
 * be called by several threads at once; none keeps anything, or a pointer of the caller's.
 *
 * Errors: -1, and errno. What is said of a signature, by either verifier:
 *   EKEYREJECTED  it is not over these bytes
 *   ENOKEY        the keyring has no such key, or there is no such keyring
 *   EBADMSG       it is no CMS signature
 *   E2BIG         longer than BPFWARDEN_SIGNATURE_SIZE; instructions and map are too long
 *   EPERM         a policy denies the program (`bpfwarden why`), or the map is not frozen
 * and by bpfwarden alone:
 *   EAGAIN        too many loads are verified at once, or who signed was not seen: try again
 *   EBUSY         somebody else has the map at the moment: try again
 *   EINVAL        the thread has made no map that the signature could cover
 *   ENOPKG        nobody here verifies signatures: no policy of bpfwarden's is active
 */
#ifndef BPFWARDEN_LOAD_H
#define BPFWARDEN_LOAD_H

#include <stdint.h>

union bpf_attr; /* <linux/bpf.h> of any version */

#ifdef __cplusplus
extern "C" {
#endif

enum {
  BPFWARDEN_SIGNATURE_SIZE = 7936, /* bytes, at most: what bpfwarden has room for */
  BPFWARDEN_HASH_SIZE = 32,        /* of a SHA-256, in bytes */
};

enum bpfwarden_verifier {
  BPFWARDEN_THE_KERNEL = 1, /* a signature goes into bpf_attr.signature */
  BPFWARDEN_BPFWARDEN = 2,  /* it goes beside the call */
};

/* bpfwarden_signature.flags */
enum {
  /* It is over the instructions followed by the value of the map that the load names: a loader's.
   * That map is the last one that this thread made with bpfwarden_create_map(), filled, frozen, and
   * had by nobody else. From 6.18 to 7.2 bpfwarden verifies it while a policy is active; the kernel
   * does not (EKEYREJECTED). */
  BPFWARDEN_COVERS_MAP = 1,
};

/* Borrowed for the time of a call. */
struct bpfwarden_signature {
  const void* bytes; /* CMS SignedData, in DER */
  uint32_t size;     /* of it, in bytes */
  int32_t keyring;   /* 0, 1, 2: the kernel's own (builtin, secondary, platform); -9: `.bpf`, of
                      * kernels after 7.3; else its serial: `keyctl id %:bpfwarden` */
  uint32_t flags;    /* of the enum above */
};

/* Who verifies a signature with these flags: enum bpfwarden_verifier. Asks bpf(2) for how long its
 * attributes are and, where the kernel may verify instructions alone, whether the active kernel
 * part of bpfwarden's takes signatures; changes nothing. Does not fail: who may not see that
 * (EACCES without the rights of root) is told of the kernel. */
int bpfwarden_verifier(uint32_t flags);

/* BPF_PROG_LOAD with a signature. `attr` is as for bpf(2) without one, `size` its size in bytes; it
 * is not changed, and its fd_array_cnt is made what the kernel wants. Returns a descriptor, which
 * is the caller's. Errors: above, and those of bpf(2). */
int bpfwarden_load_program(const union bpf_attr* attr, uint32_t size,
                           const struct bpfwarden_signature* signature);

/* BPF_MAP_CREATE of a map for one program alone, the one whose instructions have this SHA-256 (of
 * BPFWARDEN_HASH_SIZE bytes): an array of one value. `attr` and what is returned: as above. Where
 * bpfwarden verifies what covers a map, it gets BPF_F_NUMA_NODE; bpfwarden knows it by that, and
 * keeps it for one program, before 6.18, where the kernel has no such maps, by that alone. Fill and
 * freeze it before the load. Errors: of bpf(2). */
int bpfwarden_create_map(const union bpf_attr* attr, uint32_t size, const void* hash);

/* For who loads by another library: the signature of the next BPF_PROG_LOAD of this thread.
 * BPFWARDEN_BPFWARDEN: it lies beside it, in place of an earlier one; the load, with fd_array_cnt
 * 0, uses it up, whatever comes of it. BPFWARDEN_THE_KERNEL: nothing was done, put it into
 * bpf_attr.signature. Errors: EINVAL, E2BIG, ENOPKG; those of opening the map of signatures, as
 * EACCES without the rights of root. */
int bpfwarden_offer_signature(const struct bpfwarden_signature* signature);

/* Takes back what was offered and not used up: where bpf(2) did not get as far as verifying it,
 * and before this thread loads anything else. 0, also if there is nothing. Errors: as above. */
int bpfwarden_withdraw_signature(void);

#ifdef __cplusplus
}
#endif

#endif
