// The system calls that call_bench times, each ready to be made again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace bpfwarden::vm {

// One call: what it takes, in nanoseconds. What has to be done before and after is not counted.
// What it needs is made together with it, under the policy then in force, and is the call's own.
// Throws std::runtime_error where the call does not come out as it should.
using Call = std::function<int64_t()>;

Call load_of(size_t instructions);
Call map_lookup();
Call link_create();
Call file_open();
Call unlink_file();
Call exec_program();
Call add_route();
Call add_filter();

// By who has no right to attach anything; two of them hold 65,000 descriptors.
Call filter_messages();
Call attach_nothing_to_socket();
Call link_of_nothing();

}  // namespace bpfwarden::vm
