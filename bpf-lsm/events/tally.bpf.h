// Exact counts of decisions by rule, for `bpfwarden metrics`. Shared by the CPUs and added to
// atomically: a count is never lost, and a load costs far more than the addition.
#pragma once

#include "bpf-lsm/note.bpf.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_TALLIES);
  __type(key, struct bw_tally);
  __type(value, __u64);
} tallies SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BW_UNTALLIED);
  __type(key, __u32);
  __type(value, __u64);
} untallied SEC(".maps");

// Counts what the task's note names. A global function, so that the verifier walks through it once.
__noinline int add_tally(struct task_note* note) {
  static const __u64 none = 0;
  if (!note) return -1;
  __u64* count = bpf_map_lookup_elem(&tallies, &note->tally);
  if (!count) {
    // Fails where another CPU was faster, too: then there is something to find.
    bpf_map_update_elem(&tallies, &note->tally, &none, BPF_NOEXIST);
    count = bpf_map_lookup_elem(&tallies, &note->tally);
  }
  if (!count) return -1;
  __sync_fetch_and_add(count, 1);
  return 0;
}

// No room, or no memory for a note: counted all the same, only without the rule's name.
static __always_inline void add_untallied(const struct bw_program* record) {
  const __u32 slot =
      bw_untallied_slot(record->decision.allow, record->decision.mode, record->facts.signature);
  __u64* count = bpf_map_lookup_elem(&untallied, &slot);
  if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline bool note_tally(struct task_note* note, const struct bw_program* record) {
  if (!note) return false;
  struct bw_tally* tally = &note->tally;
  if (record->decision.cause == BW_CAUSE_RULE)
    __builtin_memcpy(tally->rule, record->rule.name, sizeof(tally->rule));
  else
    __builtin_memset(tally->rule, 0, sizeof(tally->rule));
  tally->allow = record->decision.allow;
  tally->mode = record->decision.mode;
  tally->cause = record->decision.cause;
  tally->signature = record->facts.signature;
  tally->reserved = 0;
  return true;
}

// Once for each decision, like `decided` of bw_counters.
static __always_inline void tally(struct task_note* note, const struct bw_program* record) {
  if (!note_tally(note, record) || add_tally(note)) add_untallied(record);
}
