// A user namespace to which the initial one delegates what only it may do: a BPF file system that
// belongs to it says what, and BPF_TOKEN_CREATE makes of that a token to load programs with.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/fd.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// A child of this process in a user namespace of its own, where it is root and outside of it
// nothing. All commands and all types are delegated to it.
class DelegatedChild {
 public:
  // Returns from 0 to 127. `bpffs` is the root of the file system.
  using Work = std::function<int(const Fd& bpffs)>;

  explicit DelegatedChild(const Work& work);
  DelegatedChild(const DelegatedChild&) = delete;
  DelegatedChild& operator=(const DelegatedChild&) = delete;
  ~DelegatedChild();

  int result();  // waits for what the work returned; once

 private:
  pid_t pid_;
};

// From start to end, with nothing in between.
int in_delegated_child(const DelegatedChild::Work& work);

Attempt create_token(const Fd& bpffs);

[[nodiscard]] Load with_token(Load request, const Fd& token);

}  // namespace bpfwarden::vm
