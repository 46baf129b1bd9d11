// What the kernel reads once more after the hook, and somebody may have changed meanwhile. It is
// looked at again as the kernel has it. If that is not what was judged, the process is killed, and
// its links go with it.
//
// Descriptors can be changed by who shares them: under `multithreaded-attach = "detect"` it may
// attach, and is watched. Memory can be changed by anybody: a page may be mapped twice, and root
// writes to any process. So whatever is read from there is watched, whoever calls.
//
// Tracing programs see it, which the kernel may skip. So each must have been there once a call that
// names the descriptor has gone through: if one was not, that counts as the worst it could have
// shown. That is looked at on the way back to user space (ADR 12).
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"
#include "bpf-lsm/call_end.bpf.h"

enum {
  WATCH_PROGRAM = 1,
  WATCH_OBJECT = 2,
  WATCH_TARGETS = 4,  // of a probe that has many
  MAX_THREADS = 4096,
  SIGKILL = 9,
  PT_TRACE_EXIT = 1 << 9,  // include/linux/ptrace.h
};

// Whether all who share the caller's table are threads of its process: they can be killed with it.
// The first process cannot be, and a traced thread may be held at its end.
static __noinline bool shares_within_process(void) {
  const struct task_struct* task = bpf_get_current_task_btf();
  const struct files_struct* files = BPF_CORE_READ(task, files);
  struct signal_struct* signal = BPF_CORE_READ(task, signal);
  struct list_head* head = (void*)signal + bpf_core_field_offset(struct signal_struct, thread_head);
  struct list_head* node = BPF_CORE_READ(head, next);
  int sharing = 0, i;
  bpf_for(i, 0, MAX_THREADS) {
    if (!node || node == head) break;
    struct task_struct* thread =
        (void*)node - bpf_core_field_offset(struct task_struct, thread_node);
    if (BPF_CORE_READ(thread, files) == files && !BPF_CORE_READ(thread, ptrace)) sharing++;
    node = BPF_CORE_READ(node, next);
  }
  return BPF_CORE_READ(task, tgid) != 1 && sharing >= BPF_CORE_READ(files, count.counter);
}

// Whether the policy lets anybody attach who shares descriptors.
static __noinline bool may_watch(void) {
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  return decides_at_attach(image) && (image->flags & BW_IMAGE_DETECT_SOME) &&
         shares_within_process();
}

static __always_inline void note_exe(struct task_note* note) { read_exe(note, note->later.exe); }

static int end_watch(struct bpf_map* map, void* key, void* value);

// The end of the call is awaited, and nobody gets at the process until then: see
// reach_hooks.bpf.h.
static __always_inline bool hold_to_end(struct task_note* note) {
  if (!await_end(end_watch)) return false;
  note->attachment.watch.held_to_end = 1;
  return true;
}

// Which program is judged, and by which number the kernel is going to find it.
static __always_inline void note_program(struct task_note* note, __u32 fd, struct bpf_prog* prog) {
  note->attachment.watch.program_fd = fd;
  note->attachment.watch.program_aux = prog ? (__u64)BPF_CORE_READ(prog, aux) : 0;
}

// Of the program that is noted. False: to be refused.
static __always_inline bool watch(struct task_note* note) {
  if (!may_watch() || !hold_to_end(note)) return false;
  note_exe(note);
  note->attachment.watch.on = note->attachment.watch.shared = 1;
  note->attachment.watch.awaits = WATCH_PROGRAM;
  return true;
}

// Whether the call may name that program, if there is one: who shares its descriptors has to be
// watched. Loaders try out, too, what comes of a descriptor where no program is.
static __always_inline bool may_name(struct task_note* note, __u32 fd, struct bpf_prog* prog) {
  note_program(note, fd, prog);
  return !shares_files() || watch(note);
}

// Who traces the caller may keep it, and its descriptors, once it is killed.
static __always_inline bool dies_when_killed(void) {
  const struct task_struct* task = bpf_get_current_task_btf();
  return BPF_CORE_READ(task, tgid) != 1 && !(BPF_CORE_READ(task, ptrace) & PT_TRACE_EXIT);
}

// What the kernel is to read from the caller's memory. False: to be refused, for nobody can kill
// the first process, or one that is held at its end.
static __noinline bool watch_memory(__u8 awaits) {
  struct task_note* note = task_note(0);
  if (!note) return false;
  struct attachment* at = &note->attachment;
  at->watch.awaits |= awaits;
  if (at->watch.on) return true;
  if (!dies_when_killed() || !hold_to_end(note)) return false;
  note_exe(note);
  at->watch.on = 1;
  return true;
}

// Of whatever program the call finds, where no hook can read which: whether any may be attached so
// or not.
static __always_inline void watch_any(struct task_note* note) {
  note->later.exe[0] = 0;
  note->attachment.watch.on = note->attachment.watch.shared = 1;
  note->attachment.watch.any_program = 1;
}

// What the program goes to.
static __always_inline void watch_object(struct task_note* note, __u32 fd, const void* object) {
  note->attachment.watch.object_fd = fd;
  note->attachment.watch.object = (__u64)object;
  note->attachment.watch.awaits |= WATCH_OBJECT;
}
