// Programs that somebody has raced with (ADR 15). Who did is killed, and its link goes with its
// last descriptor: so until then nobody else gets one, by whichever way. Links are known by their
// program, which keeps its mark while it lives.
#pragma once

#include "bpf-lsm/open_file.bpf.h"
#include "bpf-lsm/provenance.bpf.h"

// Whether the route leaves a link, which can be taken over.
static __always_inline bool leaves_link(__u32 route) {
  return route == BW_ROUTE_LINK_CREATE || route == BW_ROUTE_LINK_UPDATE ||
         route == BW_ROUTE_RAW_TRACEPOINT_OPEN || route == BW_ROUTE_UNJUDGED;
}

// What has no record cannot be marked: a resident, which may be attached anywhere.
static __always_inline void mark_raced(__u64 aux, __u32 route) {
  struct bw_program* known = aux ? bpf_map_lookup_elem(&programs, &aux) : 0;
  if (known && leaves_link(route)) known->raced = 1 + route;
}

// The address of its bpf_prog_aux, if it is one of these; else 0.
static __always_inline __u64 raced_program(struct bpf_link* link) {
  const __u64 aux = (__u64)BPF_CORE_READ(link, prog, aux);
  const struct bw_program* known = aux ? bpf_map_lookup_elem(&programs, &aux) : 0;
  return known && *(volatile const __u32*)&known->raced ? aux : 0;
}

// Of who wants the link, or the process that makes it. Returns -EPERM, or 0 where nothing is
// enforced.
__noinline int refuse_taking(__u64 aux, __u32 route) {
  struct task_note* note = task_note(BPF_LOCAL_STORAGE_GET_F_CREATE);
  __u64 generation = 0;
  const struct bw_image* image = active_image(&generation);
  if (!note || !image) return refuse_blind(BW_HOOK_ATTACH);
  tell_postponed(note, &note->draft);
  const struct bw_program* known = bpf_map_lookup_elem(&programs, &aux);
  if (known)
    copy_record(&note->draft, known);
  else
    new_draft(note);
  struct bw_program* record = &note->draft;
  record->generation = generation;
  record->policy_version = image->policy_version;
  record->route = route;
  deny_now(image, BW_CAUSE_ATTACH_RACE, record);
  return conclude(BW_HOOK_ATTACH, record, image,
                  aux ? BPF_CORE_READ((struct bpf_prog_aux*)aux, prog) : 0);
}

static __always_inline int refuse_raced(__u64 aux) {
  const struct bw_program* known = bpf_map_lookup_elem(&programs, &aux);
  return error_of(refuse_taking(aux, known ? known->raced - 1 : BW_ROUTE_NONE));
}
