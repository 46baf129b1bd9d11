// What the warden keeps in the kernel beside the image: the control word, one record per admitted
// program, and the counters. Written by warden.bpf.c (control: by the manager), read by the
// manager.
#pragma once

#include "bpf-lsm/abi/event.h"
#include "bpf-lsm/decide.h"

enum {
  BW_SLOTS =
      8,  // generation g lives in slot g % BW_SLOTS; numbers whose slot is in use are left out
  BW_MAX_PROGRAMS = 65536,
  BW_MAX_UNJUDGED = 1024,
};

// The map `control`, one element. Each change of who decides is one aligned 8-byte store: of
// `generation`, or of `unconfirmed`. What else it needs is written before, while it means nothing.
struct bw_control {
  __u64 generation;   // the active one; 0: none, every load is refused
  __u64 attached_ns;  // CLOCK_BOOTTIME when the last hook was in place; older programs are resident
  __u64 unconfirmed;  // this generation decides only until confirm_by_ns; 0: none
  __u64 confirm_by_ns;    // CLOCK_BOOTTIME
  __u64 fallback;         // decides from confirm_by_ns on
  __u64 staged;           // decides nothing, is asked beside the active one; 0: none
  __u64 ring_owner;       // whose image has the serials of the published keyring
  __u64 previous;         // for the manager: what `rollback` brings back; 0: nothing
  __u64 last;             // for the manager: the highest number given so far
  __u64 active_since;     // for people: Unix seconds when `generation` was made active
  __u64 staged_since;     // likewise
  __u64 active_since_ns;  // CLOCK_BOOTTIME when `generation` was made active
  __u64 sealed_ns;        // CLOCK_BOOTTIME; 0: not sealed
  // Of orders (abi/order.h), written by the kernel part; the second by the seal.
  __u64 released_ns;        // CLOCK_BOOTTIME, see BW_RELEASED; 0: not released
  __u64 sealed_generation;  // decided when the host was sealed: none before it comes back
  __u64 staged_signed;      // this generation was staged by a signed order; 0: none
  __u64 taken_back;         // no version up to this one is taken again; 0: none
  __u64 challenge[4];       // that the next request must have; the third word is 0: there is none
};

// The map `unjudged`, by the address of prog->aux: programs that became active by a way that no
// hook judged. An entry ends with its program.
struct bw_unjudged {
  __u64 time_ns;  // CLOCK_BOOTTIME, of the last time
  __u64 count;
  __u64 arguments[2];  // the first two of the system call
  __u32 program_id;
  __u32 system_call;  // its number
};

// bw_program.flags
enum {
  BW_PROGRAM_SIGNED = 1,          // this very load carried a verified signature
  BW_PROGRAM_UNCOMPARED = 2,      // the staged policy asks for its digest, which was not yet known
  BW_PROGRAM_NO_DIGEST = 4,       // its digest was not yet known at the load
  BW_PROGRAM_OPEN = 8,            // which the policy asked for
  BW_PROGRAM_NO_TARGET = 16,      // its load named no target or attach point to judge
  BW_PROGRAM_VERIFIED_HERE = 32,  // its signature, or that of its loader, by bpfwarden
  BW_PROGRAM_SUCCESSOR = 64,      // of a kernel part that is to take over (successor.bpf.h)
};

// bw_program.standing
enum {
  BW_STANDING_CONFIRMED = 1,  // lsm/bpf_prog has admitted it for the task that loads it
  BW_STANDING_REFUSED = 2,    // lsm/bpf_prog has refused it, and will: see warden_prog
};

// A loader has one run.
enum bw_run { BW_RUN_DUE = 0, BW_RUN_UNDER_WAY = 1, BW_RUN_OVER = 2 };

// Provenance, keyed by the address of prog->aux: prog itself moves while it is verified.
struct bw_program {
  struct bw_facts facts;
  struct bw_decision decision;
  __u64 generation;  // that decided
  __u64 policy_version;
  __s32 key_serial;
  __u32 program_id;  // 0 until confirmed
  __u32 loader_id;
  __u8 flags;
  __u8 route;          // of the attachment that is judged, enum bw_route
  __u8 family;         // likewise: 1 + the family; 0: not known
  __u8 own_maps;       // of a signed loader's child: 1 once seen that it uses none that others made
  __u32 run;           // enum bw_run, of a loader; two may try at once to begin it
  __u32 standing;      // BW_STANDING_*; set atomically, several may look at once
  __u64 loading_task;  // address of the task that loads it: only its look confirms
  __u8 loader_digest[BW_DIGEST_SIZE];
  // Slots and rule numbers end with their generation; these do not.
  __u64 signer_key[BW_DIGEST_SIZE / 8];  // bw_signer.key_digest of the key that signed, or 0
  char signer_name[BW_POLICY_NAME_SIZE];
  struct bw_rule rule;      // that admitted it; an empty name: none
  __u64 staged_generation;  // whose slot staged_signer is
  __u32 staged_signer;
  __u32 raced;  // 1 + enum bw_route, once an attachment of it was another one than was judged
};

// The per-CPU map `counters`, one element.
struct bw_counters {
  __u64 decided;
  __u64 refused;     // the caller got an errno
  __u64 would_deny;  // let through: in audit mode, or attached before its device was moved
  __u64 observed;    // refusals by the kernel itself
  __u64 dropped;     // events that found no room
  __u64 quiet;       // admitted by a rule that logs nothing: no event, no sequence number
  __u64 staged;      // the generation that the next two are about
  __u64 agreed;      // decisions of the active policy that the staged one shares
  __u64 differed;    // and those that it does not; each is an event besides
  __u64 postponed;   // decided; their event waits for the verifier
  __u64 withheld;    // allowed, and the policy wants no event of it, or no more in this second
  __u64 summed;      // denials that are told in sums: see abi/summary.h
};

enum {
  BW_MAX_HOOKS = 64,
  BW_HOOK_NAME_SIZE = 40,
};

// One element of the map `hooks`: what was there when all were attached. One is gone when the
// kernel has no link of this number any more, wherever that was pinned.
struct bw_attached_hook {
  __u32 link_id;                 // 0: a guard, which no link holds
  __u32 program_id;              // 0: no more hooks
  char name[BW_HOOK_NAME_SIZE];  // of the program: "warden_prog_load"
};

enum {
  BW_MINUTES = 61,  // an hour, and the minute that has just begun
};

// The per-CPU map `minutes`: minute m of CLOCK_BOOTTIME lives in element m % BW_MINUTES. Each word
// holds the number of the minute it is about in its upper half, the count in its lower.
struct bw_minute {
  __u64 refused;
  __u64 would_deny;
  __u64 observed;
};

BW_STATIC_ASSERT(sizeof(struct bw_name) == 136, "bw_name");
BW_STATIC_ASSERT(sizeof(struct bw_facts) == 32 + 6 * 136 + 6 * 4, "bw_facts");
BW_STATIC_ASSERT(sizeof(struct bw_decision) == 8, "bw_decision");
BW_STATIC_ASSERT(sizeof(struct bw_attached_hook) == 48, "bw_attached_hook");
BW_STATIC_ASSERT(sizeof(struct bw_program) ==
                     sizeof(struct bw_facts) + 8 + 16 + 24 + 8 + 32 + 32 + 64 + 104 + 16,
                 "bw_program");
