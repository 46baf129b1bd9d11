// What the iterators of the kernel part write, record after record: every program, every link, and
// every file descriptor that holds one of either, or something that a program is attached to.
// Written by inventory_hooks.bpf.h, read by loader/inventory/kernel_lists.cpp.
#pragma once

#include "bpf-lsm/abi/program.h"

enum {
  BW_LISTED_ADMITTED = 1,  // a bw_program with its provenance is filled in
  BW_LISTED_DIGEST = 2,    // `digest` is SHA-256 of its instructions
  BW_LISTED_VERDICT = 4,   // the kernel tells `verdict`: since Linux 7.2
  BW_LISTED_SLEEPABLE = 8,
  BW_LISTED_JITED = 16,
  BW_LISTED_GPL_COMPATIBLE = 32,
};

struct bw_listed_program {
  __u32 id;
  __u32 prog_type;
  __u32 attach_type;   // expected_attach_type
  __u32 flags;         // BW_LISTED_*
  __u64 load_time_ns;  // CLOCK_BOOTTIME
  __u32 uid;           // of who loaded it
  __u32 map_count;
  __u32 instructions;       // as they run
  __u32 verified;           // that the verifier walked through
  __u32 target_id;          // freplace, or tracing of a program: that program
  __u32 verdict;            // bpf_prog_aux.sig.verdict
  char name[BW_NAME_SIZE];  // whole, where its BTF has it; else what the kernel keeps of it
  __u8 digest[BW_DIGEST_SIZE];
  __u64 attach_name[BW_NAME_WORDS];  // bytes, NUL padded
};

struct bw_listed_program_record {
  struct bw_listed_program listed;
  struct bw_program admitted;  // zeros unless BW_LISTED_ADMITTED
};

struct bw_listed_link {
  __u32 id;
  __u32 program_id;  // 0: none, as struct_ops
  __u64 place;       // what bpf_link_info leaves out: see link_place()
};

// What a file descriptor is, through which a program is held.
enum {
  BW_HELD_PROGRAM,
  BW_HELD_LINK,
  BW_HELD_EVENT,      // a perf event that runs the program
  BW_HELD_SOCKET,     // a socket that has it as its filter
  BW_HELD_REUSEPORT,  // a socket whose group has it as its selector
};

struct bw_listed_holder {
  __u32 program_id;
  __u32 link_id;  // of BW_HELD_LINK
  __u32 tgid;
  __u32 pid;  // the thread whose table has the file descriptor
  __u32 fd;
  __u32 held;    // BW_HELD_*
  __u64 object;  // of BW_HELD_EVENT: the event's id; of a socket: its inode; else 0
  char comm[BW_COMM_SIZE];
};

BW_STATIC_ASSERT(sizeof(struct bw_listed_program) == 48 + 128 + 32 + 128, "bw_listed_program");
BW_STATIC_ASSERT(sizeof(struct bw_listed_link) == 16, "bw_listed_link");
BW_STATIC_ASSERT(sizeof(struct bw_listed_holder) == 48, "bw_listed_holder");
