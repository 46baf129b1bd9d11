// Maps of a signed loader: what it makes in its run, and what it is signed with.
//
// While the run lasts nobody else gets a descriptor of a map that it makes, by whichever way: what
// the loader writes there, before it freezes it, is part of what was signed. Its children may use
// no other maps. What it is signed with serves one run alone, for the run writes into it.
#pragma once

#include "bpf-lsm/note.bpf.h"
#include "bpf-lsm/open_file.bpf.h"

#define MAX_LOADER_MAPS 65536
#define MAX_USED_MAPS 64  // include/linux/bpf.h

struct loader_map {
  __u64 loader_aux;
  __u32 loader_id;  // the program's: an address may be another one's by and by
  __u32 is_metadata;
};

// By the address of the map; until that is freed.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, MAX_LOADER_MAPS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct loader_map);
} loader_maps SEC(".maps");

static __always_inline bool note_loader_map(__u64 map, __u64 loader_aux, __u32 loader_id,
                                            bool is_metadata) {
  const struct loader_map made = {loader_aux, loader_id, is_metadata};
  return !bpf_map_update_elem(&loader_maps, &map, &made, BPF_NOEXIST);
}

// ---- The run ------------------------------------------------------------------------------------

static __always_inline bool read_used_map(struct bpf_prog* prog, __u32 index, __u64* map) {
  return !bpf_probe_read_kernel(map, sizeof(*map), BPF_CORE_READ(prog, aux, used_maps) + index);
}

// Its metadata has served no other run. A second loader with the same map would find in it what the
// first one left: numbers of descriptors that mean something else here.
static __always_inline bool takes_its_metadata(struct bpf_prog* prog, __u32 loader_id) {
  const __u32 count = BPF_CORE_READ(prog, aux, used_map_cnt);
  int i;
  bpf_for(i, 0, (int)count) {
    __u64 map = 0;
    if (i >= MAX_USED_MAPS || !read_used_map(prog, (__u32)i, &map)) return false;
    if (!note_loader_map(map, (__u64)BPF_CORE_READ(prog, aux), loader_id, true)) return false;
  }
  return true;
}

// The mark is taken back at the end of the run. If the kernel skips that, at the next bpf(2) call
// of the task, or with the loader.
static __noinline int end_run(struct task_note* note) {
  if (!note || !note->run.aux) return 0;
  struct bw_program* loader = bpf_map_lookup_elem(&programs, &note->run.aux);
  if (loader) loader->run = BW_RUN_OVER;
  note->run.aux = 0;
  return 0;
}

static __always_inline bool is_running(const struct loader_map* made) {
  const struct bw_program* loader = bpf_map_lookup_elem(&programs, &made->loader_aux);
  return loader && loader->program_id == made->loader_id &&
         *(volatile const __u32*)&loader->run == BW_RUN_UNDER_WAY;
}

// ---- Who gets them ------------------------------------------------------------------------------

// Where nothing is enforced everybody has what there is.
static __always_inline bool keeps_maps(void) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  return !is_asleep() && (!image || bw_enforces(image));
}

// Whether the loader that makes this map runs in another task. Its run has no end that somebody
// could wait for, and who lists maps comes by all the time: for them it is not there yet.
static __noinline bool is_of_others_run(__u64 map) {
  const struct loader_map* made = bpf_map_lookup_elem(&loader_maps, &map);
  if (!made || made->is_metadata || !is_running(made)) return false;
  struct task_note* note = task_note(0);
  return (!note || note->run.aux != made->loader_aux) && keeps_maps();
}

// ---- Who uses them ------------------------------------------------------------------------------

static __always_inline bool is_of_run(__u64 map, __u32 loader_id) {
  const struct loader_map* made = bpf_map_lookup_elem(&loader_maps, &map);
  return made && made->loader_id == loader_id && !made->is_metadata;
}

static __noinline bool uses_maps_of(struct bpf_prog* prog, __u32 loader_id) {
  const __u32 count = BPF_CORE_READ(prog, aux, used_map_cnt);
  int i;
  bpf_for(i, 0, (int)count) {
    __u64 map = 0;
    if (i >= MAX_USED_MAPS || !read_used_map(prog, (__u32)i, &map)) return false;
    if (!is_of_run(map, loader_id)) return false;
  }
  return true;
}

// Whether a child of a signed loader uses no map but what its loader made. Looked at before anybody
// has a descriptor of it: with one, more maps can be bound to it, which it does not use.
static __always_inline bool uses_own_maps(const struct bw_program* known, struct bpf_prog* prog) {
  return known->facts.origin != BW_ORIGIN_LOADER ||
         known->facts.signature == BW_SIGNATURE_UNSIGNED || uses_maps_of(prog, known->loader_id);
}
