// The warden: decides in the kernel which BPF programs may load, by the active policy image.
//
// hook                              threat it answers
// lsm/bpf                           stale evidence: forgets what an earlier call of the task left
// lsm/bpf_prog_load                 unsigned, foreign, replayed or misplaced programs: the decision
// lsm/bpf_prog                      instructions or attach target changed after they were verified
// lsm/bpf_map_create                a loader's metadata rewritten after its signature was checked
// lsm/bpf_prog_free                 a freed program's provenance inherited by another one
// fentry+fexit/bpf_prog_test_run_syscall  kernel loads that no signed loader makes
// fexit/verify_signature            which key verified (evidence)
// fexit/pkcs7_validate_trust        that it was the only signer (evidence)
// fexit/__x64_sys_bpf               signatures that the kernel itself refused (report only)
//
// Only the LSM programs decide. A tracing program may be skipped by the kernel on recursion, so it
// adds evidence and nothing else: no note of a key means an unknown signer, no mark of a loader run
// means a refused kernel load. Whatever cannot be looked up is denied.
#include "bpf-lsm/kernel_types.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf-lsm/abi/program.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define EPERM 1
#define ARRAY_ZERO (&(__u32){0})

struct file* bpf_get_task_exe_file(struct task_struct* task) __ksym __weak;
void bpf_put_file(struct file* file) __ksym __weak;
int bpf_path_d_path(const struct path* path, char* buf, size_t buf__sz) __ksym __weak;

// What the manager fills and freezes before it flips the control word.
struct image_map {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, struct bw_image);
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, BW_SLOTS);
  __type(key, __u32);
  __array(values, struct image_map);
} generations SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, struct bw_control);
} control SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BW_MAX_PROGRAMS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);
  __type(value, struct bw_program);
} programs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 22);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} sequence SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct bw_counters);
} counters SEC(".maps");

enum key_evidence { KEY_NONE, KEY_VERIFIED, KEY_SOLE_SIGNER };

// What the hooks of one task tell each other within one bpf(2) call.
struct task_note {
  __u8 signed_load;   // a load with a signature is under way, its verdict not yet known
  __u8 key_evidence;  // enum key_evidence, of that load
  __u8 loader_signature;
  __u8 reserved;
  __u32 loader_signer;
  __u64 loader_aux;  // != 0: an admitted signed loader runs in this task
  __u32 loader_id;
  __s32 loader_key_serial;
  __u8 loader_digest[BW_DIGEST_SIZE];
  __u64 verified_sig;  // address of the public_key_signature that verified
  __s32 key_serial;
  __u32 key_length;
  __u64 algorithm[BW_ALGORITHM_SIZE / 8];
  __u64 key[BW_KEY_WORDS];
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct task_note);
} notes SEC(".maps");

static __always_inline struct task_note* task_note(__u64 flags) {
  return bpf_task_storage_get(&notes, bpf_get_current_task_btf(), 0, flags);
}

// Names the type in the object's BTF, which tests/unit/bpf-lsm compares with the manager's.
const struct bw_event* event_type __attribute__((unused));

// ---- The active image ---------------------------------------------------------------------------

static __always_inline const struct bw_image* active_image(__u64* generation) {
  struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  if (!word) return 0;
  *generation = *(volatile __u64*)&word->generation;
  if (!*generation) return 0;
  __u32 slot = *generation % BW_SLOTS;
  void* image_map = bpf_map_lookup_elem(&generations, &slot);
  if (!image_map) return 0;
  const struct bw_image* image = bpf_map_lookup_elem(image_map, ARRAY_ZERO);
  if (!image || image->magic != BW_IMAGE_MAGIC || image->abi != BW_IMAGE_ABI) return 0;
  return image;
}

// ---- Events -------------------------------------------------------------------------------------

static __always_inline void count(const struct bw_decision* decision, bool observed, bool dropped) {
  struct bw_counters* now = bpf_map_lookup_elem(&counters, ARRAY_ZERO);
  if (!now) return;
  if (observed)
    now->observed++;
  else
    now->decided++;
  if (!observed && bw_refused(decision)) now->refused++;
  if (!observed && !decision->allow && decision->mode == BW_MODE_AUDIT) now->would_deny++;
  if (dropped) now->dropped++;
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

// ---- Facts of a load ----------------------------------------------------------------------------

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
  if (!note || !note->loader_aux) {
    record->origin = BW_ORIGIN_KERNEL;
    record->facts.guard = BW_CAUSE_KERNEL_LOAD;
    return;
  }
  record->origin = BW_ORIGIN_LOADER;
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
  if (is_verified(prog, attr))
    gather_signature(record, prog, attr, image, note);
  else if (kernel)
    inherit_from_loader(record, note);
}

// ---- Deciding hooks -----------------------------------------------------------------------------

SEC("lsm/bpf")
int BPF_PROG(warden_bpf, int cmd, union bpf_attr* attr, unsigned int size, bool kernel, int ret) {
  const bool is_load = cmd == BPF_PROG_LOAD;
  const bool is_signed = is_load && bpf_core_field_exists(attr->signature) && attr->signature;
  const bool is_run = cmd == BPF_PROG_TEST_RUN;
  struct task_note* note = task_note(is_signed || is_run ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
  if (!note) return ret;  // no evidence can be noted: such a load has an unknown signer
  if (!kernel) note->loader_aux = 0;
  if (is_load) {
    note->signed_load = is_signed;
    note->key_evidence = KEY_NONE;
  }
  return ret;
}

static __always_inline int refuse_blind(enum bw_hook hook, struct bw_program* record,
                                        struct bpf_prog* prog) {
  record->decision = (struct bw_decision){
      .mode = BW_MODE_ENFORCE, .cause = BW_CAUSE_MISSING_FACT, .rule = BW_NO_RULE};
  return conclude(hook, record, 0, prog);
}

SEC("lsm/bpf_prog_load")
int BPF_PROG(warden_prog_load, struct bpf_prog* prog, union bpf_attr* attr, struct bpf_token* token,
             bool kernel, int ret) {
  struct bw_program record = {};
  struct task_note* note = task_note(0);
  if (note) note->signed_load = 0;  // from here on a failure is not the signature's
  if (ret) return ret;
  const struct bw_image* image = active_image(&record.generation);
  if (!image) return refuse_blind(BW_HOOK_PROG_LOAD, &record, prog);
  record.policy_version = image->policy_version;
  gather(&record, prog, attr, kernel, image, note);
  bw_decide(image, &record.facts, &record.decision);
  if (!bw_refused(&record.decision)) {
    __u64 key = (__u64)prog->aux;
    if (bpf_map_update_elem(&programs, &key, &record, BPF_ANY)) {
      record.decision.allow = 0;
      record.decision.cause = BW_CAUSE_MISSING_FACT;
      record.decision.rule = BW_NO_RULE;
    }
  }
  return conclude(BW_HOOK_PROG_LOAD, &record, image, prog);
}

// The attach target that the verifier resolved must be the one that was decided upon.
static __always_inline bool target_kept(const struct bw_facts* facts, struct bpf_prog* prog) {
  __u64 now[BW_NAME_WORDS] = {};
  if (!facts->name_length || facts->prog_type == BPF_PROG_TYPE_STRUCT_OPS) return true;
  if (!read_target((char*)now, prog->aux->attach_func_name, facts->prog_type, facts->attach_type))
    return false;
  for (__u32 i = 0; i < BW_NAME_WORDS; i++)
    if (now[i] != facts->name[i]) return false;
  return true;
}

static __always_inline bool digest_kept(const struct bw_program* record, struct bpf_prog* prog) {
  __u64 now[BW_DIGEST_SIZE / 8] = {}, then[BW_DIGEST_SIZE / 8];
  if (!(record->flags & BW_PROGRAM_SIGNED)) return true;
  // Before 7.3 the digest is computed only after the hook: there, only the guard on unsigned parts
  // keeps the instructions as they were signed.
  if (!bpf_core_field_exists(struct bpf_verifier_env, signature)) return true;
  if (!bpf_core_field_exists(prog->digest)) return false;
  if (bpf_probe_read_kernel(now, sizeof(now), prog->digest)) return false;
  __builtin_memcpy(then, record->digest, sizeof(then));
  for (__u32 i = 0; i < BW_DIGEST_SIZE / 8; i++)
    if (now[i] != then[i]) return false;
  return true;
}

// A program that the warden has no record of: resident from before, or one that went around it.
static __always_inline int judge_stranger(struct bpf_prog* prog) {
  struct bw_program record = {};
  struct bw_control* word = bpf_map_lookup_elem(&control, ARRAY_ZERO);
  if (word && (!word->attached_ns || prog->aux->load_time <= word->attached_ns)) return 0;
  const struct bw_image* image = active_image(&record.generation);
  if (!image) return refuse_blind(BW_HOOK_PROG, &record, prog);
  record.facts.prog_type = prog->type;
  record.facts.attach_type = prog->expected_attach_type;
  record.facts.guard = BW_CAUSE_NO_PROVENANCE;
  record.program_id = prog->aux->id;
  bw_decide(image, &record.facts, &record.decision);
  return conclude(BW_HOOK_PROG, &record, image, prog);
}

SEC("lsm/bpf_prog")
int BPF_PROG(warden_prog, struct bpf_prog* prog, int ret) {
  __u64 key = (__u64)prog->aux;
  if (ret) return ret;
  struct bw_program* known = bpf_map_lookup_elem(&programs, &key);
  if (!known) return judge_stranger(prog);
  if (known->flags & BW_PROGRAM_CONFIRMED) return 0;

  known->program_id = prog->aux->id;
  if (!digest_kept(known, prog))
    known->facts.guard = BW_CAUSE_DIGEST_CHANGED;
  else if (!target_kept(&known->facts, prog))
    known->facts.guard = BW_CAUSE_TARGET_CHANGED;
  else {
    known->flags |= BW_PROGRAM_CONFIRMED;
    return 0;
  }
  const struct bw_image* image = active_image(&known->generation);
  if (!image) return refuse_blind(BW_HOOK_PROG, known, prog);
  bw_decide(image, &known->facts, &known->decision);
  if (!bw_refused(&known->decision)) known->flags |= BW_PROGRAM_CONFIRMED;
  return conclude(BW_HOOK_PROG, known, image, prog);
}

SEC("lsm/bpf_map_create")
int BPF_PROG(warden_map_create, struct bpf_map* map, union bpf_attr* attr, struct bpf_token* token,
             bool kernel, int ret) {
  struct bw_program record = {};
  if (ret) return ret;
  if (!bpf_core_field_exists(attr->excl_prog_hash)) return 0;
  if (!attr->excl_prog_hash || !(attr->map_flags & BPF_F_MMAPABLE)) return 0;
  const struct bw_image* image = active_image(&record.generation);
  if (!image) return refuse_blind(BW_HOOK_MAP_CREATE, &record, 0);
  record.facts.guard = BW_CAUSE_WRITABLE_EXCLUSIVE_MAP;
  record.origin = kernel ? BW_ORIGIN_KERNEL : BW_ORIGIN_USER;
  bw_decide(image, &record.facts, &record.decision);
  return conclude(BW_HOOK_MAP_CREATE, &record, image, 0);
}

SEC("lsm/bpf_prog_free")
int BPF_PROG(warden_prog_free, struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  bpf_map_delete_elem(&programs, &key);
  return 0;
}

// ---- Evidence -----------------------------------------------------------------------------------

// A loader runs once, and only while no other thread can swap the file descriptors it makes.
SEC("fentry/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_start, struct bpf_prog* prog) {
  __u64 key = (__u64)prog->aux;
  struct task_note* note = task_note(0);
  if (!note) return 0;
  note->loader_aux = 0;
  struct bw_program* loader = bpf_map_lookup_elem(&programs, &key);
  if (!loader || !(loader->flags & BW_PROGRAM_SIGNED)) return 0;
  if (!(loader->flags & BW_PROGRAM_CONFIRMED)) return 0;
  if (BPF_CORE_READ(bpf_get_current_task_btf(), files, count.counter) != 1) return 0;
  if (__sync_lock_test_and_set(&loader->has_run, 1)) return 0;
  note->loader_signature = loader->facts.signature;
  note->loader_signer = loader->facts.signer;
  note->loader_key_serial = loader->key_serial;
  note->loader_id = loader->program_id;
  __builtin_memcpy(note->loader_digest, loader->digest, sizeof(note->loader_digest));
  note->loader_aux = key;
  return 0;
}

SEC("fexit/bpf_prog_test_run_syscall")
int BPF_PROG(note_loader_end, struct bpf_prog* prog) {
  struct task_note* note = task_note(0);
  if (note) note->loader_aux = 0;
  return 0;
}

static __always_inline bool is_public_key(const struct key* key) {
  static const char expected[] = "public_key";
  char name[sizeof(expected)] = {};
  struct asymmetric_key_subtype* subtype = BPF_CORE_READ(key, payload.data[1]);
  if (bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(subtype, name)) < 0) return false;
  return !__builtin_memcmp(name, expected, sizeof(expected));
}

static __always_inline void note_public_key(struct task_note* note, const struct key* key) {
  struct public_key* public = BPF_CORE_READ(key, payload.data[0]);
  __u32 length = BPF_CORE_READ(public, keylen);
  if (!length || length >= BW_KEY_SIZE) return;
  __u32 last = length / 8;
  barrier_var(last);
  if (last >= BW_KEY_WORDS) return;
  note->key[last] = 0;  // pads the last word: keys are compared word by word
  if (bpf_probe_read_kernel(note->key, length, BPF_CORE_READ(public, key))) return;
  __builtin_memset(note->algorithm, 0, sizeof(note->algorithm));
  if (bpf_probe_read_kernel_str(note->algorithm, sizeof(note->algorithm),
                                BPF_CORE_READ(public, pkey_algo)) < 0)
    return;
  note->key_length = length;
  note->key_serial = key->serial;
  note->key_evidence = KEY_VERIFIED;
}

SEC("fexit/verify_signature")
int BPF_PROG(note_verified_key, const struct key* key, const struct public_key_signature* sig,
             int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signed_load) return 0;
  note->key_evidence = KEY_NONE;
  if (ret || !is_public_key(key)) return 0;
  note->verified_sig = (__u64)sig;
  note_public_key(note, key);
  return 0;
}

// One signer, and the key verified that signer's signature, not a certificate that it brought
// along.
SEC("fexit/pkcs7_validate_trust")
int BPF_PROG(note_sole_signer, struct pkcs7_message* message, struct key* ring, int ret) {
  struct task_note* note = task_note(0);
  if (!note || !note->signed_load || ret || note->key_evidence != KEY_VERIFIED) return 0;
  struct pkcs7_signed_info* info = message->signed_infos;
  if (!info || BPF_CORE_READ(info, next)) return 0;
  if ((__u64)BPF_CORE_READ(info, sig) != note->verified_sig) return 0;
  note->key_evidence = KEY_SOLE_SIGNER;
  return 0;
}

// A load that carried a signature and failed before lsm/bpf_prog_load: the kernel refused it.
SEC("fexit/__x64_sys_bpf")
int BPF_PROG(observe_rejection, const void* regs, long ret) {
  struct bw_program record = {};
  struct task_note* note = task_note(0);
  if (!note || !note->signed_load) return 0;
  note->signed_load = 0;
  if (ret >= 0) return 0;
  const struct bw_image* image = active_image(&record.generation);
  struct bw_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  const __u64 number = next_sequence();
  count(&record.decision, true, !event);
  if (!event) return 0;
  __builtin_memset(event, 0, sizeof(*event));
  event->abi = BW_EVENT_ABI;
  event->hook = BW_HOOK_OBSERVED;
  event->refused = 1;
  event->error = -ret;
  event->sequence = number;
  event->time_ns = bpf_ktime_get_boot_ns();
  event->generation = record.generation;
  event->mode = BW_MODE_ENFORCE;
  event->rule = BW_NO_RULE;
  event->cause = BW_CAUSE_KERNEL_REJECTED;
  describe_policy(event, image);
  describe_task(event);
  bpf_ringbuf_submit(event, 0);
  return 0;
}
