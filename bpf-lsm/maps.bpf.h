// What the warden keeps: the policy generations, the provenance of programs, the event stream, and
// the notes that the hooks of one task leave each other within one bpf(2) call.
#pragma once

#include "bpf-lsm/kernel/kernel_memory.bpf.h"

#include <bpf/bpf_tracing.h>

#define BW_HAS_FIELD(kind, type, member) bpf_core_field_exists(kind type, member)
#define BW_HAS_TYPE(kind, type) bpf_core_type_exists(kind type)
#define BW_HAS_VALUE(type, value) bpf_core_enum_value_exists(enum type, value)
#define BW_HAS_FUNCTION(name) (name)  // a weak ksym

#include "bpf-lsm/abi/program.h"
#include "bpf-lsm/abi/tally.h"
#include "bpf-lsm/kernel_has.h"
#include "bpf-lsm/signer.h"

#define ARRAY_ZERO (&(__u32){0})

// What the manager fills and freezes before it flips the control word.
struct image_map {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, struct bw_image);
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, BW_SLOTS);
  __type(key, __u32);
  __array(values, struct image_map);
} generations SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, struct bw_control);
} control SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_PROGRAMS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct bw_program);
} programs SEC(".maps");

// File systems that have ended, and when (CLOCK_BOOTTIME): their numbers are given again.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32);
  __type(value, __u64);
} ended_filesystems SEC(".maps");

// When one ended that found no room there.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} any_filesystem_ended SEC(".maps");

// The addresses of prog->aux of programs on events of tracefs: see probe_files.bpf.h.
struct growing_probe {
  __u32 kind;  // 1 + enum bw_probe_kind
  __u32 on_return;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_PROGRAMS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct growing_probe);
} growing SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_UNJUDGED);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct bw_unjudged);
} unjudged SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 22);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} sequence SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bw_counters);
} counters SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BW_MINUTES);
  __type(key, __u32);
  __type(value, struct bw_minute);
} minutes SEC(".maps");

// The hooks that the manager has attached. It freezes this then; the kernel part does not read it.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BW_MAX_HOOKS);
  __type(key, __u32);
  __type(value, struct bw_attached_hook);
} hooks SEC(".maps");

// For the limit on events of what was allowed: see count_in_window().
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} allowed_second SEC(".maps");

// Where a program is to become active, as far as it can be found out.
struct attachment {
  __u8 route;       // enum bw_route
  __u8 probe;       // 1 + enum bw_probe_kind; 0: none
  __u8 on_return;   // the probe fires on return
  __u8 retargeted;  // `target` is another one than the load named
  __u8 more;        // further targets of this attachment follow
  __u8 told;        // an event tells of it
  __u8 compared;    // and of how the staged policy differs
  __u8 quiet;       // only asked for: no event, no refusal
  __u8 is_alias;    // what `target` names may have another name, too
  // What the kernel makes of it is looked at, too: see attach/watch.bpf.h.
  __u8 watched;
  __u8 shared;       // for the caller shares its file descriptors
  __u8 any_program;  // which descriptor is the program's is not known
  __u8 awaits;       // WATCH_*: evidence that must be there once the call has gone through
  __u8 seen;         // and is
  __u8 grows;        // to an event of tracefs, which takes further probes at any time
  __u8 held_to_end;  // until the call ends nobody may attach to the process
  __u32 attach_type;
  __u32 guard;  // enum bw_cause: what is wrong with the attachment whatever the rules say; or 0
  __u32 program_fd;
  __u32 object_fd;
  __u64 program_aux;  // of the program that was judged
  __u64 types;        // instead: all of these types that the caller holds were; a bit for each
  __u64 object;       // where it goes, as it was judged: the address of a kernel object
  struct bw_name target;
  struct bw_name place;
};

#define MAX_DESTINATIONS 16

// Where a message of netlink puts the programs that it may attach.
struct destination {
  __u64 types;  // a bit for each enum bpf_prog_type
  __u32 ifindex;
  __u32 attach_type;
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

// What the hooks of one task tell each other within one bpf(2) call, and room for what one of them
// works on.
struct task_note {
  __u8 signed_load;  // a load with a signature is under way, its verdict not yet known
  __u8 loader_signature;
  __u8 condemned;  // killed for a race
  __u8 reserved;
  __u32 loader_signer;
  __u8 wanted_key[BW_KEY_ID_SIZE];  // of the signed load: see bw_event
  __u32 wanted_key_length;
  __u32 reserved3;
  __u64 loader_aux;  // != 0: an admitted signed loader runs in this task
  __u32 loader_id;
  __s32 loader_key_serial;
  __u8 loader_digest[BW_DIGEST_SIZE];
  __u64 loader_generation;  // whose slot loader_signer is
  __u64 loader_staged_generation;
  __u32 loader_staged_signer;
  __u32 reserved2;
  __u64 loader_signer_key[BW_DIGEST_SIZE / 8];
  __u64 verified_sig;  // address of the public_key_signature that verified
  __s32 key_serial;
  __u32 padding;
  struct bw_signed_by signed_by;  // of that load
  struct bw_key passing;          // one key of the chain
  struct bw_program draft;        // the load that lsm/bpf_prog_load decides
  __u64 postponed_aux;            // whose event waits for the digest: the draft's; 0: none's
  char postponed_name[BW_PROG_NAME_SIZE];
  char exe[BW_EXE_SIZE];         // for that event, or one of a race: tracing cannot read it
  struct bw_facts staged_facts;  // and as the staged policy sees it
  struct bw_decision staged_decision;
  struct bw_tally tally;                // where the decision under way is counted
  __u64 components[BW_MAX_COMPONENTS];  // addresses of the names in a path, leaf first
  __u8 path[2 * BW_NAME_SIZE];          // room for one component too many
  struct bw_name joined;                // what became of them
  struct attachment attachment;
  struct attachment under_way;  // which what a device takes along interrupts
  struct bw_name file_name;     // that the probes of one attachment are in
  struct bw_name found;         // what name_file() has found
  __u64 net;                    // that the devices of these are in
  __u32 destination_count;      // 0: there is one place, that of the attachment
  __u32 destinations_under_way;
  __u32 reserved4;
  __u32 command;  // of bpf(2), where `call` is that
  __u64 call;     // call_stamp() of the call that the attachment is judged in
  struct destination destinations[MAX_DESTINATIONS];
  // Kept from call to call, for the events of one task tell them over and over.
  struct exe_basis exe_basis;
  struct bw_name exe_path;
  __u64 cgroup_id;  // 0: nothing is kept
  struct bw_name cgroup_path;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct task_note);
} notes SEC(".maps");

static __always_inline struct task_note* task_note(__u64 flags) {
  return bpf_task_storage_get(&notes, bpf_get_current_task_btf(), 0, flags);
}

// Names the type in the object's BTF, which tests/unit/bpf-lsm compares with the manager's.
const struct bw_event* event_type __attribute__((unused));

// ---- Images
// --------------------------------------------------------------------------------------

// Null where the slot is empty, or already another one's.
static __noinline const struct bw_image* image_of(__u64 generation) {
  __u32 slot = generation % BW_SLOTS;
  if (!generation) return 0;
  void* image_map = bpf_map_lookup_elem(&generations, &slot);
  if (!image_map) return 0;
  const struct bw_image* image = bpf_map_lookup_elem(image_map, ARRAY_ZERO);
  if (!image || image->magic != BW_IMAGE_MAGIC || image->abi != BW_IMAGE_ABI) return 0;
  return image->generation == generation ? image : 0;
}

// Past its deadline a policy that nobody has confirmed gives way to the one before.
static __always_inline __u64 deciding_generation(const struct bw_control* word) {
  const __u64 generation = *(volatile const __u64*)&word->generation;
  if (generation != *(volatile const __u64*)&word->unconfirmed) return generation;
  return bpf_ktime_get_boot_ns() < word->confirm_by_ns ? generation : word->fallback;
}

static __always_inline const struct bw_image* active_image(__u64* generation) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  if (!word) return 0;
  *generation = deciding_generation(word);
  return image_of(*generation);
}

static __always_inline const struct bw_image* staged_image(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  return word ? image_of(*(volatile const __u64*)&word->staged) : 0;
}

// Whose keyring is published: not always that of the policy that decides.
static __always_inline const struct bw_image* ring_owner(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  return word ? image_of(*(volatile const __u64*)&word->ring_owner) : 0;
}
