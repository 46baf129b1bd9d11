// What kernels may have or lack, by name. Every branch on that says BW_KERNEL_HAS(name), in the
// kernel part and in user space, so that one list tells what can differ from kernel to kernel. A
// case of tests/vm whose outcome can depend on a name carries it as a tag, `[kernel:name]`, and
// `[kernel]` with it; tests/lint/kernel_names holds the two lists against each other.
//
// The includer says how to ask, before: BW_HAS_FIELD(KIND, TYPE, MEMBER), BW_HAS_TYPE(KIND, TYPE),
// BW_HAS_VALUE(ENUM, VALUE) and BW_HAS_FUNCTION(NAME). The kernel part asks by CO-RE
// (bpf-lsm/maps.bpf.h), user space the kernel's BTF (loader/btf/kernel_has.h). No branch asks
// for a version.
#pragma once

#define BW_KERNEL_HAS(name) BW_HAS_##name

// Signatures on programs (6.18), whose verdict the program keeps (7.2), and which cover the maps
// that the program is bound to (7.3).
#define BW_HAS_signature_attr BW_HAS_FIELD(union, bpf_attr, signature)
#define BW_HAS_signature_verdict BW_HAS_FIELD(struct, bpf_prog_aux, sig.verdict)
#define BW_HAS_folded_maps BW_HAS_FIELD(struct, bpf_verifier_env, signature)

// A keyring of the kernel's that is for BPF programs alone (after 7.3).
#define BW_HAS_bpf_keyring BW_HAS_VALUE(bpf_sig_keyring, BPF_SIG_KEYRING_BPF)

// Programs of LSM hooks on a cgroup (6.0): the guard of a sealed host.
#define BW_HAS_lsm_of_cgroups BW_HAS_VALUE(bpf_attach_type, BPF_LSM_CGROUP)

// A device gets another name by this function since 6.15, by dev_change_name() before.
#define BW_HAS_netif_change_name BW_HAS_FUNCTION(netif_change_name)

// A map for one program (6.18), and the SHA-256 that says for which.
#define BW_HAS_exclusive_maps BW_HAS_FIELD(union, bpf_attr, excl_prog_hash)
#define BW_HAS_program_digest BW_HAS_FIELD(struct, bpf_prog, digest)

// A program of an LSM hook can have a signature verified (6.12: of hooks that may sleep).
#define BW_HAS_verifying_function BW_HAS_FUNCTION(bpf_verify_pkcs7_signature)

// What a certificate says that its key may be used for (6.4).
#define BW_HAS_key_flags BW_HAS_FIELD(struct, public_key, key_eflags)

// The parent of a cgroup's folder, under its name since 6.15.
#define BW_HAS_kernfs_parent BW_HAS_FIELD(struct, kernfs_node, __parent)

// What a link keeps of all kinds (6.17); before, each kind in its own way.
#define BW_HAS_link_attach_type BW_HAS_FIELD(struct, bpf_link, attach_type)

// What a link is of. Each can be left out of a kernel's configuration.
#define BW_HAS_perf_link BW_HAS_FIELD(struct, bpf_perf_link, perf_file)
#define BW_HAS_kprobe_multi_link BW_HAS_TYPE(struct, bpf_kprobe_multi_link)
#define BW_HAS_xdp_link BW_HAS_FIELD(struct, bpf_xdp_link, dev)
#define BW_HAS_tcx_link BW_HAS_TYPE(struct, tcx_link)
#define BW_HAS_netkit_link BW_HAS_TYPE(struct, netkit_link)
#define BW_HAS_netkit BW_HAS_TYPE(struct, netkit)
#define BW_HAS_cgroup_link BW_HAS_TYPE(struct, bpf_cgroup_link)
#define BW_HAS_netns_link BW_HAS_TYPE(struct, bpf_netns_link)
#define BW_HAS_sockmap_link BW_HAS_TYPE(struct, sockmap_link)

// One trampoline for entry and return (7.0). Probes of many targets at once: of a file by its
// descriptor, of functions without kprobes (7.3).
#define BW_HAS_fsession BW_HAS_VALUE(bpf_attach_type, BPF_TRACE_FSESSION)
#define BW_HAS_uprobe_file BW_HAS_FIELD(union, bpf_attr, link_create.uprobe_multi.path_fd)
#define BW_HAS_tracing_multi BW_HAS_FIELD(union, bpf_attr, link_create.tracing_multi.cnt)
#define BW_HAS_tracing_multi_link BW_HAS_TYPE(struct, bpf_tracing_multi_link)

// Who may load by a token (6.9).
#define BW_HAS_program_token BW_HAS_FIELD(union, bpf_attr, prog_token_fd)

// Work of a task's own on its way back to user space: by the second name in 6.18 alone.
#define BW_HAS_task_work BW_HAS_FUNCTION(bpf_task_work_schedule_resume)
#define BW_HAS_task_work_impl BW_HAS_FUNCTION(bpf_task_work_schedule_resume_impl)

// Functions for BPF programs.
#define BW_HAS_user_strings BW_HAS_FUNCTION(bpf_copy_from_user_str)

// Whether modules, and kernels for kexec, may have signatures: each can be left out of a kernel's
// configuration, and then nobody is asked about those without.
#define BW_HAS_module_signatures BW_HAS_FUNCTION(set_module_sig_enforced)
#define BW_HAS_kexec_signatures BW_HAS_FUNCTION(set_kexec_sig_enforced)
