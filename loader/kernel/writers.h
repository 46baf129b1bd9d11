// Programs of others that could write bpfwarden's maps: those that bind one, and those that iterate
// over the elements of maps, of which nobody can say over whose.
#pragma once

#include "base/result.h"

namespace bpfwarden::loader {

// `own`: the map of this name. Errors: there is such a program; says which.
[[nodiscard]] Status require_no_writers(int own);

}  // namespace bpfwarden::loader
