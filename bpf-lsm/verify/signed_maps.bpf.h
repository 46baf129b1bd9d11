// The map that a signature covers which is verified here. Exclusive maps of the kernel's (6.18) are
// not enough: before 7.2 one can be within a map of maps, which any program may use.
//
// Only one program can have ever had it. Its shape is one that nobody else's maps have, by a flag
// that means nothing there; when a signed load claims it, it is frozen, and the kernel has no
// reference to it but that of one descriptor: no program, no map of maps, no iterator. From then on
// every other program that would use it is refused, and every one that uses maps of such maps.
#pragma once

#include "bpf-lsm/abi/load_signature.h"
#include "bpf-lsm/note.bpf.h"
#include "bpf-lsm/verify/pkcs7.bpf.h"

#define MAX_SIGNED_MAPS 65536

struct signed_map {
  __u64 creator;  // address of the task that made it
  __u64 owner;    // prog->aux of the load that has claimed it; 0: none yet
};

// By the address of the map; until that is freed.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, MAX_SIGNED_MAPS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct signed_map);
} signed_maps SEC(".maps");

// The map that a program has claimed, by the address of prog->aux; until that is freed. Without it
// a claim that outlived its program would be that of the next one at the same address.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_PROGRAMS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, __u64);
} claims SEC(".maps");

static __always_inline bool has_signed_shape(const struct bpf_map* map) {
  return BPF_CORE_READ(map, map_type) == BPF_MAP_TYPE_ARRAY &&
         BPF_CORE_READ(map, map_flags) == BPF_F_NUMA_NODE && BPF_CORE_READ(map, max_entries) == 1;
}

// False: there is no room to note it.
static __always_inline bool note_signed_map(struct bpf_map* map) {
  const struct signed_map made = {.creator = (__u64)bpf_get_current_task_btf()};
  const __u64 key = (__u64)map;
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note || bpf_map_update_elem(&signed_maps, &key, &made, BPF_ANY)) return false;
  note->made_map = key;
  return true;
}

static __always_inline bool is_claimed(__u64 map) {
  const struct signed_map* made = bpf_map_lookup_elem(&signed_maps, &map);
  return made && made->owner;
}

// Of a frozen map: nobody writes it any more, neither by a call that is under way, nor from within
// the kernel.
static __always_inline bool is_at_rest(const struct bpf_map* map) {
  return !BPF_CORE_READ(map, writecnt.counter) && BPF_CORE_READ(map, refcnt.counter) == 1 &&
         BPF_CORE_READ(map, usercnt.counter) == 1;
}

// The map that this task made last becomes that of the program. 0, or an errno.
static __always_inline int claim_made_map(struct task_note* note, __u64 aux) {
  const __u64 key = note->made_map;
  struct signed_map* made = bpf_map_lookup_elem(&signed_maps, &key);
  if (!made || made->creator != (__u64)bpf_get_current_task_btf()) return BW_LOAD_NO_MAP;
  const struct bpf_map* map = bpf_core_cast((const void*)key, struct bpf_map);
  if (!BPF_CORE_READ(map, refcnt.counter)) return BW_LOAD_NO_MAP;  // it is about to be freed
  if (!BPF_CORE_READ(map, frozen)) return BW_LOAD_OPEN_MAP;
  // First the claim: who wants to use it from here on is refused.
  if (__sync_val_compare_and_swap(&made->owner, 0, aux)) return BW_LOAD_OPEN_MAP;
  if (is_at_rest(map))
    return bpf_map_update_elem(&claims, &aux, &key, BPF_ANY) ? BW_LOAD_NO_ROOM : 0;
  __sync_val_compare_and_swap(&made->owner, aux, 0);
  return BW_LOAD_SHARED_MAP;
}

// Of a load that is refused and may be tried again, with the same map.
static __always_inline void give_map_back(__u64 aux) {
  const __u64* claimed = bpf_map_lookup_elem(&claims, &aux);
  if (!claimed) return;
  const __u64 key = *claimed;
  struct signed_map* made = bpf_map_lookup_elem(&signed_maps, &key);
  bpf_map_delete_elem(&claims, &aux);
  if (made) __sync_val_compare_and_swap(&made->owner, aux, 0);
}

// ---- Who uses them ------------------------------------------------------------------------------

static __always_inline bool is_of_other(const struct bpf_map* map, __u64 aux) {
  const __u64 key = (__u64)map;
  const struct signed_map* made = bpf_map_lookup_elem(&signed_maps, &key);
  if (made && made->owner && made->owner != aux) return true;
  const struct bpf_map* inner = BPF_CORE_READ(map, inner_map_meta);
  return inner && has_signed_shape(inner);
}

// A global function, for the stack of its caller is used up. `address` is that of prog->aux.
// Whether it would use a map that was signed with another program.
__noinline int uses_signed_map(__u64 address) {
  const struct bpf_prog_aux* aux = bpf_core_cast((const void*)address, struct bpf_prog_aux);
  struct bpf_map** maps = aux->used_maps;
  int i;
  bpf_for(i, 0, (int)aux->used_map_cnt) {
    struct bpf_map* map = 0;
    if (bpf_probe_read_kernel(&map, sizeof(map), maps + i)) return 1;
    if (is_of_other(map, address)) return 1;
  }
  return 0;
}

// Whether a program that was verified here uses exactly what its signature covers.
static __always_inline bool uses_what_is_signed(struct bpf_prog* prog, bool covers_map) {
  struct bpf_map* map = 0;
  if (BPF_CORE_READ(prog, aux, used_map_cnt) != (covers_map ? 1 : 0)) return false;
  if (!covers_map) return true;
  if (bpf_probe_read_kernel(&map, sizeof(map), BPF_CORE_READ(prog, aux, used_maps))) return false;
  const __u64 key = (__u64)map, aux = (__u64)BPF_CORE_READ(prog, aux);
  const struct signed_map* made = bpf_map_lookup_elem(&signed_maps, &key);
  const __u64* claimed = bpf_map_lookup_elem(&claims, &aux);
  return made && made->owner == aux && claimed && *claimed == key;
}
