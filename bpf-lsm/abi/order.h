// An order on its way to the kernel part: what the manager hands over, in a call of bpf(2) that
// means nothing to the kernel (docs/adr/0018, 0022). Whoever may call bpf(2) may; what counts is
// who signed.
#pragma once

#include "bpf-lsm/abi/image.h"

#define BW_ORDER_MAGIC 0x524544524f445242ULL
#define BW_REQUEST_MAGIC 0x54534555514552ffULL  // its first byte begins no instruction of BPF
#define BW_REQUEST_ABI 1

enum {
  BW_MAX_ORDER_SIGNATURES = 4,
  BW_ORDER_SIGNATURE_SIZE = 8192,  // as the kernel has it for those of programs
  BW_CHALLENGE_WORDS = 4,
};

// What an order is about.
enum bw_order_kind {
  BW_ORDER_APPLY = 1,  // a signed image, which becomes the active one
  BW_ORDER_STAGE = 2,  // likewise, and it is asked beside the active one
  // Of these three nobody signs anything. Who signed a policy with a time to confirm has let the
  // host have that time; who signed one that is staged has said that it may be active.
  BW_ORDER_CONFIRM = 3,
  BW_ORDER_PROMOTE = 4,    // what such an order has staged
  BW_ORDER_CHALLENGE = 5,  // there is to be a challenge, in bw_control
  BW_ORDER_REQUEST = 6,    // what a signed bw_request says
};

enum bw_request_verb {
  BW_REQUEST_OFF = 1,       // the kernel part lets go of the host
  BW_REQUEST_ROLLBACK = 2,  // the policy before becomes the active one
};

// What is signed of a request: for one host, one boot and one time, by the challenge.
struct bw_request {
  __u64 magic;
  __u32 abi;             // BW_REQUEST_ABI
  __u32 verb;            // enum bw_request_verb
  __u64 policy_version;  // of the policy that decides
  __u64 to_version;      // of the one before it, for a rollback; else 0
  __u64 challenge[BW_CHALLENGE_WORDS];
  char policy_name[BW_POLICY_NAME_SIZE];  // of the policy that decides; NUL padded
};

struct bw_order {
  __u64 magic;
  __u32 kind;  // enum bw_order_kind
  __u32 reserved;
  __u64 image;                                // address of BW_IMAGE_SIGNED_SIZE bytes
  __u64 request;                              // address of a bw_request
  __u64 signatures[BW_MAX_ORDER_SIGNATURES];  // addresses of CMS SignedData over either, in DER
  __u32 signature_sizes[BW_MAX_ORDER_SIGNATURES];
  __u32 signature_count;
  __s32 ring;               // serial of a keyring that has the keys, of whomever it is
  struct bw_sealed sealed;  // of the host, see bw_image.sealed
};

// What a refused order gets. One that is taken gets EBADFD, of the call that means nothing.
enum bw_order_error {
  BW_ORDER_UNSIGNED = 126,       // ENOKEY: of the keys that may sign too few have
  BW_ORDER_REJECTED = 129,       // EKEYREJECTED: a signature is not over these bytes
  BW_ORDER_OLDER = 116,          // ESTALE: its version is not above the one that decides
  BW_ORDER_OTHER_NAME = 18,      // EXDEV: of another policy
  BW_ORDER_OTHER_ABI = 93,       // EPROTONOSUPPORT: no image or request of this kernel part
  BW_ORDER_BUSY = 16,            // EBUSY: another order is under way, or awaits its confirmation
  BW_ORDER_NO_ROOM = 28,         // ENOSPC: no slot is free
  BW_ORDER_NOT_RESIDENT = 14,    // EFAULT: its memory is not there; touch it, and try again
  BW_ORDER_NOT_ALLOWED = 13,     // EACCES: the policy that decides names nobody who may sign
  BW_ORDER_EXPIRED = 127,        // EKEYEXPIRED: of another host or boot, or used up
  BW_ORDER_OTHER_VERSION = 71,   // EPROTO: a request about another version than that which decides
  BW_ORDER_BELOW_SEAL = 34,      // ERANGE: the policy before is from before the seal
  BW_ORDER_NOTHING_BEFORE = 61,  // ENODATA: there is no policy before
};

BW_STATIC_ASSERT(sizeof(struct bw_request) == 8 * 8 + BW_POLICY_NAME_SIZE,
                 "bw_request has no padding");
BW_STATIC_ASSERT(sizeof(struct bw_order) == 8 * 8 + 4 * 6 + sizeof(struct bw_sealed), "bw_order");
