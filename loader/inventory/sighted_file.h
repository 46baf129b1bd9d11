// Programs attached to what a process holds open: perf events that run one by
// PERF_EVENT_IOC_SET_BPF, and sockets with SO_ATTACH_BPF or SO_ATTACH_REUSEPORT_EBPF. The kernel
// part lists them; BPF_TASK_FD_QUERY names kprobes, uprobes and tracepoints.
#pragma once

#include <vector>

#include "bpf-lsm/abi/inventory.h"
#include "loader/inventory/sighted.h"

namespace bpfwarden::loader {

[[nodiscard]] Sightings sightings_on_files(const std::vector<bw_listed_holder>& holders);

}  // namespace bpfwarden::loader
