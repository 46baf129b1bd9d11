// The facts of a load, from kernel copies only: what is loaded, for where, signed by whom. What
// cannot be read is left out, and denied for it.
#pragma once

#include "bpf-lsm/maps.bpf.h"

// Reads the name of a BTF type. The id comes from the loader and is not yet validated here.
static __always_inline const char* btf_type_name(struct btf* btf, __u32 id) {
  struct btf* base = BPF_CORE_READ(btf, base_btf);
  if (base && id < BPF_CORE_READ(btf, start_id)) {
    btf = base;
    base = 0;
  }
  __u32 index = id - BPF_CORE_READ(btf, start_id);
  if (index >= BPF_CORE_READ(btf, nr_types)) return 0;
  struct btf_type **types = BPF_CORE_READ(btf, types), *type = 0;
  if (bpf_probe_read_kernel(&type, sizeof(type), types + index) || !type) return 0;
  __u32 offset = BPF_CORE_READ(type, name_off);
  __u32 start = BPF_CORE_READ(btf, start_str_off);
  if (offset >= start) return BPF_CORE_READ(btf, strings) + (offset - start);
  return base ? BPF_CORE_READ(base, strings) + offset : 0;
}

// Policies name what libbpf's section names do: `lsm/file_open`, not bpf_lsm_file_open.
static __always_inline __u32 prefix_length(const char* name, __u32 prog_type, __u32 attach_type) {
  char head[10] = {};
  if (bpf_probe_read_kernel(head, sizeof(head), name)) return 0;
  if (prog_type == BPF_PROG_TYPE_LSM && !__builtin_memcmp(head, "bpf_lsm_", 8)) return 8;
  if (prog_type != BPF_PROG_TYPE_TRACING) return 0;
  if (attach_type == BPF_TRACE_ITER && !__builtin_memcmp(head, "bpf_iter_", 9)) return 9;
  if (attach_type == BPF_TRACE_RAW_TP && !__builtin_memcmp(head, "btf_trace_", 10)) return 10;
  return 0;
}

// Returns the length without NUL, 0 if there is no name or it does not fit.
static __always_inline __u32 read_target(char* target, const char* name, __u32 prog_type,
                                         __u32 attach_type) {
  if (!name) return 0;
  name += prefix_length(name, prog_type, attach_type);
  long size = bpf_probe_read_kernel_str(target, BW_NAME_SIZE, name);
  return size <= 1 || size >= BW_NAME_SIZE ? 0 : size - 1;
}

static __always_inline void gather_target(struct bw_facts* facts, struct bpf_prog* prog) {
  struct bpf_prog_aux* aux = prog->aux;
  struct btf* btf = aux->attach_btf;
  if (!btf && aux->dst_prog) btf = BPF_CORE_READ(aux, dst_prog, aux, btf);
  const char* name = btf ? btf_type_name(btf, aux->attach_btf_id) : 0;
  facts->name_length =
      read_target((char*)facts->name_bytes, name, facts->prog_type, facts->attach_type);
  if (!facts->name_length) {
    facts->guard = BW_CAUSE_MISSING_FACT;
    return;
  }
  // A positive return value from there ends the walk of the LSM hooks before it reaches us.
  if (facts->prog_type == BPF_PROG_TYPE_TRACING && facts->attach_type == BPF_MODIFY_RETURN &&
      !__builtin_memcmp(facts->name_bytes, "security_", 9))
    facts->guard = BW_CAUSE_LSM_BYPASS;
}

static __always_inline bool is_verified(struct bpf_prog* prog, union bpf_attr* attr) {
  if (!bpf_core_field_exists(attr->signature)) return false;
  if (bpf_core_field_exists(prog->aux->sig.verdict)) return prog->aux->sig.verdict == 1;
  return attr->signature != 0;  // 6.18 to 7.1: the hook is reached only if it verified
}

static __always_inline __u8 signature_type(union bpf_attr* attr) {
  if (!bpf_core_field_exists(struct bpf_verifier_env, signature)) return BW_SIGNATURE_PROG_ONLY;
  return attr->fd_array_cnt ? BW_SIGNATURE_PROG_USED_MAPS : BW_SIGNATURE_PROG_ONLY;
}

static __always_inline bool same_key(const struct bw_signer* signer, const struct task_note* note) {
  const __u32 words = (note->key_length + 7) / 8;
  int i;
  if (signer->key_length != note->key_length) return false;
  for (__u32 word = 0; word < BW_ALGORITHM_SIZE / 8; word++)
    if (signer->algorithm[word] != note->algorithm[word]) return false;
  bpf_for(i, 0, (int)words) {
    __u32 word = (__u32)i;
    if (word >= BW_KEY_WORDS || signer->key[word] != note->key[word]) return false;
  }
  return true;
}

static __noinline __u32 signer_of_key(const struct bw_image* image, const struct task_note* note) {
  int i;
  if (!note->key_length) return BW_SIGNER_UNKNOWN;
  bpf_for(i, BW_SIGNER_FIRST_KEY, (int)image->signer_count) {
    __u32 slot = (__u32)i;
    if (slot >= BW_MAX_SIGNERS) break;
    if (same_key(&image->signers[slot], note)) return slot;
  }
  return BW_SIGNER_UNKNOWN;
}

static __always_inline __u32 find_signer(const struct bw_image* image, struct task_note* note,
                                         __s32 keyring_id) {
  if (keyring_id == 0) return BW_SIGNER_BUILTIN;
  if (keyring_id == 1) return BW_SIGNER_SECONDARY;  // VERIFY_USE_SECONDARY_KEYRING
  if (keyring_id == 2) return BW_SIGNER_PLATFORM;   // VERIFY_USE_PLATFORM_KEYRING
  if (!note || note->key_evidence != KEY_SOLE_SIGNER) return BW_SIGNER_UNKNOWN;
  return signer_of_key(image, note);
}

static __always_inline void gather_signature(struct bw_program* record, struct bpf_prog* prog,
                                             union bpf_attr* attr, const struct bw_image* image,
                                             struct task_note* note) {
  record->flags |= BW_PROGRAM_SIGNED;
  record->facts.signature = signature_type(attr);
  record->facts.signer = find_signer(image, note, attr->keyring_id);
  if (note && note->key_evidence == KEY_SOLE_SIGNER) record->key_serial = note->key_serial;
  if (bpf_core_field_exists(prog->digest))
    bpf_probe_read_kernel(record->digest, sizeof(record->digest), prog->digest);
  if (attr->core_relo_cnt || attr->func_info_cnt || attr->line_info_cnt || attr->prog_btf_fd)
    record->facts.guard = BW_CAUSE_UNSIGNED_PARTS;
}

static __always_inline void inherit_from_loader(struct bw_program* record,
                                                const struct task_note* note) {
  if (record->origin != BW_ORIGIN_LOADER || !note) {
    record->facts.guard = BW_CAUSE_KERNEL_LOAD;
    return;
  }
  record->facts.signature = note->loader_signature;
  record->facts.signer = note->loader_signer;
  record->key_serial = note->loader_key_serial;
  record->loader_id = note->loader_id;
  __builtin_memcpy(record->loader_digest, note->loader_digest, sizeof(record->loader_digest));
}

static __always_inline void gather(struct bw_program* record, struct bpf_prog* prog,
                                   union bpf_attr* attr, bool kernel, const struct bw_image* image,
                                   struct task_note* note) {
  record->facts.prog_type = prog->type;
  record->facts.attach_type = prog->expected_attach_type;
  __u32 attach_class =
      bw_class_of(image, record->facts.prog_type, record->facts.attach_type) & (BW_CLASSES - 1);
  if (image->classes[attach_class].flags & BW_CLASS_NAMED) gather_target(&record->facts, prog);
  if (kernel) record->origin = note && note->loader_aux ? BW_ORIGIN_LOADER : BW_ORIGIN_KERNEL;
  if (is_verified(prog, attr))
    gather_signature(record, prog, attr, image, note);
  else if (kernel)
    inherit_from_loader(record, note);
}
