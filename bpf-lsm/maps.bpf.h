// What the warden keeps: the policy generations, the provenance of programs, the event stream. What
// the hooks of one task tell each other is in note.bpf.h.
#pragma once

#include "bpf-lsm/kernel/kernel_memory.bpf.h"

#include <bpf/bpf_tracing.h>

#define BW_HAS_FIELD(kind, type, member) bpf_core_field_exists(kind type, member)
#define BW_HAS_TYPE(kind, type) bpf_core_type_exists(kind type)
#define BW_HAS_VALUE(type, value) bpf_core_enum_value_exists(enum type, value)
#define BW_HAS_FUNCTION(name) (name)  // a weak ksym

#include "bpf-lsm/abi/own.h"
#include "bpf-lsm/abi/part.h"
#include "bpf-lsm/abi/program.h"
#include "bpf-lsm/abi/tally.h"
#include "bpf-lsm/kernel_has.h"
#include "bpf-lsm/signer.h"

#define ARRAY_ZERO (&(__u32){0})

// What the manager fills and freezes before it flips the control word; or, of a signed policy, the
// kernel part (order.bpf.h), into one that was frozen empty.
struct image_map {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
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

// Filled and frozen by the manager. The kernel part does not read it.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bw_part);
} part SEC(".maps");

// For the limit on events of what was allowed: see count_in_window().
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} allowed_second SEC(".maps");

// See own_objects.bpf.h.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_OWN);
  __type(key, struct bw_own_key);
  __type(value, struct bw_own);
} own SEC(".maps");

// See successor.bpf.h, and what ends a seal: seal/request.bpf.h.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bw_successor);
} successor SEC(".maps");

// Names the type in the object's BTF, which tests/unit/bpf-lsm compares with the manager's.
const struct bw_event* event_type __attribute__((unused));

// ---- Images
// --------------------------------------------------------------------------------------

// Null for what is another one's.
static __always_inline const struct bw_own* own_object(enum bw_own_kind kind, __u32 id) {
  const struct bw_own_key key = {kind, id};
  return bpf_map_lookup_elem(&own, &key);
}

static __always_inline bool control_is_frozen(void) {
  return ((const struct bpf_map*)&control)->frozen;
}

// Another kernel part decides, or by a signed order none any more (seal/request.bpf.h): this one
// refuses nothing and tells nothing, and goes on noting what it would need. Nobody puts that of a
// sealed host to sleep.
static __always_inline bool is_asleep(void) {
  const struct bw_successor* other = bpf_map_lookup_elem(&successor, ARRAY_ZERO);
  if (!other || !other->is_asleep) return false;
  return other->is_asleep == BW_RELEASED || !control_is_frozen();
}

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

static __always_inline __u64 active_generation(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  return word ? deciding_generation(word) : 0;
}

static __always_inline const struct bw_image* active_image(__u64* generation) {
  *generation = active_generation();
  return image_of(*generation);
}

static __always_inline const struct bw_image* staged_image(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  const __u64 staged = word ? *(volatile const __u64*)&word->staged : 0;
  return staged && !is_asleep() ? image_of(staged) : 0;
}

// Whose keyring is published: not always that of the policy that decides.
static __always_inline const struct bw_image* ring_owner(void) {
  const struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  return word ? image_of(*(volatile const __u64*)&word->ring_owner) : 0;
}
