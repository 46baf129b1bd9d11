// The run of a loader: what it loads meanwhile is its child.
#pragma once

#include "bpf-lsm/loader_maps.bpf.h"

// A signed loader runs once, and only while no other thread can swap the file descriptors it makes.
// What an unsigned one loads is unsigned whoever meddles with it; what a signed one has loaded is
// no loader.
static __always_inline bool may_vouch(struct bw_program* loader, struct bpf_prog* prog) {
  if (loader->standing != BW_STANDING_CONFIRMED) return false;
  if (!(loader->flags & BW_PROGRAM_SIGNED)) return loader->facts.signature == BW_SIGNATURE_UNSIGNED;
  if (BPF_CORE_READ(bpf_get_current_task_btf(), files, count.counter) != 1) return false;
  if (__sync_val_compare_and_swap(&loader->run, BW_RUN_DUE, BW_RUN_UNDER_WAY) != BW_RUN_DUE)
    return false;
  if (takes_its_metadata(prog, loader->program_id)) return true;
  loader->run = BW_RUN_OVER;
  return false;
}

// Two programs stand here, as in signature_hooks.bpf.h: that what the loader loads is its own is
// noted by whichever of them the kernel does not skip.
static __always_inline int note_start(struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  struct task_note* note = task_note(0);
  if (note && note->run.aux == key) return 0;
  end_run(note);
  struct bw_program* loader = bpf_map_lookup_elem(&programs, &key);
  if (!loader || !may_vouch(loader, prog)) return 0;
  note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!note) return 0;
  note->run.signature = loader->facts.signature;
  note->run.signer = loader->facts.signer;
  note->run.verified_here = loader->flags & BW_PROGRAM_VERIFIED_HERE;
  note->run.key_serial = loader->key_serial;
  note->run.id = loader->program_id;
  note->run.generation = loader->generation;
  note->run.staged_signer = loader->staged_signer;
  note->run.staged_generation = loader->staged_generation;
  __builtin_memcpy(note->run.signer_key, loader->signer_key, sizeof(note->run.signer_key));
  __builtin_memcpy(note->run.digest, loader->facts.names[BW_NAME_DIGEST].bytes,
                   sizeof(note->run.digest));
  note->run.aux = key;
  return 0;
}

SEC("fentry/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_start, struct bpf_prog* prog) { return note_start(prog); }

SEC("fentry/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_start_too, struct bpf_prog* prog) { return note_start(prog); }

SEC("fexit/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_end, struct bpf_prog* prog) {
  end_run(task_note(0));
  return 0;
}
