// Attachments that name functions or offsets in an array, as kprobe.multi and uprobe.multi do. Each
// call makes a link, closes it, and returns 0 or errno.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace bpfwarden::vm {

unsigned long address_of(const std::string& function);  // by /proc/kallsyms
std::string address_text(const std::string& function);  // "0xffff…", as kprobe_event() takes it

int attach_functions(const Fd& program, bpf_attach_type type, uint32_t flags,
                     const std::vector<std::string>& functions);
int attach_addresses(const Fd& program, bpf_attach_type type, uint32_t flags,
                     const std::vector<unsigned long>& addresses);
int attach_offsets(const Fd& program, bpf_attach_type type, uint32_t flags, const char* file,
                   const std::vector<unsigned long>& offsets);
// The file by an open descriptor, since Linux 7.3.
int attach_offsets(const Fd& program, bpf_attach_type type, const Fd& file,
                   const std::vector<unsigned long>& offsets);

}  // namespace bpfwarden::vm
