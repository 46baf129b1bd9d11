// Each decision becomes an event record and a count. Nothing here can change or delay a decision: a
// record that finds no room is counted as dropped.
#pragma once

#include "bpf-lsm/maps.bpf.h"

#define EPERM 1

struct file* bpf_get_task_exe_file(struct task_struct* task) __ksym __weak;
void bpf_put_file(struct file* file) __ksym __weak;
int bpf_path_d_path(const struct path* path, char* buf, size_t buf__sz) __ksym __weak;

static __always_inline void add_one(__u64* counter) { __sync_fetch_and_add(counter, 1); }

// Atomic although per CPU: another task may interrupt this one in the middle of an addition.
static __always_inline void count(const struct bw_decision* decision, bool observed, bool dropped) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  add_one(observed ? &now->observed : &now->decided);
  if (!observed && bw_refused(decision)) add_one(&now->refused);
  if (!observed && !decision->allow && decision->mode == BW_MODE_AUDIT) add_one(&now->would_deny);
  if (dropped) add_one(&now->dropped);
}

static __always_inline __u64 next_sequence(void) {
  __u64* last = bpf_map_lookup_elem(&sequence, ARRAY_ZERO);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

static __always_inline void describe_task(struct bw_event* event) {
  __u64 ids = bpf_get_current_pid_tgid();
  event->tgid = ids >> 32;
  event->pid = (__u32)ids;
  event->uid = (__u32)bpf_get_current_uid_gid();
  event->cgroup_id = bpf_get_current_cgroup_id();
  bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void describe_exe(struct bw_event* event) {
  if (!bpf_get_task_exe_file || !bpf_put_file || !bpf_path_d_path) return;
  struct file* exe = bpf_get_task_exe_file(bpf_get_current_task_btf());
  if (!exe) return;
  if (bpf_path_d_path(&exe->f_path, event->exe, sizeof(event->exe)) < 0) event->exe[0] = 0;
  bpf_put_file(exe);
}

static __always_inline void describe_policy(struct bw_event* event, const struct bw_image* image) {
  if (!image) return;
  event->policy_version = image->policy_version;
  __builtin_memcpy(event->policy_digest, image->policy_digest, sizeof(event->policy_digest));
}

static __always_inline void describe_program(struct bw_event* event,
                                             const struct bw_program* record) {
  event->generation = record->generation;
  event->allow = record->decision.allow;
  event->mode = record->decision.mode;
  event->rule = record->decision.rule;
  event->cause = record->decision.cause;
  event->attach_class = record->facts.attach_class;
  event->origin = record->origin;
  event->signature = record->facts.signature;
  event->signer = record->facts.signer;
  event->key_serial = record->key_serial;
  event->prog_type = record->facts.prog_type;
  event->attach_type = record->facts.attach_type;
  event->program_id = record->program_id;
  event->loader_id = record->loader_id;
  __builtin_memcpy(event->digest, record->digest, sizeof(event->digest));
  __builtin_memcpy(event->loader_digest, record->loader_digest, sizeof(event->loader_digest));
  __builtin_memcpy(event->attach_name, record->facts.name, sizeof(event->attach_name));
}

// Reports a decision, counts it, and returns what the hook must return. Never waits for a reader.
static __always_inline int conclude(enum bw_hook hook, const struct bw_program* record,
                                    const struct bw_image* image, struct bpf_prog* prog) {
  const bool refused = bw_refused(&record->decision);
  struct bw_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  const __u64 number = next_sequence();
  count(&record->decision, false, !event);
  if (event) {
    __builtin_memset(event, 0, sizeof(*event));
    event->abi = BW_EVENT_ABI;
    event->hook = hook;
    event->refused = refused;
    event->error = refused ? EPERM : 0;
    event->sequence = number;
    event->time_ns = bpf_ktime_get_boot_ns();
    describe_program(event, record);
    describe_policy(event, image);
    describe_task(event);
    describe_exe(event);
    if (prog) bpf_probe_read_kernel(event->program_name, BW_PROG_NAME_SIZE, prog->aux->name);
    bpf_ringbuf_submit(event, 0);
  }
  return refused ? -EPERM : 0;
}
