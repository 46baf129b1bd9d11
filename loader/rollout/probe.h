// What the running kernel offers, found by asking it (BTF, securityfs, bpffs), never by its
// version.
#pragma once

#include <string>
#include <vector>

namespace bpfwarden::loader {

enum class Finding {
  ok,
  limited,  // works, with less than Linux 7.3 offers
  missing,  // bpfwarden cannot enforce here
};

struct Capability {
  std::string name;
  Finding finding = Finding::ok;
  std::string detail;  // what was found
  std::string remedy;  // how to get it; empty when ok
};

// Reads only; needs no privilege for most of it, and says so where it does.
[[nodiscard]] std::vector<Capability> probe_kernel();

// What signatures the kernel can verify, asked with a new key of each kind, so that it loads the
// modules it has. Takes a moment.
[[nodiscard]] Capability probe_algorithms();

// Harmless programs of each kind, attached for a moment; see loader/kernel/trial.h. Where a policy
// is active its hooks have been through that.
[[nodiscard]] Capability probe_by_trying();

// The security modules that are active, as the kernel lists them; empty: cannot be read.
[[nodiscard]] std::string active_modules();

// The first capability without which nothing can be enforced, or null.
[[nodiscard]] const Capability* first_missing(const std::vector<Capability>& found);

}  // namespace bpfwarden::loader
