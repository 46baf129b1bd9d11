// The policy image: one compiled policy, as the manager writes it and the kernel part reads it.
//
// It is a flat value of fixed size, the only element of a frozen array map. Every dimension of a
// decision looks up a bit vector (bit i stands for rule i), so a decision takes one step for each
// 64 rules. Offsets and sizes are asserted below; tests/unit/bpf-lsm compares them with the BTF of
// the built object. All integers are little-endian, as on every host we support.
//
// Written only by policy/image/compile.cpp, read by decide.h. Change the layout: raise
// BW_IMAGE_ABI.
#pragma once

#include "bpf-lsm/abi/types.h"

#define BW_IMAGE_MAGIC 0x4745444e45445257ULL
#define BW_IMAGE_ABI 15

enum {
  BW_MAX_RULES = 1024,
  BW_VECTOR_WORDS = BW_MAX_RULES / 64,
  BW_NO_RULE = 0xffff,

  BW_MAX_SEALED = 254,  // certificates in bpfwarden's keyring
  BW_MAX_SIGNERS = 64,  // slot 0: no signer, or one that the policy does not know
  BW_SIGNER_UNKNOWN = 0,
  BW_SIGNER_BUILTIN = 1,  // system keyrings: any key in them that has no slot of its own
  BW_SIGNER_SECONDARY = 2,
  BW_SIGNER_PLATFORM = 3,
  BW_SIGNER_BPF = 4,  // `.bpf`, of kernels after 7.3
  BW_SIGNER_FIRST_KEY = 5,
  BW_KEY_SIZE = 1088,  // RSA-8192 is 1,038 bytes
  BW_KEY_WORDS = BW_KEY_SIZE / 8,
  BW_ALGORITHM_SIZE = 32,

  BW_PROG_TYPES = 64,     // enum bpf_prog_type ends at 33 in Linux 7.3
  BW_ATTACH_TYPES = 128,  // enum bpf_attach_type ends at 62
  BW_MAX_FAMILIES = 128,
  BW_MAX_TIMES = 256,

  BW_PATTERN_SLOTS = 16384,  // open addressing, at most half full
  BW_MAX_PATTERNS = BW_PATTERN_SLOTS / 2,
  BW_MAX_PROBES = 16,  // the compiler picks a seed under which no run is longer
  BW_MAX_VECTORS = 8192,
  BW_VECTOR_NONE = 0,
  BW_VECTOR_ALL = 1,
  BW_NAME_SIZE = 128,  // with a terminating NUL
  BW_NAME_WORDS = BW_NAME_SIZE / 8,
  BW_MAX_COMPONENTS = 16,  // of a path that can be read
  BW_RULE_NAME_SIZE = 96,
  BW_POLICY_NAME_SIZE = 64,
  BW_DIGEST_SIZE = 32,

  BW_MAX_MOUNTS = 256,
};

#define BW_LOG_ALL 0xffffffffU

// What a decision looks up by name. A digest is its 32 bytes, a uid its 4.
enum bw_dimension {
  BW_NAME_TARGET = 0,  // what follows the family: `tcp_connect` of fentry/tcp_connect
  BW_NAME_PLACE = 1,   // what follows `@`, known only at attach: a device, a cgroup
  BW_NAME_EXE = 2,     // who loads
  BW_NAME_CGROUP = 3,
  BW_NAME_UID = 4,
  BW_NAME_DIGEST = 5,
  BW_NAMES = 6,
};

// Names of different kinds live in one table; their class keeps them apart.
enum bw_class {
  BW_CLASS_UNKNOWN = 0,
  BW_LOAD_CLASSES = 256,   // 1 to 255: attach points that BPF_PROG_LOAD cannot tell apart
  BW_CLASS_ATTACH = 256,   // plus the family: targets known only at attach
  BW_CLASS_PLACE = 384,    // plus the family
  BW_CLASS_SUBJECT = 512,  // plus bw_dimension, from BW_NAME_EXE on
  BW_CLASS_DENIED_DIGEST = 520,
  BW_CLASSES = 1024,
};

// What a signature covers, weakest first (KERNEL-FACTS section 2).
enum bw_signature {
  BW_SIGNATURE_UNSIGNED = 0,
  BW_SIGNATURE_PROG_ONLY = 1,
  BW_SIGNATURE_PROG_USED_MAPS = 2,
  BW_SIGNATURES = 3,
};

enum bw_mode {
  BW_MODE_AUDIT = 0,
  BW_MODE_ENFORCE = 1,
};

// Where a program comes from.
enum bw_origin {
  BW_ORIGIN_USER = 0,
  BW_ORIGIN_LOADER = 1,    // loaded by a running, admitted signed loader; inherits its signature
  BW_ORIGIN_KERNEL = 2,    // kernel == true outside of such a run
  BW_ORIGIN_RESIDENT = 3,  // there before the warden
  BW_ORIGINS = 4,
};

// Yes-or-no facts of a program.
enum bw_trait {
  BW_TRAIT_SLEEPABLE = 0,       // BPF_F_SLEEPABLE
  BW_TRAIT_DELEGATED = 1,       // loaded with a BPF token
  BW_TRAIT_GPL_COMPATIBLE = 2,  // its license, as the kernel reads it
  BW_TRAITS = 3,
};

// Attachments of BPF_PROG_TYPE_KPROBE, which its load cannot tell apart.
enum bw_probe_kind {
  BW_PROBE_KPROBE = 0,
  BW_PROBE_UPROBE = 1,
  BW_PROBE_KPROBE_MULTI = 2,
  BW_PROBE_UPROBE_MULTI = 3,
  BW_PROBE_KPROBE_SESSION = 4,
  BW_PROBE_UPROBE_SESSION = 5,
  BW_PROBE_KINDS = 6,
};

struct bw_vector {
  __u64 words[BW_VECTOR_WORDS];
};

// bw_class_info.flags
enum {
  BW_CLASS_NAMED = 1,   // the exact BTF target is known at load
  BW_CLASS_LOADER = 2,  // BPF_PROG_TYPE_SYSCALL: a signed loader is judged by what its key may load
  BW_CLASS_PATTERNS = 4,  // some pattern is about a name of this class
};

// Two sets of rules, as indices into vectors.
struct bw_match_sets {
  __u16 sure;  // match for certain
  __u16 may;   // may match, once all is known; those of `sure` included
};

struct bw_class_info {
  __u32 flags;
  struct bw_match_sets other;    // for a name that no pattern fits
  struct bw_match_sets unknown;  // for a name that is not known, not yet or not at all
  __u32 reserved;
  __u64 prefix_lengths[BW_NAME_WORDS / 8];  // bit n: there is a prefix of n bytes
};

// Names: exact ones, and prefixes (a trailing `*` in the policy), the empty one excepted.
// A longer prefix carries the bits of the shorter ones, so the first hit is the whole answer.
struct bw_pattern {
  __u64 hash;  // 0: free slot
  __u16 name_class;
  __u8 is_prefix;
  __u8 length;  // of name, without NUL
  struct bw_match_sets rules;
  __u64 name[BW_NAME_WORDS];  // bytes, padded with NUL
};

// bw_signer.kind
enum {
  BW_SIGNER_KEY = 0,      // the key itself signed
  BW_SIGNER_ISSUER = 1,   // it issued, directly or not, the certificate of the key that signed
  BW_SIGNER_REVOKED = 2,  // trusted as little as an unknown one, whoever issued it
};

// Who may have signed: a system keyring, or one public key. The key's own bytes are compared, not
// the serial of a key object and not an identifier that root could choose (docs/adr/0001).
struct bw_signer {
  __u32 key_length;  // bytes of key; 0 for a system keyring
  __u16 kind;
  __u16 keyring;                           // the slot of the system keyring it must be in; 0: none
  __u64 key[BW_KEY_WORDS];                 // struct public_key::key
  __u64 algorithm[BW_ALGORITHM_SIZE / 8];  // struct public_key::pkey_algo, NUL padded
  char name[BW_POLICY_NAME_SIZE];          // for people: the policy's name of it
  __s64 not_after;  // for people: when its last certificate ends, Unix seconds; 0: never
  __u8 key_digest[BW_DIGEST_SIZE];  // SHA-256 of `key`: the same in every generation
  __u64 key_hash;                   // of `key`, see bw_hash_key_word()
};

// Serials of bpfwarden's keyring and of the keys in it. They change with every apply and belong to
// no decision; the manager fills them in when it publishes.
struct bw_sealed {
  __s32 ring;
  __u32 key_count;
  __s32 keys[BW_MAX_SEALED];
};

struct bw_rule {
  char name[BW_RULE_NAME_SIZE];
  __u32 line;  // in the policy file, from 1
  __u32 file;  // 0: the policy itself, else the number of the drop-in
};

// From `from` on these rules are in force, as far as dates go.
struct bw_period {
  __s64 from;  // Unix seconds
  struct bw_vector rules;
};

// A part of a file system, and the folder of the host where it was mounted when the policy was
// published; what is mounted over is left out. The shortest paths on the host come first. Words are
// NUL padded; the empty path is `/`.
struct bw_mount {
  __u32 device;  // super_block.s_dev
  __u16 root_length;
  __u16 point_length;
  __u64 root[BW_NAME_WORDS];   // in the file system
  __u64 point[BW_NAME_WORDS];  // on the host
};

// bw_image.flags: which facts the rules ask for, so that no other is gathered, and settings.
enum {
  BW_IMAGE_EXE = 1,
  BW_IMAGE_CGROUP = 2,
  BW_IMAGE_DIGEST = 4,
  BW_IMAGE_ATTACH = 8,  // some rules can be decided only at attach
  // Callers that share their file descriptors may attach, and are watched:
  BW_IMAGE_DETECT = 16,       // what no rule decides
  BW_IMAGE_DETECT_SOME = 32,  // that, or what some rule admits; see `detect`
  BW_IMAGE_NO_TOKENS = 64,    // no BPF token may be made
  BW_IMAGE_SEAL = 128,        // the host is sealed once the policy is confirmed
};

struct bw_image {
  __u64 magic;
  __u32 abi;
  __u32 size;  // sizeof(struct bw_image)
  __u64 policy_version;
  __u64 hash_seed;
  __u32 rule_count;
  __u32 signer_count;                  // slots in use, the four reserved ones included
  __u32 mode;                          // enum bw_mode
  __u32 default_allow;                 // 0 or 1
  __u8 policy_digest[BW_DIGEST_SIZE];  // SHA-256 of the policy's files and certificates
  char policy_name[BW_POLICY_NAME_SIZE];
  __u32 flags;         // BW_IMAGE_*
  __u32 period_count;  // at least 1; the first begins at the beginning of time

  struct bw_vector allow;      // the rules whose action is allow or load-only
  struct bw_vector load_only;  // of these, the ones that refuse at attach
  struct bw_vector audit;      // rules with a mode of their own
  struct bw_vector enforce;
  struct bw_vector keyed;                     // rules with signed-by
  struct bw_vector quiet;                     // rules that log nothing they admit
  struct bw_vector signature[BW_SIGNATURES];  // rules content with that signature
  struct bw_vector signer[BW_MAX_SIGNERS];    // rules that the signer satisfies
  struct bw_vector origin[BW_ORIGINS];
  struct bw_vector trait[BW_TRAITS][2];
  struct bw_period periods[BW_MAX_TIMES];

  __u8 class_of[BW_PROG_TYPES][BW_ATTACH_TYPES];
  struct bw_class_info classes[BW_CLASSES];
  struct bw_pattern patterns[BW_PATTERN_SLOTS];
  struct bw_vector vectors[BW_MAX_VECTORS];
  struct bw_signer signers[BW_MAX_SIGNERS];
  struct bw_rule rules[BW_MAX_RULES];
  __u32 log_allowed;  // events of allowed decisions per second, or BW_LOG_ALL

  // Who may sign the policy that replaces this one on a sealed host: a bit for each slot of
  // `signers`, and how many of them have to. No bit: nobody may.
  __u32 policy_signatures;
  __u64 policy_signers;
  __u32 confirm_within_s;  // of a signed policy: it awaits its confirmation for that long; or 0
  __u32 reserved1;
  __u64 harden;  // a bit for each enum bw_hardening (abi/harden.h) that is closed

  // 1 + the family at attach; 0: none. By the attach type that the attachment names, else by
  // expected_attach_type. Probes have a table of their own: kind, and 1 if it fires on return.
  __u8 family_of[BW_PROG_TYPES][BW_ATTACH_TYPES];
  __u8 family_of_probe[BW_PROBE_KINDS][2];
  __u8 reserved2[4];
  struct bw_vector detect;  // rules whose multithreaded-attach is `detect`

  // ---- Of the host: filled in when it is published, and not among the bytes that are signed
  struct bw_sealed sealed;
  __u64 generation;   // a slot that holds another one is not read
  __u32 mount_count;  // what files are named by
  __u32 reserved;
  __u64 mounts_read_ns;  // CLOCK_BOOTTIME
  struct bw_mount mounts[BW_MAX_MOUNTS];
};

#define BW_IMAGE_SIGNED_SIZE __builtin_offsetof(struct bw_image, sealed)

BW_STATIC_ASSERT(sizeof(struct bw_vector) == 128, "bw_vector");
BW_STATIC_ASSERT(sizeof(struct bw_pattern) == 144, "bw_pattern");
BW_STATIC_ASSERT(sizeof(struct bw_signer) == 8 + 1088 + 32 + 64 + 8 + 32 + 8, "bw_signer");
BW_STATIC_ASSERT(sizeof(struct bw_rule) == 104, "bw_rule");
BW_STATIC_ASSERT(__builtin_offsetof(struct bw_image, policy_digest) == 48, "bw_image header");
BW_STATIC_ASSERT(__builtin_offsetof(struct bw_image, allow) == 152, "bw_image vectors");
BW_STATIC_ASSERT(sizeof(struct bw_class_info) == 32, "bw_class_info");
BW_STATIC_ASSERT(sizeof(struct bw_period) == 136, "bw_period");
BW_STATIC_ASSERT(sizeof(struct bw_mount) == 264, "bw_mount");
BW_STATIC_ASSERT(__builtin_offsetof(struct bw_image, periods) == 152 + 128 * (6 + 3 + 64 + 4 + 6),
                 "bw_image periods");
BW_STATIC_ASSERT(sizeof(struct bw_image) % 8 == 0, "bw_image has no tail padding");
