// Others who share something with this process, and a child who shares nothing; and what they could
// exchange for another: two programs of one family, of which a policy allows one.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// A thread that does nothing. It is gone from the kernel when the object is.
class Companion {
 public:
  Companion();
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  ~Companion();

 private:
  std::atomic<bool> leaves_ = false;
  std::thread thread_;
};

// A process that does nothing and shares what the flags of clone(2) say: CLONE_FILES or CLONE_VM.
class Sharer {
 public:
  explicit Sharer(int flags);
  Sharer(const Sharer&) = delete;
  Sharer& operator=(const Sharer&) = delete;
  ~Sharer();

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  std::vector<char> stack_;
  pid_t pid_;
};

// For the calling thread.
void run_on(size_t processor);

// A thread, on the second processor, that exchanges what is behind a number for as long as the
// object lives.
class Exchange {
 public:
  using Turn = std::function<void(int slot)>;

  Exchange(const Fd& first, Turn turn);  // `first` is what is there before the first turn
  Exchange(const Fd& wanted, const Fd& other);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  [[nodiscard]] int slot() const { return slot_.get(); }

 private:
  Fd slot_;
  std::atomic<bool> stops_ = false, is_on_ = false;
  std::thread thread_;
};

// Until this process has one thread: what a thread shared is let go of after join() returns.
void wait_until_alone();

// A rule, with its action among the settings, about an unsigned program that it names by its
// digest. A case that asks for one is skipped where the kernel keeps none.
[[nodiscard]] std::string rule_about(const Load& program, const char* name,
                                     const std::string& settings);

// Both may be loaded. The one that the rules call "wanted" may be attached where `pattern` says.
struct TwoPrograms {
  Load wanted, other;

  [[nodiscard]] std::string rules(const std::string& family, const std::string& pattern) const;
};

// What `work` returns in a child of this process, from 0 to 255.
int in_child(const std::function<int()>& work);
// Likewise, in a mount namespace of its own, whose changes nobody else sees; or the errno of that.
int in_own_mounts(const std::function<int()>& work);

}  // namespace bpfwarden::vm
