// Who reaches for bpfwarden's own programs, maps, links and pins is told of, whatever the mode; it
// is refused nothing before the host is sealed. The manager's own work is not told of: it is known
// by its executable, and so is who adds one to `managers`.
#pragma once

#include "bpf-lsm/abi/own.h"
#include "bpf-lsm/provenance.bpf.h"
#include "bpf-lsm/seal/seal.bpf.h"
#include "bpf-lsm/system_call.bpf.h"
#include "bpf-lsm/verify/signed_maps.bpf.h"

#define BPF_FS_MAGIC 0xcafe4a11
#define PROC_SUPER_MAGIC 0x9fa0

// Of those maps that a program could write; the value is the number of one.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_OWN);
  __type(key, struct bw_own_shape);
  __type(value, __u32);
} own_shapes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_MANAGERS);
  __type(key, struct bw_manager);
  __type(value, __u32);
} managers SEC(".maps");

extern const void bpf_prog_iops __ksym __weak;
extern const void bpf_map_iops __ksym __weak;
extern const void bpf_link_iops __ksym __weak;

static __always_inline bool is_manager(void) {
  const struct file* exe = BPF_CORE_READ(bpf_get_current_task_btf(), mm, exe_file);
  struct bw_manager key = {};
  if (!exe) return false;
  key.inode = BPF_CORE_READ(exe, f_inode, i_ino);
  key.device = BPF_CORE_READ(exe, f_inode, i_sb, s_dev);
  return bpf_map_lookup_elem(&managers, &key);
}

// ---- Telling ------------------------------------------------------------------------------------

// Who lists all programs of a host comes by ours as well: of what only looks, one event is enough
// for each kind in a task, until another policy decides.
static __always_inline bool is_told(struct task_note* note, __u32 kind, __u32 route,
                                    __u64 generation) {
  const bool looks = route == BW_ROUTE_OWN_BY_NUMBER || route == BW_ROUTE_OWN_BY_PIN;
  const __u32 bit = 1U << (((kind & 7) << 1) | (route == BW_ROUTE_OWN_BY_PIN));
  if (note->own.generation != generation) note->own.looks_told = 0;
  note->own.generation = generation;
  if (looks && (note->own.looks_told & bit)) return true;
  if (looks) note->own.looks_told |= bit;
  return false;
}

// `text`: of BW_OWN_NAME_SIZE bytes, aligned to 4: byte by byte they would go over the stack.
static __always_inline void name_own(struct bw_program* record, const char* text) {
  struct bw_name* name = &record->facts.names[BW_NAME_PLACE];
  __builtin_memcpy(name->bytes, __builtin_assume_aligned(text, 4), BW_OWN_NAME_SIZE);
  name->length = BW_OWN_NAME_SIZE;
  name->known = 1;
}

// What is refused is told as any denial is. Of the rest one event, counted as decided: nobody would
// be denied anything by another mode.
static __always_inline void report_touch(struct task_note* note, const struct bw_image* image) {
  struct bw_program* record = &note->draft;
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (bw_refused(&record->decision)) {
    report_draft(note, BW_HOOK_OWN, record->generation, 0, BW_MODE_ENFORCE);
    return;
  }
  tally(note, record);
  if (now) add_one(&now->decided);
  struct bw_event* event =
      begin_event(BW_HOOK_OWN, record->generation, &record->decision, 0, SUM_DRAFT);
  if (!event) return;
  describe_load(event, note, record, image, 0);
  end_event(event);
}

// What the event tells, into note->draft. Not inlined: before reach_own() there is little room left
// on the stack, and after it much is called.
static __noinline int draft_touch(struct task_note* note, __u32 kind, __u32 id, __u32 route,
                                  __u32 mode) {
  const struct bw_own* object = own_object(kind, id);
  struct bw_program* record = object ? new_draft(note) : 0;
  const struct bw_image* image = record ? active_image(&record->generation) : 0;
  if (!image) return 0;
  name_own(record, object->name);
  record->route = route;
  if (kind == BW_OWN_PROGRAM) record->program_id = id;
  draft_denial(record, image, BW_CAUSE_OWN_OBJECT_TOUCHED, mode);
  return 1;
}

// Whether there is somebody to tell of.
static __noinline int is_to_be_told(__u32 kind, __u32 id, __u32 route) {
  if (!own_object(kind, id) || is_manager()) return 0;
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  __u64 generation = 0;
  return note && active_image(&generation) && !is_asleep() &&
         !is_told(note, kind, route, generation);
}

// Once the host is sealed nobody gets more than a look at what tools read, and what they have to
// write. A pinned link's descriptor no hook can refuse, and nothing can be done with it: the kernel
// detaches, and updates, no link of ours.
static __noinline int is_out_of_reach(__u32 kind, __u32 id, __u32 route) {
  const struct bw_own* object = own_object(kind, id);
  if (!object || !host_is_sealed()) return 0;
  switch (route) {
    case BW_ROUTE_OWN_BY_PIN:
    case BW_ROUTE_OWN_BY_NUMBER:
      return !(kind == BW_OWN_LINK && route == BW_ROUTE_OWN_BY_PIN) && !is_manager();
    case BW_ROUTE_OWN_WRITABLE_BY_PIN:
    case BW_ROUTE_OWN_WRITABLE_BY_NUMBER:
      return object->access < BW_OWN_SHARED;
    default:
      return 1;
  }
}

static __noinline void tell_own(__u32 kind, __u32 id, __u32 route, __u32 mode) {
  struct task_note* note = task_note(0);
  if (!note) return;
  tell_postponed(note, &note->draft);
  if (draft_touch(note, kind, id, route, mode))
    report_touch(note, image_of(note->draft.generation));
}

// Whether it is refused. A global function, which the verifier walks through once.
__noinline int reach_own(__u32 kind, __u32 id, __u32 route) {
  const int refused = is_out_of_reach(kind, id, route);
  if (refused || is_to_be_told(kind, id, route))
    tell_own(kind, id, route, refused ? BW_MODE_ENFORCE : BW_MODE_AUDIT);
  return refused;
}

// ---- By number, and by pin ----------------------------------------------------------------------

static __always_inline __u32 way_to_descriptor(bool writes) {
  const bool by_pin = bpf_command() == BPF_OBJ_GET;
  if (writes) return by_pin ? BW_ROUTE_OWN_WRITABLE_BY_PIN : BW_ROUTE_OWN_WRITABLE_BY_NUMBER;
  return by_pin ? BW_ROUTE_OWN_BY_PIN : BW_ROUTE_OWN_BY_NUMBER;
}

// Who lists the objects of a host goes on to the next one where there is none.
static __always_inline int error_of_reach(int refused) {
  barrier_var(refused);
  if (!refused) return 0;
  return bpf_command() == BPF_OBJ_GET ? -EPERM : -ENOENT;
}

static __always_inline int reach_map(struct bpf_map* map, unsigned int mode) {
  const __u32 id = BPF_CORE_READ(map, id);
  const struct bw_own* object = own_object(BW_OWN_MAP, id);
  const bool writes = mode & FMODE_WRITE;
  if (!object || object->access == BW_OWN_OPEN || (!writes && object->access != BW_OWN_CLOSED))
    return 0;
  return error_of_reach(reach_own(BW_OWN_MAP, id, way_to_descriptor(writes)));
}

static __always_inline int reach_program(struct bpf_prog* prog) {
  const __u32 id = BPF_CORE_READ(prog, aux, id);
  if (!own_object(BW_OWN_PROGRAM, id)) return 0;
  return error_of_reach(reach_own(BW_OWN_PROGRAM, id, way_to_descriptor(false)));
}

// Without another load an extension goes on to other programs of the type of its first target
// (kernel/bpf/syscall.c, bpf_tracing_prog_attach), and nobody is asked which.
static __always_inline bool could_extend_own(const struct bpf_prog* prog,
                                             const struct bpf_prog* target) {
  const __u32 type = BPF_CORE_READ(target, type);
  return BPF_CORE_READ(prog, type) == BPF_PROG_TYPE_EXT &&
         (type == BPF_PROG_TYPE_LSM || type == BPF_PROG_TYPE_TRACING) && host_is_sealed();
}

// What a program would be traced by, or replaced in parts.
static __always_inline int reach_extended(struct bpf_prog* prog) {
  const struct bpf_prog* target = BPF_CORE_READ(prog, aux, dst_prog);
  const __u32 id = target ? BPF_CORE_READ(target, aux, id) : 0;
  if (!id) return 0;
  if (could_extend_own(prog, target))
    return error_of(reach_own(BW_OWN_FLOOR, BW_OWN_GUARD, BW_ROUTE_OWN_EXTENDED));
  if (!own_object(BW_OWN_PROGRAM, id)) return 0;
  return error_of(reach_own(BW_OWN_PROGRAM, id, BW_ROUTE_OWN_EXTENDED));
}

// Of links and of BTF no other hook is asked: by the call's own copy of the number.
static __always_inline int reach_number(int command, union bpf_attr* attr) {
  if (command != BPF_LINK_GET_FD_BY_ID && command != BPF_BTF_GET_FD_BY_ID) return 0;
  const __u32 kind = command == BPF_LINK_GET_FD_BY_ID ? BW_OWN_LINK : BW_OWN_BTF;
  const __u32 id = attr->link_id;
  if (!own_object(kind, id)) return 0;
  return error_of_reach(reach_own(kind, id, BW_ROUTE_OWN_BY_NUMBER));
}

static __always_inline void reach_link(struct bpf_link* link) {
  const __u32 id = BPF_CORE_READ(link, id);
  if (own_object(BW_OWN_LINK, id)) reach_own(BW_OWN_LINK, id, way_to_descriptor(false));
}

// ---- By another program -------------------------------------------------------------------------
// A descriptor that only reads is enough for a program to write by: the kernel looks at the flags
// of the map alone. For iterators over the elements of one it looks at nothing.

// The number of the map of ours that may lie in this one; 0: none. Nobody is asked when a map is
// put into another, so who binds one that takes maps like ours is refused, whatever is in it.
static __always_inline __u32 own_map_within(struct bpf_map* map) {
  const struct bpf_map* inner = BPF_CORE_READ(map, inner_map_meta);
  struct bw_own_shape shape = {};
  if (!inner) return 0;
  shape.type = BPF_CORE_READ(inner, map_type);
  shape.key_size = BPF_CORE_READ(inner, key_size);
  shape.value_size = BPF_CORE_READ(inner, value_size);
  shape.flags = BPF_CORE_READ(inner, map_flags);
  if (shape.type == BPF_MAP_TYPE_ARRAY || shape.type == BPF_MAP_TYPE_PERCPU_ARRAY)
    shape.max_entries = BPF_CORE_READ(inner, max_entries);
  const __u32* id = bpf_map_lookup_elem(&own_shapes, &shape);
  return id ? *id : 0;
}

// The policies' images are in no list: they come and go.
static __noinline int is_image(__u64 address) {
  int i;
  bpf_for(i, 0, BW_SLOTS) {
    const __u32 slot = (__u32)i;
    if ((__u64)bpf_map_lookup_elem(&generations, &slot) == address) return 1;
  }
  return 0;
}

// As an image it is one of what `generations` holds. Not inlined, as the next: there is little room
// left on the stack where reach_own() is called.
static __noinline __u32 own_map_of(struct bpf_map* map) {
  const __u32 id = BPF_CORE_READ(map, id);
  if (own_object(BW_OWN_MAP, id)) return id;
  return is_image((__u64)map) ? ((struct bpf_map*)&generations)->id : 0;
}

// The number of the map of ours that who binds this one can write; 0: none.
static __noinline __u32 own_map_bound(struct bpf_map* map) {
  const __u32 id = own_map_of(map);
  return id ? id : own_map_within(map);
}

// A global function, for the stack of its caller is used up. `address` is that of prog->aux.
__noinline int binds_own(__u64 address) {
  const struct bpf_prog_aux* aux = bpf_core_cast((const void*)address, struct bpf_prog_aux);
  struct bpf_map** maps = aux->used_maps;
  const __u32 count = aux->used_map_cnt;
  int i;
  if (!host_is_sealed() || own_object(BW_OWN_PROGRAM, aux->id)) return 0;
  bpf_for(i, 0, (int)count) {
    struct bpf_map* map = 0;
    if (bpf_probe_read_kernel(&map, sizeof(map), maps + i)) return 1;
    const __u32 id = own_map_bound(map);
    if (id) return reach_own(BW_OWN_MAP, id, BW_ROUTE_OWN_BOUND);
  }
  return 0;
}

static __always_inline int reach_iterated(struct bpf_link* link) {
  if (!link || BPF_CORE_READ(link, type) != BPF_LINK_TYPE_ITER) return 0;
  struct bpf_map* map = BPF_CORE_READ((struct bpf_iter_link*)link, aux.map);
  if (verifies_here() && is_claimed((__u64)map)) return -EPERM;
  const __u32 id = map ? own_map_of(map) : 0;
  if (!id) return 0;
  return error_of(reach_own(BW_OWN_MAP, id, BW_ROUTE_OWN_BOUND));
}

// ---- What all rests on --------------------------------------------------------------------------

// Programs of LSM_CGROUP can overrule a guard: bpf_set_retval(0). None is there when the host is
// sealed.
static __always_inline bool outranks(int command, union bpf_attr* attr) {
  if (command == BPF_LINK_CREATE) return attr->link_create.attach_type == BPF_LSM_CGROUP;
  return (command == BPF_PROG_ATTACH || command == BPF_PROG_DETACH) &&
         attr->attach_type == BPF_LSM_CGROUP;
}

// Before Linux 7.3, kernel.ftrace_enabled=0 turns all programs of LSM hooks off.
static __always_inline bool is_ftrace_switch(struct file* file) {
  static const char expected[] = "ftrace_enabled";
  char name[sizeof(expected)] = {};
  if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != PROC_SUPER_MAGIC) return false;
  const void* called = BPF_CORE_READ(file, f_path.dentry, d_name.name);
  if (bpf_probe_read_kernel_str(name, sizeof(name), called) <= 1) return false;
  return !__builtin_memcmp(name, expected, sizeof(expected));
}

// ---- Pins ---------------------------------------------------------------------------------------

static __always_inline int reach_folder(struct inode* inode, __u32 route) {
  const __u32 id = (__u32)BPF_CORE_READ(inode, i_ino);
  const struct bw_own* folder = own_object(BW_OWN_FOLDER, id);
  if (!folder || folder->device != BPF_CORE_READ(inode, i_sb, s_dev)) return 0;
  return reach_own(BW_OWN_FOLDER, id, route);
}

// On a BPF file system: kernel/bpf/inode.c says by the operations of an inode what it is a pin of.
static __always_inline int reach_pin(struct dentry* dentry, __u32 route) {
  struct inode* inode = BPF_CORE_READ(dentry, d_inode);
  if (!inode) return 0;
  const void *operations = BPF_CORE_READ(inode, i_op), *object = BPF_CORE_READ(inode, i_private);
  if (operations == &bpf_map_iops)
    return reach_own(BW_OWN_MAP, BPF_CORE_READ((const struct bpf_map*)object, id), route);
  if (operations == &bpf_link_iops)
    return reach_own(BW_OWN_LINK, BPF_CORE_READ((const struct bpf_link*)object, id), route);
  if (operations == &bpf_prog_iops)
    return reach_own(BW_OWN_PROGRAM, BPF_CORE_READ((const struct bpf_prog*)object, aux, id), route);
  return reach_folder(inode, route);
}
