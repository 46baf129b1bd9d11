// Iterators (kernel/bpf/bpf_iter.c) that list what is in the kernel for `bpfwarden inventory`. They
// are pinned with the hooks: no program has to be loaded, and admitted, to look at the others.
#pragma once

#include "bpf-lsm/abi/inventory.h"
#include "bpf-lsm/kernel/net_types.bpf.h"
#include "bpf-lsm/kernel/trace_types.bpf.h"
#include "bpf-lsm/open_file.bpf.h"

// Name the types in the object's BTF, as event_type does.
const struct bw_listed_program* listed_program_type __attribute__((unused));
const struct bw_listed_link* listed_link_type __attribute__((unused));
const struct bw_listed_holder* listed_holder_type __attribute__((unused));

static __always_inline __u32 listed_flags(struct bpf_prog* prog) {
  __u32 flags = 0;
  if (BPF_CORE_READ_BITFIELD_PROBED(prog, gpl_compatible)) flags |= BW_LISTED_GPL_COMPATIBLE;
  if (BPF_CORE_READ_BITFIELD_PROBED(prog, sleepable)) flags |= BW_LISTED_SLEEPABLE;
  if (BPF_CORE_READ_BITFIELD_PROBED(prog, jited)) flags |= BW_LISTED_JITED;
  return flags;
}

static __always_inline void list_signature(struct bw_listed_program* listed,
                                           struct bpf_prog* prog) {
  if (BW_KERNEL_HAS(program_digest) &&
      !bpf_probe_read_kernel(listed->digest, sizeof(listed->digest), prog->digest))
    listed->flags |= BW_LISTED_DIGEST;
  if (!BW_KERNEL_HAS(signature_verdict)) return;
  listed->verdict = BPF_CORE_READ(prog, aux, sig.verdict);
  listed->flags |= BW_LISTED_VERDICT;
}

// The first function is the program itself, and is named for it.
static __always_inline void read_name(struct bw_listed_program* listed, struct bpf_prog* prog) {
  struct bpf_func_info* functions = BPF_CORE_READ(prog, aux, func_info);
  struct btf* btf = BPF_CORE_READ(prog, aux, btf);
  const char* whole = functions && btf ? btf_type_name(btf, BPF_CORE_READ(functions, type_id)) : 0;
  if (whole && bpf_probe_read_kernel_str(listed->name, sizeof(listed->name), whole) > 1) return;
  bpf_probe_read_kernel(listed->name, BW_PROG_NAME_SIZE, prog->aux->name);
}

static __always_inline void describe_listed(struct bw_listed_program* listed,
                                            struct bpf_prog* prog) {
  listed->id = BPF_CORE_READ(prog, aux, id);
  listed->prog_type = BPF_CORE_READ(prog, type);
  listed->attach_type = BPF_CORE_READ(prog, expected_attach_type);
  listed->flags = listed_flags(prog);
  listed->load_time_ns = BPF_CORE_READ(prog, aux, load_time);
  listed->uid = BPF_CORE_READ(prog, aux, user, uid.val);
  listed->map_count = BPF_CORE_READ(prog, aux, used_map_cnt);
  listed->instructions = BPF_CORE_READ(prog, len);
  listed->verified = BPF_CORE_READ(prog, aux, verified_insns);
  listed->target_id = BPF_CORE_READ(prog, aux, dst_prog, aux, id);
  read_name(listed, prog);
  const char* owner = owner_of_target(BPF_CORE_READ(prog, aux), listed->prog_type,
                                      listed->attach_type, BPF_CORE_READ(prog, aux, attach_btf_id));
  read_target((char*)listed->attach_name, BPF_CORE_READ(prog, aux, attach_func_name),
              listed->prog_type, listed->attach_type, owner);
}

SEC("iter/bpf_prog")
int list_programs(struct bpf_iter__bpf_prog* ctx) {
  static const struct bw_program unknown = {};
  struct seq_file* seq = ctx->meta->seq;
  struct bpf_prog* prog = ctx->prog;
  struct bw_listed_program listed = {};
  if (!prog) return 0;
  __u64 key = (__u64)prog->aux;
  const struct bw_program* known = bpf_map_lookup_elem(&programs, &key);
  describe_listed(&listed, prog);
  list_signature(&listed, prog);
  if (known) listed.flags |= BW_LISTED_ADMITTED;
  bpf_seq_write(seq, &listed, sizeof(listed));
  bpf_seq_write(seq, known ? known : &unknown, sizeof(*known));
  return 0;
}

// Of a perf event's link, the event's id; of an XDP link, the inode of the network namespace that
// its device is in; else 0.
static __always_inline __u64 link_place(struct bpf_link* link) {
  enum bpf_link_type type = BPF_CORE_READ(link, type);
  if (type == BPF_LINK_TYPE_PERF_EVENT && BW_KERNEL_HAS(perf_link)) {
    struct bpf_perf_link* held = (struct bpf_perf_link*)link;
    struct perf_event* event = BPF_CORE_READ(held, perf_file, private_data);
    return BPF_CORE_READ(event, id);
  }
  if (type == BPF_LINK_TYPE_XDP && BW_KERNEL_HAS(xdp_link)) {
    struct bpf_xdp_link* held = (struct bpf_xdp_link*)link;
    return BPF_CORE_READ(held, dev, nd_net.net, ns.inum);
  }
  return 0;
}

SEC("iter/bpf_link")
int list_links(struct bpf_iter__bpf_link* ctx) {
  struct bpf_link* link = ctx->link;
  struct bw_listed_link listed = {};
  if (!link) return 0;
  listed.id = BPF_CORE_READ(link, id);
  listed.program_id = BPF_CORE_READ(link, prog, aux, id);
  listed.place = link_place(link);
  bpf_seq_write(ctx->meta->seq, &listed, sizeof(listed));
  return 0;
}

static __always_inline void list_holder(struct bpf_iter__task_file* ctx,
                                        struct bw_listed_holder* holder, struct bpf_prog* prog,
                                        __u32 held) {
  holder->program_id = BPF_CORE_READ(prog, aux, id);
  holder->held = held;
  if (!holder->program_id) return;  // no program, or a classic one, which has no id
  bpf_seq_write(ctx->meta->seq, holder, sizeof(*holder));
}

static __always_inline void list_socket(struct bpf_iter__task_file* ctx,
                                        struct bw_listed_holder* holder, struct socket* socket) {
  struct sock* sk = BPF_CORE_READ(socket, sk);
  list_holder(ctx, holder, BPF_CORE_READ(sk, sk_filter, prog), BW_HELD_SOCKET);
  list_holder(ctx, holder, BPF_CORE_READ(sk, sk_reuseport_cb, prog), BW_HELD_REUSEPORT);
}

SEC("iter/task_file")
int list_holders(struct bpf_iter__task_file* ctx) {
  struct file* file = ctx->file;
  struct task_struct* task = ctx->task;
  struct bw_listed_holder holder = {};
  if (!file || !task || !file->f_op) return 0;
  const void* operations = file->f_op;
  holder.tgid = task->tgid;
  holder.pid = task->pid;
  holder.fd = ctx->fd;
  bpf_probe_read_kernel(holder.comm, sizeof(holder.comm), task->comm);
  if (operations == &bpf_prog_fops) {
    list_holder(ctx, &holder, file->private_data, BW_HELD_PROGRAM);
  } else if (is_link(operations)) {
    struct bpf_link* link = file->private_data;
    holder.link_id = BPF_CORE_READ(link, id);
    list_holder(ctx, &holder, BPF_CORE_READ(link, prog), BW_HELD_LINK);
  } else if (operations == &perf_fops) {
    struct perf_event* event = file->private_data;
    holder.object = BPF_CORE_READ(event, id);
    list_holder(ctx, &holder, BPF_CORE_READ(event, prog), BW_HELD_EVENT);
  } else if (operations == &socket_file_ops) {
    holder.object = BPF_CORE_READ(file, f_inode, i_ino);
    list_socket(ctx, &holder, file->private_data);
  }
  return 0;
}
