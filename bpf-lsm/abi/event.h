// The event record: one per decision, and one per refusal by the kernel that only a tracing program
// saw. Written by warden.bpf.c into the ring buffers `events` and, of denials, `denials`, read by
// loader/events/event_ring.cpp.
// Change the layout: raise BW_EVENT_ABI.
#pragma once

#include "bpf-lsm/abi/cause.h"
#include "bpf-lsm/abi/image.h"

#define BW_EVENT_ABI 7

enum {
  BW_COMM_SIZE = 16,
  BW_PROG_NAME_SIZE = 16,
  BW_KEY_ID_SIZE = 64,
};

enum bw_hook {
  BW_HOOK_PROG_LOAD = 1,     // lsm/bpf_prog_load
  BW_HOOK_PROG = 2,          // lsm/bpf_prog
  BW_HOOK_MAP_CREATE = 3,    // lsm/bpf_map_create
  BW_HOOK_OBSERVED = 4,      // a tracing program: the kernel refused by itself
  BW_HOOK_KEY = 5,           // lsm/key_permission
  BW_HOOK_STAGED = 6,        // the staged policy would have decided otherwise
  BW_HOOK_ATTACH = 7,        // an attachment or a run: see bw_event.route
  BW_HOOK_TOKEN_CREATE = 8,  // lsm/bpf_token_create
  BW_HOOK_SUM = 9,           // of a sum (abi/summary.h) of which only the cause is known
  BW_HOOK_OWN = 10,          // one of bpfwarden's own objects: see bw_event.place
  BW_HOOK_HARDEN = 11,       // what [harden] closes; bw_event.place[0] is of enum bw_hardening
};

// By which way a program was to become active.
enum bw_route {
  BW_ROUTE_NONE = 0,  // not at all: a load
  BW_ROUTE_LINK_CREATE = 1,
  BW_ROUTE_LINK_UPDATE = 2,
  BW_ROUTE_PROG_ATTACH = 3,
  BW_ROUTE_RAW_TRACEPOINT_OPEN = 4,
  BW_ROUTE_TEST_RUN = 5,
  BW_ROUTE_MAP_UPDATE = 6,  // prog_array, devmap, cpumap, struct_ops
  BW_ROUTE_PERF_EVENT = 7,  // PERF_EVENT_IOC_SET_BPF
  BW_ROUTE_IOCTL = 8,       // of tun and kcm
  BW_ROUTE_SETSOCKOPT = 9,
  BW_ROUTE_NETLINK = 10,
  BW_ROUTE_ITER_CREATE = 11,
  // Attached before: its device got another name, or went into another network namespace.
  BW_ROUTE_DEVICE_RENAMED = 12,
  BW_ROUTE_DEVICE_MOVED = 13,
  // Likewise: its device has joined a bond with XDP, or a block of filters or an action that has
  // it.
  BW_ROUTE_DEVICE_JOINED = 14,
  BW_ROUTE_UNJUDGED = 15,  // one that no hook knows: bw_event.place says which system call
  // How somebody reached for one of bpfwarden's own objects: a descriptor of it, to write or not,
  // by its number or its pin; the pin itself; a program that traces it or replaces a part of it.
  BW_ROUTE_OWN_BY_NUMBER = 16,
  BW_ROUTE_OWN_BY_PIN = 17,
  BW_ROUTE_OWN_WRITABLE_BY_NUMBER = 18,
  BW_ROUTE_OWN_WRITABLE_BY_PIN = 19,
  BW_ROUTE_OWN_PIN_REMOVED = 20,
  BW_ROUTE_OWN_PIN_RENAMED = 21,
  BW_ROUTE_OWN_EXTENDED = 22,
  BW_ROUTE_OWN_BOUND = 23,      // a program, or an iterator, that would write into a map
  BW_ROUTE_OWN_OUTRANKED = 24,  // LSM_CGROUP: attached or detached
  BW_ROUTE_OWN_SET = 25,        // a setting of the kernel, opened to write
  BW_ROUTES,
};

// Who has verified a signature, or refused it.
enum bw_verifier { BW_VERIFIER_NONE, BW_VERIFIER_KERNEL, BW_VERIFIER_BPFWARDEN, BW_VERIFIERS };

struct bw_event {
  __u32 abi;
  __u8 hook;       // enum bw_hook
  __u8 refused;    // 1: the caller got `error`
  __u8 allow;      // what an enforcing policy says
  __u8 mode;       // enum bw_mode in force
  __u64 sequence;  // counts every decision, from 1; a gap is a dropped event
  __u64 time_ns;   // CLOCK_BOOTTIME
  __u64 generation;
  __u64 policy_version;
  __u8 policy_digest[BW_DIGEST_SIZE];
  __s32 error;       // errno that the caller gets, positive; 0 if let through
  __u16 rule;        // BW_NO_RULE unless cause is BW_CAUSE_RULE
  __u8 cause;        // enum bw_cause
  __u8 origin;       // enum bw_origin
  __u8 signature;    // enum bw_signature
  __u8 traits;       // bit n: enum bw_trait
  __u16 signer;      // slot in the image; 0: none or unknown
  __s32 key_serial;  // of the key object that verified; 0: none known
  __u32 prog_type;
  __u32 attach_type;
  __u32 program_id;             // 0 before the kernel has given one
  __u32 loader_id;              // program id of the signed loader, for origin loader
  __u8 digest[BW_DIGEST_SIZE];  // SHA-256 of the instructions as signed; 0 if not yet known
  __u8 loader_digest[BW_DIGEST_SIZE];
  __u64 attach_name[BW_NAME_WORDS];  // bytes, NUL padded
  char program_name[BW_PROG_NAME_SIZE];
  __u32 tgid;
  __u32 pid;
  __u32 uid;
  __u8 active_allow;    // hook staged: what the active policy decided
  __u8 active_refused;  // and whether the caller got an errno
  __u16 active_rule;
  __u64 cgroup_id;
  char comm[BW_COMM_SIZE];
  // The path; of a file that is gone `/usr/bin/a (deleted)`; of what has no path and is told alone,
  // for rules have not seen it, `memfd:NAME (deleted)`. Empty if it could not be resolved.
  char exe[BW_NAME_SIZE];
  char cgroup[BW_NAME_SIZE];        // path; empty if it could not be read or does not fit
  __s64 wall_time;                  // Unix seconds, as the rules' dates were judged by
  __u8 wanted_key[BW_KEY_ID_SIZE];  // hook observed: the id of the key that made the signature and
                                    // that no key of the keyring has, as far as it fits
  __u32 wanted_key_length;          // 0: none
  __u8 route;                       // enum bw_route
  __u8 family;                      // hook attach: 1 + the family; 0: not known
  __u8 verifier;                    // enum bw_verifier: of the signature
  __u8 reserved;
  // hook attach: device or cgroup, NUL padded; empty: not known. Hook own: which object, "map
  // control".
  __u64 place[BW_NAME_WORDS];
  __u64 count;  // 1; of a sum (abi/summary.h): how many denials, and no sequence
};

BW_STATIC_ASSERT(__builtin_offsetof(struct bw_event, policy_digest) == 40, "bw_event header");
BW_STATIC_ASSERT(__builtin_offsetof(struct bw_event, digest) == 104, "bw_event ids");
BW_STATIC_ASSERT(sizeof(struct bw_event) % 8 == 0, "bw_event has no tail padding");
