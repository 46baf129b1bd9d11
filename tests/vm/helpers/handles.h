// Kernel objects that programs are attached to, made by hand. A test fails where one cannot be
// made.
#pragma once

#include <linux/bpf.h>
#include <linux/perf_event.h>

#include <string>

#include "base/fd.h"

namespace bpfwarden::vm {

inline constexpr const char* kUprobed = "/usr/bin/openssl";  // runs nowhere meanwhile

// Perf events. A function is named, or, if the name begins with 0x, given by its address.
Fd open_event(perf_event_attr attr);
Fd kprobe_event(const std::string& function, bool on_return = false);
Fd uprobe_event(uint64_t offset, bool on_return = false);
Fd tracepoint_event(const std::string& group_and_name);  // "sched/sched_switch"
Fd clock_event();

Fd open_cgroup(const std::string& path);  // as a policy names it: "/att.good"

// Sockets.
Fd udp_socket();
void set_option(const Fd& socket, int option, int value);

// Maps, by bpf(2) alone: libbpf would load a program first, to probe for a feature. Keys have 4
// bytes.
Fd make_map(bpf_map_type type, uint32_t value_size);

Fd make_link(const Fd& program, int target, bpf_attach_type type);
uint32_t link_id(const Fd& link);
uint32_t linked_program(const Fd& link);  // its id
// Waits for it: a link goes with its last descriptor, but not at once. One that may not be looked
// at is taken for the program's.
bool links_are_gone(uint32_t program);
unsigned long probed_address(const Fd& link);  // of a probe of many targets, the first
uint32_t program_id(const Fd& program);

}  // namespace bpfwarden::vm
