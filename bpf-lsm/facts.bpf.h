// The facts of a load, from kernel copies only: what is loaded, for where, signed by whom. What
// cannot be read is left out, and denied for it.
#pragma once

#include "bpf-lsm/subject.bpf.h"
#include "bpf-lsm/verify/pkcs7.bpf.h"

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

static const char kOfProgram[] = "prog";

static __always_inline bool has_owner(__u32 prog_type, __u32 attach_type) {
  if (prog_type == BPF_PROG_TYPE_STRUCT_OPS) return true;
  return prog_type == BPF_PROG_TYPE_TRACING && attach_type != BPF_TRACE_ITER;
}

// Who has the target: a module by its name, `prog` for another BPF program; null for the kernel. A
// tracepoint is the kernel's if its type is, through whichever BTF it was named; a function is
// looked up among the module's symbols by its name alone. A program that was attached to another
// one remembers neither it nor any BTF.
static __always_inline const char* owner_of_target(struct bpf_prog_aux* aux, __u32 prog_type,
                                                   __u32 attach_type, __u32 id) {
  struct btf* btf = BPF_CORE_READ(aux, attach_btf);
  if (!has_owner(prog_type, attach_type)) return 0;
  if (prog_type == BPF_PROG_TYPE_TRACING && (!btf || BPF_CORE_READ(aux, dst_prog)))
    return kOfProgram;
  if (!btf || !BPF_CORE_READ(btf, base_btf)) return 0;
  if (attach_type == BPF_TRACE_RAW_TP && id < BPF_CORE_READ(btf, start_id)) return 0;
  return (const char*)btf + bpf_core_field_offset(struct btf, name);
}

// `owner`, if there is one, is written `:owner:` before the name: no prefix of the kernel's own
// names begins so. Returns the length without NUL, 0 if there is no name or it does not fit.
static __always_inline __u32 read_target(char* target, const char* name, __u32 prog_type,
                                         __u32 attach_type, const char* owner) {
  if (!name) return 0;
  name += prefix_length(name, prog_type, attach_type);
  const long size = owner ? BPF_SNPRINTF(target, BW_NAME_SIZE, ":%s:%s", owner, name)
                          : bpf_probe_read_kernel_str(target, BW_NAME_SIZE, name);
  return size <= 1 || size >= BW_NAME_SIZE ? 0 : size - 1;
}

static __always_inline void gather_target(struct bw_facts* facts, struct bpf_prog* prog) {
  struct bw_name* target = &facts->names[BW_NAME_TARGET];
  struct bpf_prog_aux* aux = prog->aux;
  struct btf* btf = aux->attach_btf;
  if (!btf && aux->dst_prog) btf = BPF_CORE_READ(aux, dst_prog, aux, btf);
  const char* name = btf ? btf_type_name(btf, aux->attach_btf_id) : 0;
  const char* owner =
      owner_of_target(aux, facts->prog_type, facts->attach_type, aux->attach_btf_id);
  target->length =
      read_target((char*)target->bytes, name, facts->prog_type, facts->attach_type, owner);
  target->known = target->length != 0;
  if (!target->known) return;
  // A positive return value from there ends the walk of the LSM hooks before it reaches us.
  if (facts->prog_type == BPF_PROG_TYPE_TRACING && facts->attach_type == BPF_MODIFY_RETURN &&
      !__builtin_memcmp(target->bytes, "security_", 9))
    facts->guard = BW_CAUSE_LSM_BYPASS;
}

// The digest covers the instructions as they are now: CO-RE relocations change it.
static __always_inline bool gather_digest(struct bw_facts* facts, struct bpf_prog* prog) {
  struct bw_name* digest = &facts->names[BW_NAME_DIGEST];
  if (!BW_KERNEL_HAS(program_digest)) return false;
  if (bpf_probe_read_kernel(digest->bytes, BW_DIGEST_SIZE, prog->digest)) return false;
  digest->length = BW_DIGEST_SIZE;
  digest->known = 1;
  return true;
}

static __always_inline bool is_verified_here(const struct task_note* note) {
  return verifies_here() && note->signature.verified_here;
}

static __always_inline bool is_verified(struct bpf_prog* prog, union bpf_attr* attr,
                                        const struct task_note* note) {
  if (is_verified_here(note)) return true;
  if (!BW_KERNEL_HAS(signature_attr)) return false;
  if (BW_KERNEL_HAS(signature_verdict)) return prog->aux->sig.verdict == 1;
  return attr->signature != 0;  // 6.18 to 7.1: the hook is reached only if it verified
}

static __always_inline __u8 signature_type(union bpf_attr* attr, const struct task_note* note) {
  if (is_verified_here(note))
    return note->signature.covers_map ? BW_SIGNATURE_PROG_USED_MAPS : BW_SIGNATURE_PROG_ONLY;
  if (!BW_KERNEL_HAS(folded_maps)) return BW_SIGNATURE_PROG_ONLY;
  return attr->fd_array_cnt ? BW_SIGNATURE_PROG_USED_MAPS : BW_SIGNATURE_PROG_ONLY;
}

static __always_inline __s32 keyring_of(union bpf_attr* attr, const struct task_note* note) {
  __s32 here = note->signature.keyring;
  barrier_var(here);  // or clang chooses between their addresses, which the verifier refuses
  return !BW_KERNEL_HAS(signature_attr) || is_verified_here(note) ? here : attr->keyring_id;
}

static __always_inline __u32 system_keyring(__s32 keyring_id) {
  if (keyring_id == 0) return BW_SIGNER_BUILTIN;
  if (keyring_id == 1) return BW_SIGNER_SECONDARY;  // VERIFY_USE_SECONDARY_KEYRING
  if (keyring_id == 2) return BW_SIGNER_PLATFORM;   // VERIFY_USE_PLATFORM_KEYRING
  if (keyring_id == KEY_SPEC_BPF_KEYRING && BW_KERNEL_HAS(bpf_keyring)) return BW_SIGNER_BPF;
  return 0;
}

// By the keys that this very load has shown. A global function, which the verifier walks through
// once; it looks the image up by itself, as judge_by() does.
__noinline int find_signer_in(__u64 generation, __s32 keyring_id) {
  const struct bw_image* image = image_of(generation);
  struct task_note* note = task_note(0);
  if (!image || !note) return BW_SIGNER_UNKNOWN;
  return (int)bw_find_signer(image, &note->signature.by, system_keyring(keyring_id));
}

static __always_inline __u32 find_signer(const struct bw_image* image, __s32 keyring_id) {
  return (__u32)find_signer_in(image->generation, keyring_id);
}

static __always_inline void gather_signature(struct bw_program* record, struct bpf_prog* prog,
                                             union bpf_attr* attr, const struct bw_image* image,
                                             struct task_note* note) {
  record->flags |= BW_PROGRAM_SIGNED;
  if (is_verified_here(note)) record->flags |= BW_PROGRAM_VERIFIED_HERE;
  record->facts.signature = signature_type(attr, note);
  record->facts.signer = find_signer(image, keyring_of(attr, note));
  if (note->signature.by.evidence >= BW_EVIDENCE_SOLE_SIGNER)
    record->key_serial = note->signature.key_serial;
  // Before 7.3 it is computed only after the hook.
  if (BW_KERNEL_HAS(folded_maps)) gather_digest(&record->facts, prog);
  if (attr->core_relo_cnt || attr->func_info_cnt || attr->line_info_cnt || attr->prog_btf_fd)
    record->facts.guard = BW_CAUSE_UNSIGNED_PARTS;
}

static __always_inline void inherit_from_loader(struct bw_program* record,
                                                const struct bw_image* image,
                                                const struct task_note* note) {
  if (record->facts.origin != BW_ORIGIN_LOADER) {
    record->facts.guard = BW_CAUSE_KERNEL_LOAD;
    return;
  }
  record->facts.signature = note->run.signature;
  record->flags |= note->run.verified_here;
  record->facts.signer = note->run.generation == record->generation
                             ? note->run.signer
                             : bw_signer_by_digest(image, note->run.signer_key);
  record->key_serial = note->run.key_serial;
  record->loader_id = note->run.id;
  __builtin_memcpy(record->loader_digest, note->run.digest, sizeof(record->loader_digest));
}

// A target that cannot be read is for the verifier to refuse, as loaders expect that try what the
// kernel can do: `attach_btf_id` 0 or 1, or an LSM program for fmod_ret. The rules are asked as far
// as they are about any target, and what the verifier lets pass is decided in lsm/bpf_prog.
static __always_inline void gather_attach_point(struct bw_program* record, struct bpf_prog* prog,
                                                const struct bw_image* image) {
  struct bw_facts* facts = &record->facts;
  const __u32 known = bw_class_of(image, facts->prog_type, facts->attach_type);
  const __u32 load_class = known & (BW_LOAD_CLASSES - 1);
  const bool is_named = image->classes[load_class].flags & BW_CLASS_NAMED;
  if (!is_named && (known || facts->prog_type != BPF_PROG_TYPE_LSM)) return;
  gather_target(facts, prog);
  if (known && facts->names[BW_NAME_TARGET].known) return;
  record->flags |= BW_PROGRAM_NO_TARGET;
  if (!known) facts->attach_type = BPF_LSM_MAC;
}

static __always_inline void gather(struct bw_program* record, struct bpf_prog* prog,
                                   union bpf_attr* attr, bool kernel, const struct bw_image* image,
                                   __u32 wanted, struct task_note* note) {
  struct bw_facts* facts = &record->facts;
  facts->prog_type = prog->type;
  facts->attach_type = prog->expected_attach_type;
  facts->traits[BW_TRAIT_SLEEPABLE] = !!(attr->prog_flags & BPF_F_SLEEPABLE);
  facts->traits[BW_TRAIT_DELEGATED] = BPF_CORE_READ(prog, aux, token) != 0;
  facts->traits[BW_TRAIT_GPL_COMPATIBLE] = BPF_CORE_READ_BITFIELD_PROBED(prog, gpl_compatible);
  facts->time = bpf_ktime_get_tai_ns() / 1000000000;
  gather_subject(facts, wanted, note);
  gather_attach_point(record, prog, image);
  if (kernel) facts->origin = note->run.aux ? BW_ORIGIN_LOADER : BW_ORIGIN_KERNEL;
  if (verifies_here() && note->signature.error)
    facts->guard = BW_CAUSE_SIGNATURE_REJECTED;
  else if (is_verified(prog, attr, note))
    gather_signature(record, prog, attr, image, note);
  else if (kernel)
    inherit_from_loader(record, image, note);
}
