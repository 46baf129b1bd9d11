// Where the programs of one message go, if it names several places: see netlink_hooks.bpf.h.
#pragma once

#include "bpf-lsm/attach/attach.bpf.h"

static __always_inline bool goes_there(struct bpf_prog* prog, const struct destination* to) {
  return is_of(prog, to->types);
}

static __always_inline void take_destination(struct task_note* note, const struct destination* to) {
  struct attachment* at = &note->attachment;
  at->attach_type = to->attach_type;
  forget(&at->place);
  if (to->ifindex) name_device_in(note->destinations.net, to->ifindex);
}
