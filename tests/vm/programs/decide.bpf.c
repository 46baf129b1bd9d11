// bw_find_signer() and bw_decide() in the kernel, by themselves: questions and an image in,
// decisions out. The test compares them with what the same headers say in the manager.
#include "bpf-lsm/kernel/bpf_types.bpf.h"

#include <bpf/bpf_helpers.h>

#include "tests/vm/programs/decide.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bw_image);
} image SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BW_MAX_BATCH);
  __type(key, __u32);
  __type(value, struct bw_question);
} questions SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, BW_MAX_BATCH);
  __type(key, __u32);
  __type(value, struct bw_decision);
} decisions SEC(".maps");

SEC("syscall")
int decide_batch(struct bw_batch* batch) {
  __u32 zero = 0;
  int i;
  const struct bw_image* policy = bpf_map_lookup_elem(&image, &zero);
  if (!policy) return 1;
  bpf_for(i, 0, BW_MAX_BATCH) {
    __u32 n = (__u32)i;
    if (n >= batch->count) break;
    struct bw_question* question = bpf_map_lookup_elem(&questions, &n);
    struct bw_decision* decision = bpf_map_lookup_elem(&decisions, &n);
    if (!question || !decision) return 1;
    question->facts.signer = bw_find_signer(policy, &question->signed_by, question->keyring);
    *decision = bw_decide(policy, &question->facts);
    batch->decided++;
  }
  return 0;
}
