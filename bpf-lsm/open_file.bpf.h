// What a file descriptor of the calling task stands for. That holds until the system call ends only
// if no other task shares its table: see shares_files().
#pragma once

#include "bpf-lsm/answer.bpf.h"
#include "bpf-lsm/facts.bpf.h"

extern const void bpf_map_fops __ksym __weak;
extern const void bpf_prog_fops __ksym __weak;
extern const void bpf_link_fops __ksym __weak;
extern const void bpf_link_fops_poll __ksym __weak;
extern const void perf_fops __ksym __weak;
extern const void socket_file_ops __ksym __weak;

static __always_inline bool is_link(const void* operations) {
  return operations == &bpf_link_fops || operations == &bpf_link_fops_poll;
}

// Whether another thread or process can put another file behind a descriptor meanwhile.
static __always_inline bool shares_files(void) {
  return BPF_CORE_READ(bpf_get_current_task_btf(), files, count.counter) != 1;
}

// Null if there is none.
static __noinline struct file* open_file(__u32 fd) {
  struct fdtable* table = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt);
  struct file* file = 0;
  if (fd >= BPF_CORE_READ(table, max_fds)) return 0;
  if (bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd)) return 0;
  return file;
}

// Null if the file is of another kind.
static __always_inline void* object_of(struct file* file, const void* operations) {
  if (!file || BPF_CORE_READ(file, f_op) != operations) return 0;
  return BPF_CORE_READ(file, private_data);
}

static __always_inline struct bpf_prog* program_of(__u32 fd) {
  return object_of(open_file(fd), &bpf_prog_fops);
}

// ---- All descriptors ----------------------------------------------------------------------------

#define MAX_HELD 65536    // descriptors that are looked at
#define FILES_AT_ONCE 16  // a table has room for a multiple of 64

// Read without a helper: there may be tens of thousands of them.
static __always_inline struct bpf_prog* program_in_file(const void* address) {
  const struct file* file = bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct file));
  return file->f_op == &bpf_prog_fops ? file->private_data : 0;
}

// The first descriptor from `from` on that stands for a program, of one of these types (a bit for
// each enum bpf_prog_type). MAX_HELD: more are open than are looked at; negative: there is none.
__noinline int next_held(__u32 from, __u64 types) {
  struct fdtable* table = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt);
  const __u32 end = BPF_CORE_READ(table, max_fds);
  struct file** open = BPF_CORE_READ(table, fd);
  __u64 files[FILES_AT_ONCE] = {};
  int fd;
  bpf_for(fd, (int)from, MAX_HELD) {
    const __u32 n = (__u32)fd & (FILES_AT_ONCE - 1);
    if ((__u32)fd >= end) return -1;
    if ((n == 0 || (__u32)fd == from) &&
        bpf_probe_read_kernel(files, sizeof(files), open + ((__u32)fd - n)))
      return MAX_HELD;
    if (!files[n]) continue;
    struct bpf_prog* prog = program_in_file((const void*)files[n]);
    if (prog && ((types >> (BPF_CORE_READ(prog, type) & 63)) & 1)) return fd;
  }
  return end > MAX_HELD ? MAX_HELD : -1;
}

static __always_inline struct bpf_map* map_of(__u32 fd) {
  return object_of(open_file(fd), &bpf_map_fops);
}

static __always_inline struct bpf_link* link_of(__u32 fd) {
  struct file* file = open_file(fd);
  struct bpf_link* link = object_of(file, &bpf_link_fops);
  return link ? link : object_of(file, &bpf_link_fops_poll);
}
