// What a policy's [harden] closes beside BPF: ways for root to write the kernel itself, or to boot
// another one. A bit for each in bw_image.harden; the word of an event with BW_HOOK_HARDEN.
//
// The kernel's own numbers move from version to version. The manager finds them by name in its BTF
// (loader/btf/harden_tables.cpp); the image has these.
#pragma once

#include "bpf-lsm/abi/types.h"

enum bw_hardening {
  BW_HARDENING_NONE = 0,
  BW_HARDENING_MODULES = 1,    // kernel modules, signed or not
  BW_HARDENING_KEXEC = 2,      // kernels to boot by kexec, signed or not
  BW_HARDENING_INTEGRITY = 3,  // lockdown's reasons up to LOCKDOWN_INTEGRITY_MAX; of an event: one
                               // of those that has no number here
  // The reasons of lockdown, enum lockdown_reason of the kernel.
  BW_LOCKDOWN_MODULE_SIGNATURE = 8,
  BW_LOCKDOWN_DEV_MEM = 9,
  BW_LOCKDOWN_EFI_TEST = 10,
  BW_LOCKDOWN_KEXEC = 11,
  BW_LOCKDOWN_HIBERNATION = 12,
  BW_LOCKDOWN_PCI_ACCESS = 13,
  BW_LOCKDOWN_IOPORT = 14,
  BW_LOCKDOWN_MSR = 15,
  BW_LOCKDOWN_ACPI_TABLES = 16,
  BW_LOCKDOWN_DEVICE_TREE = 17,
  BW_LOCKDOWN_PCMCIA_CIS = 18,
  BW_LOCKDOWN_TIOCSSERIAL = 19,
  BW_LOCKDOWN_MODULE_PARAMETERS = 20,
  BW_LOCKDOWN_MMIOTRACE = 21,
  BW_LOCKDOWN_DEBUGFS = 22,
  BW_LOCKDOWN_XMON_WR = 23,
  BW_LOCKDOWN_BPF_WRITE_USER = 24,
  BW_LOCKDOWN_DBG_WRITE_KERNEL = 25,
  BW_LOCKDOWN_RTAS_ERROR_INJECTION = 26,
  BW_LOCKDOWN_XEN_USER_ACTIONS = 27,
  BW_LOCKDOWN_KCORE = 28,
  BW_LOCKDOWN_KPROBES = 29,
  BW_LOCKDOWN_DBG_READ_KERNEL = 30,
  BW_LOCKDOWN_PERF = 31,
  BW_LOCKDOWN_TRACEFS = 32,
  BW_LOCKDOWN_XMON_RW = 33,
  BW_LOCKDOWN_XFRM_SECRET = 34,
  BW_HARDENINGS,
};

enum {
  BW_MAX_LOCKDOWN_REASONS = 64,  // of the kernel; Linux 7.3 has 31
  BW_MAX_LOADED_KINDS = 16,      // enum kernel_load_data_id, enum kernel_read_file_id; it has 9
};

BW_STATIC_ASSERT(BW_HARDENINGS <= 64, "a bit for each");
