// Calls that name the program where no hook can read it. It is one of those whose descriptors the
// caller holds, so each of them that fits must be allowed there.
#pragma once

#include "bpf-lsm/attach/destinations.bpf.h"
#include "bpf-lsm/attach/watch.bpf.h"

// Whether a call that may attach programs of these types needs no look: the caller holds none, and
// nobody else can give it one meanwhile.
static __always_inline bool holds_none(__u64 types) {
  return !shares_files() && next_held(0, types) < 0;
}

// One program that is held, wherever the call may put it. Returns -EPERM or 0.
__noinline int judge_everywhere(__u64 address) {
  struct bpf_prog* prog = (struct bpf_prog*)address;
  struct task_note* note = task_note(0);
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  note->attachment.told = 0;
  if (!note->destinations.count) return judge_attachment(note, address);
  bpf_for(i, 0, (int)note->destinations.count) {
    const struct destination* to = &note->destinations.to[i & (MAX_DESTINATIONS - 1)];
    if (!goes_there(prog, to)) continue;
    take_destination(note, to);
    note->attachment.told = 0;
    if (judge_attachment(note, address)) return -EPERM;
  }
  return 0;
}

// `types`: a bit for each enum bpf_prog_type. Returns -EPERM or 0. Who has one program open many
// times has it judged once.
__noinline int judge_held(__u64 types) {
  const bool is_shared = shares_files();
  struct task_note* note = task_note(0);
  struct bpf_prog* judged = 0;
  __u32 from = 0;
  int i;
  if (!note) return refuse_blind(BW_HOOK_ATTACH);
  if (is_shared) {
    watch_any(note);
    note_exe(note);
  }
  const bool is_refused = is_shared && !may_watch();
  note->attachment.watch.types |= types;
  bpf_for(i, 0, MAX_HELD) {
    const int fd = next_held(from, types);
    if (fd < 0) return 0;
    if (fd >= MAX_HELD) return refuse_shared(0);
    from = (__u32)fd + 1;
    struct bpf_prog* prog = program_of((__u32)fd);
    if (!prog || prog == judged) continue;
    if (is_refused) return refuse_shared(prog);
    if (judge_everywhere((__u64)prog)) return -EPERM;
    judged = prog;
  }
  return 0;
}

static __always_inline int judge_held_programs(__u64 types) { return error_of(judge_held(types)); }
