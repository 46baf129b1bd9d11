// What Tetragon's sensors load, by type and attach point.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ON(name, section) \
  SEC(section) int name(void* context) { return 0; }
ON(on_exec, "tp/sched/sched_process_exec")
ON(on_exit, "kprobe/acct_process")
ON(on_fork, "kprobe/wake_up_new_task")
ON(on_kprobe, "kprobe/do_nanosleep")
ON(on_return, "kretprobe/do_nanosleep")
ON(on_several, "kprobe.multi/do_nanosleep")
ON(on_raw, "raw_tp/sys_enter")
ON(on_lsm, "lsm/file_open")

char LICENSE[] SEC("license") = "GPL";
