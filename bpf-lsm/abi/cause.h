// Why a decision fell as it did: shared by decide.h, the event record and the manager's texts.
#pragma once

enum bw_cause {
  BW_CAUSE_RULE = 0,            // a rule of the policy; see bw_decision.rule
  BW_CAUSE_DEFAULT = 1,         // no rule matched
  BW_CAUSE_UNKNOWN_ATTACH = 2,  // a program or attach type that this version does not know
  BW_CAUSE_MISSING_FACT = 3,    // a helper or a lookup failed
  BW_CAUSE_UNSIGNED_PARTS = 4,  // CO-RE, func_info, line_info or BTF beside a signature
  BW_CAUSE_LSM_BYPASS = 5,      // fmod_ret on security_*: skips the LSM stack
  BW_CAUSE_DIGEST_CHANGED = 6,  // the verified instructions were rewritten
  BW_CAUSE_TARGET_CHANGED = 7,  // the attach target at bpf_prog is not the one at bpf_prog_load
  BW_CAUSE_KERNEL_LOAD = 8,     // kernel == true outside the run of an admitted loader
  BW_CAUSE_WRITABLE_EXCLUSIVE_MAP = 9,  // excl_prog_hash together with BPF_F_MMAPABLE
  BW_CAUSE_NO_PROVENANCE = 10,     // a program that never passed bpf_prog_load under the warden
  BW_CAUSE_KERNEL_REJECTED = 11,   // observed: the kernel refused the signature itself
  BW_CAUSE_DENIED_DIGEST = 12,     // the policy's deny-digests names exactly this program
  BW_CAUSE_SEALED_KEY = 13,        // bpfwarden's own keyring, or a key in it, was to be changed
  BW_CAUSE_SHARED_FILES = 14,      // an attachment by a task whose file descriptors others can swap
  BW_CAUSE_TOO_MANY_TARGETS = 15,  // more symbols in one attachment than are looked at
  BW_CAUSE_ATTACH_RACE = 16,       // observed: another program, or elsewhere, than what was judged
  BW_CAUSE_TOKEN_DENIED = 17,      // a BPF token, where the policy admits none
  BW_CAUSE_REFUSED_BEFORE = 18,    // a program that was refused once stays so
  BW_CAUSE_FOREIGN_MAP = 19,       // a loader's child uses a map that its loader's run did not make
  BW_CAUSE_TABLE_FULL = 20,        // no room to note a program, or a map of a loader
  BW_CAUSE_UNJUDGED_ROUTE = 21,    // observed: a program taken for use by a way that no hook judged
  BW_CAUSE_PROBE_GROWS = 22,       // observed: the files that append probes to events were opened
  BW_CAUSE_OWN_OBJECT_TOUCHED = 23,  // observed: somebody reached for an object of bpfwarden's own
  BW_CAUSE_WARDEN_SILENT = 24,       // the guard: the hook that it stands behind has not decided
  BW_CAUSE_ORDER_REFUSED = 25,       // a signed policy that may not take the active one's place
  BW_CAUSE_HARDENED = 26,            // a module, a kernel, or raw access to it: [harden]
  BW_CAUSE_SIGNATURE_REJECTED = 27,  // verified by bpfwarden, where the kernel cannot: not good
  BW_CAUSE_SIGNER_UNSEEN = 28,       // the programs that see who signed were skipped: try again
  BW_CAUSES,
};
