// bpf(2) commands that give somebody a link, or keep it: by its number, and where it is pinned.
// Those of a program that was raced with are refused (raced.bpf.h).
#pragma once

#include "bpf-lsm/attach/names_nothing.bpf.h"
#include "bpf-lsm/attach/raced.bpf.h"

extern const void link_idr __ksym __weak;

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

#define XA_LEVELS 8         // of 64 slots each: more than numbers of 31 bits need
#define XA_FIRST_NODE 4096  // entries below that are no nodes: include/linux/xarray.h

enum { NO_LINK = 0, CHANGING = 1 };

static __always_inline bool is_node(__u64 entry) {
  return (entry & 3) == 2 && entry > XA_FIRST_NODE;
}

// As idr_find() does, without its lock: CHANGING, where that shows. The address of the link, else.
static __noinline __u64 link_of_number(__u32 id) {
  const struct idr* links = &link_idr;
  __u64 entry = (__u64)BPF_CORE_READ(links, idr_rt.xa_head);
  int level;
  bpf_for(level, 0, XA_LEVELS) {
    if (!is_node(entry)) break;
    const struct xa_node* node = (void*)(entry - 2);
    const __u32 shift = BPF_CORE_READ(node, shift) & 31;
    if (level == 0 && shift < 26 && id >> (shift + 6)) return NO_LINK;
    if (bpf_probe_read_kernel(&entry, sizeof(entry), &node->slots[(id >> shift) & 63]))
      return CHANGING;
    if (shift == 0) break;
  }
  return entry & 3 ? CHANGING : entry;
}

// What of a link that is not there yet, or not complete, the kernel would say now. It may be by the
// time the kernel looks, and then by another program than that of a moment ago: so this is the
// answer.
static __noinline int judge_number(__u32 id) {
  __u64 aux = 0;
  bpf_rcu_read_lock();
  struct bpf_link* link = (struct bpf_link*)link_of_number(id);
  const bool is_link = (__u64)link > CHANGING;
  const __u32 settled = is_link ? BPF_CORE_READ(link, id) : 0;
  if (settled == id) aux = raced_program(link);
  bpf_rcu_read_unlock();
  if (!is_link) return (__u64)link == NO_LINK ? -ENOENT : -EAGAIN;
  if (settled != id) return -EAGAIN;
  return aux ? refuse_raced(aux) : 0;
}

static __always_inline int judge_pin(__u32 fd) {
  struct bpf_link* link = link_of(fd);
  const __u64 aux = link ? raced_program(link) : 0;
  return aux ? refuse_raced(aux) : 0;
}

static __always_inline bool takes_link(int command) {
  return command == BPF_LINK_GET_FD_BY_ID || command == BPF_OBJ_PIN;
}

// Who may not ask by number, or asks for what no link has (EINVAL), is told so by the kernel.
static __noinline int judge_taking(int command, union bpf_attr* attr) {
  if (!asks_at_attach() || !refuses_at_attach()) return 0;
  if (command == BPF_OBJ_PIN) return judge_pin(attr->bpf_fd);
  if (attr->next_id || attr->open_flags) return 0;
  return has_capability(1ULL << CAP_SYS_ADMIN) ? judge_number(attr->link_id) : 0;
}
