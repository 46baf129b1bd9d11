// Signed requests (docs/adr/0022): to let go of the host, and to bring back the policy before. Each
// has the challenge that this kernel part has made, and so is worth one host, one boot and one
// time.
#pragma once

#include "bpf-lsm/seal/order_place.bpf.h"
#include "bpf-lsm/seal/seal.bpf.h"

// 128 random bits, and the time twice: of the boot, which is never 0, and of the day.
static __always_inline void make_challenge(struct bw_control* word) {
  if (word->challenge[2]) return;
  word->challenge[0] = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
  word->challenge[1] = (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
  word->challenge[3] = bpf_ktime_get_tai_ns();
  barrier();
  *(volatile __u64*)&word->challenge[2] = bpf_ktime_get_boot_ns();
}

static __always_inline bool is_challenge(const struct bw_control* word,
                                         const struct bw_request* request) {
  if (!word->challenge[2]) return false;
  for (__u32 i = 0; i < BW_CHALLENGE_WORDS; i++)
    if (word->challenge[i] != request->challenge[i]) return false;
  return true;
}

static __always_inline bool same_policy_name(const char* one, const char* other) {
  for (__u32 i = 0; i < BW_POLICY_NAME_SIZE; i++)
    if (one[i] != other[i]) return false;
  return true;
}

// The policy before: the sealed one, or one that came by an order since then.
static __always_inline int judge_rollback(const struct bw_control* word,
                                          const struct bw_request* request) {
  const __u64 number = word->previous;
  const struct bw_image* before =
      number && number != deciding_generation(word) ? image_of(number) : 0;
  if (!before) return -BW_ORDER_NOTHING_BEFORE;
  if (host_is_sealed() && number < word->sealed_generation) return -BW_ORDER_BELOW_SEAL;
  return request->to_version == before->policy_version ? 0 : -BW_ORDER_OTHER_VERSION;
}

static __always_inline int judge_request(const struct bw_control* word, const struct bw_image* now,
                                         const struct bw_request* request) {
  if (request->magic != BW_REQUEST_MAGIC || request->abi != BW_REQUEST_ABI)
    return -BW_ORDER_OTHER_ABI;
  if (!is_challenge(word, request)) return -BW_ORDER_EXPIRED;
  if (!same_policy_name(now->policy_name, request->policy_name)) return -BW_ORDER_OTHER_NAME;
  if (now->policy_version != request->policy_version) return -BW_ORDER_OTHER_VERSION;
  if (request->verb == BW_REQUEST_ROLLBACK) return judge_rollback(word, request);
  return request->verb == BW_REQUEST_OFF ? 0 : -BW_ORDER_OTHER_ABI;
}

// As a new generation. The versions up to that which is left are not taken again: whoever has
// what was signed of it would bring it back.
static __always_inline int take_back(struct bw_control* word, const struct bw_image* now,
                                     struct order_under_way* way) {
  const struct bw_image* before = image_of(word->previous);
  const bool awaited = awaits_confirmation(word);
  struct bw_image* next = empty_slot(way);
  if (!before) return -BW_ORDER_NOTHING_BEFORE;
  if (!next) return -BW_ORDER_NO_ROOM;
  if (bpf_probe_read_kernel(next, BW_IMAGE_SIGNED_SIZE, before)) return -BW_ORDER_NOT_RESIDENT;
  if (!add_hosts_part(next, now, way)) return -BW_ORDER_NOT_RESIDENT;
  if (word->taken_back < now->policy_version) word->taken_back = now->policy_version;
  *(volatile __u64*)&word->challenge[2] = 0;
  *(volatile __u64*)&next->generation = way->slot_number;
  flip(word, way->slot_number, 0);
  if (awaited) word->previous = 0;
  return 0;
}

// By one word: from then on nothing is decided, asked for or kept.
static __always_inline int let_go(struct bw_control* word) {
  struct bw_successor* other = bpf_map_lookup_elem(&successor, ARRAY_ZERO);
  if (!other) return -BW_ORDER_NO_ROOM;
  *(volatile __u64*)&word->challenge[2] = 0;
  *(volatile __u64*)&word->released_ns = bpf_ktime_get_boot_ns();
  barrier();
  *(volatile __u32*)&other->is_asleep = BW_RELEASED;
  return 0;
}

// Copied, judged, verified and done: the copy, all along.
static __always_inline int take_request(struct bw_control* word, const struct bw_image* now,
                                        struct order_under_way* way) {
  if (bpf_probe_read_user(&way->request, sizeof(way->request), (const void*)way->order.request))
    return -BW_ORDER_NOT_RESIDENT;
  int error = judge_request(word, now, &way->request);
  if (!error) error = require_signatures(now, way);
  if (error) return error;
  return way->request.verb == BW_REQUEST_ROLLBACK ? take_back(word, now, way) : let_go(word);
}
