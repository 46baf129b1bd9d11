// Requests of rtnetlink that libbpf does not make: an action, a route with programs.
#pragma once

#include "base/fd.h"

namespace bpfwarden::vm {

// As an action of tc, on no filter. 0, or errno. What was made is taken away.
int add_action(const Fd& program);

enum class Hook { in, out, xmit, seg6local };

// On a route to a documentation address, by att0. 0, or errno. The route is taken away.
int add_route(const Fd& program, Hook hook);

}  // namespace bpfwarden::vm
