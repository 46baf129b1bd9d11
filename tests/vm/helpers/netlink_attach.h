// Requests of rtnetlink that libbpf does not make: an action, a route with programs.
#pragma once

#include "base/fd.h"
#include "tests/vm/helpers/netlink_request.h"

namespace bpfwarden::vm {

// By a socket of NETLINK_ROUTE, or of that protocol. 0, or the errno of sending it, or that of the
// kernel's answer.
int send_request(Request request);
int send_buffer(int protocol, const std::vector<uint8_t>& buffer);

// As an action of tc, on no filter. 0, or errno. What was made is taken away.
int add_action(const Fd& program);

enum class Hook { in, out, xmit, seg6local };

// On a route to a documentation address, by att0. 0, or errno. The route is taken away.
int add_route(const Fd& program, Hook hook);

// Renames a device and attaches an XDP program, by the device's number: in one message, or in two
// of one buffer. No name: only attaches, after a message that changes nothing. 0, or errno.
enum class Messages { one, two };
int rename_and_attach(const Fd& program, int device, const char* name, Messages messages);

}  // namespace bpfwarden::vm
