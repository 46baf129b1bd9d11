// What the hooks of one task tell each other within one system call (map `notes`), by concern: each
// part is written by who is named with it, and read by hooks of the same task that come later.
#pragma once

#include "bpf-lsm/maps.bpf.h"

// Which call of bpf(2), or of another way, the task is in: told from the one before by its stamp.
struct call_note {
  __u64 stamp;    // call_stamp() of the call that the attachment is judged in
  __u32 command;  // of bpf(2), where that is one
  __u32 reserved;
};

// signature_note.seen, of the two functions that are traced. The kernel may skip who traces them.
enum {
  SEEN_KEY = 1,
  SEEN_SIGNERS = 2,
  SEEN_ALL = SEEN_KEY | SEEN_SIGNERS,
};

// A load with a signature, from the system call to the decision: what the kernel has verified of
// it. Evidence of signature_hooks.bpf.h.
struct signature_note {
  __u32 under_way;  // its verdict is not yet known
  __s32 key_serial;
  __u64 verified_sig;               // address of the public_key_signature that verified
  struct bw_signed_by by;           // whose keys stand behind it
  __u32 seen;                       // SEEN_*: asked for what has verified, whatever that is worth
  struct bw_key passing;            // one key of the chain
  __u8 wanted_key[BW_KEY_ID_SIZE];  // that no keyring has: see bw_event
  __u32 wanted_key_length;
  // Of a signature that is verified here (verify/load_signature.bpf.h).
  __s32 keyring;  // that it was verified by
  __u8 verified_here;
  __u8 covers_map;
  __u16 error;  // why it was not: an errno
};

// The signed loader that runs in this task, and what its children inherit of it: written by
// loader_hooks.bpf.h.
struct run_note {
  __u64 aux;  // != 0: it runs
  __u32 id;
  __s32 key_serial;
  __u32 signer;
  __u32 signature;
  __u64 generation;  // whose slot `signer` is
  __u64 staged_generation;
  __u32 staged_signer;
  __u32 verified_here;  // BW_PROGRAM_VERIFIED_HERE, or 0
  __u64 signer_key[BW_DIGEST_SIZE / 8];
  __u8 digest[BW_DIGEST_SIZE];
};

// What an event tells that can no longer be read by the time it is told: of a load whose event
// waits for the end of it (events/report.bpf.h), or of a race, for tracing programs cannot read it.
struct later_note {
  __u64 aux;  // of the program of the draft, whose event waits; 0: none does
  char name[BW_PROG_NAME_SIZE];
  char exe[BW_NAME_SIZE];
};

// Another answer about the same draft: of the staged policy (staged.bpf.h), or about another name
// of the same file (attach/attach.bpf.h).
struct second_note {
  struct bw_facts facts;
  struct bw_decision decision;
};

// Room to put paths together, which the stack has not (host_path.bpf.h, subject.bpf.h).
struct path_note {
  __u64 components[BW_MAX_COMPONENTS];  // addresses of the names in a path, leaf first
  __u8 bytes[2 * BW_NAME_SIZE];         // room for one component too many
  struct bw_name joined;                // what became of them
  struct bw_name found;                 // what name_file() has found
};

// What the path of a task's executable rests on: see subject.bpf.h.
struct exe_basis {
  __u64 file, entry;  // the addresses of its struct file and dentry; 0: nothing is kept
  __u64 hash_len;     // of the entry's name
  __u64 execs;        // of the task
  __u64 generation;
  __u64 ended_ns;  // any_filesystem_ended
  __u64 renames;   // of all files; odd: one is under way
};

// Who the task is, kept from call to call, for its events tell it over and over (subject.bpf.h).
struct subject_note {
  struct exe_basis exe_basis;
  struct bw_name exe_path;
  __u64 cgroup_id;  // 0: nothing is kept
  struct bw_name cgroup_path;
};

// By what the kernel is going to find what was judged, and what it has found: see
// attach/watch.bpf.h.
struct watch_note {
  __u8 on;           // it is looked at
  __u8 shared;       // for the caller shares its file descriptors
  __u8 any_program;  // which descriptor is the program's is not known
  __u8 awaits;       // WATCH_*: evidence that must be there once the call has gone through
  __u8 seen;         // and is
  __u8 held_to_end;  // until the call ends nobody may attach to the process
  __u16 reserved;
  __u32 program_fd;
  __u32 object_fd;
  __u64 program_aux;  // of the program that was judged
  __u64 types;        // instead: all of these types that the caller holds were; a bit for each
  __u64 object;       // where it goes, as it was judged: the address of a kernel object
};

// Where a program is to become active, as far as it can be found out, and what was told of it.
struct attachment {
  __u8 route;       // enum bw_route
  __u8 probe;       // 1 + enum bw_probe_kind; 0: none
  __u8 on_return;   // the probe fires on return
  __u8 retargeted;  // `target` is another one than the load named
  __u8 is_alias;    // what `target` names may have another name, too
  __u8 grows;       // to an event of tracefs, which takes further probes at any time
  __u8 more;        // further targets of this attachment follow
  __u8 told;        // an event tells of it
  __u8 compared;    // and of how the staged policy differs
  __u8 reserved[3];
  __u32 attach_type;
  __u32 guard;  // enum bw_cause: what is wrong with the attachment whatever the rules say; or 0
  struct watch_note watch;
  struct bw_name target;
  struct bw_name place;
};

// Where a message of netlink puts the programs that it may attach.
struct destination {
  __u64 types;  // a bit for each enum bpf_prog_type
  __u32 ifindex;
  __u32 attach_type;
};

#define MAX_DESTINATIONS 16

// The places that one message of netlink names: written by attach/netlink_hooks.bpf.h.
struct destinations_note {
  __u64 net;          // that the devices are in
  __u32 count;        // 0: there is one place, that of the attachment
  __u32 count_saved;  // while a device is judged that is taken along within the same call
  struct destination to[MAX_DESTINATIONS];
};

// What the task was told of for, of bpfwarden's own objects (own_objects.bpf.h).
struct own_note {
  __u64 generation;
  __u32 looks_told;  // two bits for each enum bw_own_kind: by number, by pin
  __u32 reserved;
};

struct task_note {
  struct call_note call;
  struct signature_note signature;
  struct run_note run;
  struct bw_program draft;  // the record that is worked on: of the load, or of the attachment
  struct later_note later;
  struct second_note second;
  struct bw_tally tally;  // where the decision under way is counted
  struct path_note paths;
  struct attachment attachment;        // that is judged
  struct attachment attachment_saved;  // while a device is judged, as `destinations.count_saved`
  struct bw_name probed_file;          // that the probes of the attachment are in
  struct destinations_note destinations;
  struct subject_note subject;
  struct own_note own;
  __u64 made_map;   // address of the last one that a signature may cover (verify/signed_maps.bpf.h)
  __u64 condemned;  // killed for a race (attach/race.bpf.h)
  __u32 tokens;     // a bit for each enum guarded whose hook has let this call pass (seal.bpf.h)
  __u32 reserved;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct task_note);
} notes SEC(".maps");

static __always_inline void forget_signer(struct task_note* note) {
  note->signature.by.evidence = BW_EVIDENCE_NONE;
  note->signature.seen = 0;
  note->signature.wanted_key_length = 0;
}

static __always_inline struct task_note* task_note(__u64 flags) {
  return bpf_task_storage_get(&notes, bpf_get_current_task_btf(), 0, flags);
}
