// The kernel part in this process's hands: opened, loaded and attached from the built-in skeleton.
//
// Owns the skeleton. Destroying it before pin() takes every hook out of the kernel again, so a
// failure half-way leaves nothing behind.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

struct warden_bpf;

namespace bpfwarden::loader {

// Links of the iterators, as file descriptors.
struct ListLinks {
  int programs, links, holders;
};

class Warden {
 public:
  // Runs libbpf and the verifier; attaches nothing yet.
  [[nodiscard]] static Result<Warden> load(bool with_guard = false);

  // Only its iterators, attached: for a look at a kernel where no policy is active.
  [[nodiscard]] static Result<Warden> load_lists();
  [[nodiscard]] ListLinks list_links() const;  // owned by the warden

  // All hooks or none, behind them the guard if it is loaded (guard.h). A policy must have been
  // published: a warden without one refuses every load.
  // `kept`: the guard of hooks that go on.
  [[nodiscard]] Status attach(const std::vector<uint32_t>& kept = {});

  // See pin_all(). `next_root`: where the root of the host is mounted that is booted; else empty.
  [[nodiscard]] Status pin(std::string_view next_root = {});

  // Likewise, beside the pins that are there (pin_beside()). What is not settled then goes with
  // this object.
  [[nodiscard]] Status pin_beside();
  void settle();

  [[nodiscard]] int map(const char* name) const;  // -1: there is none
  [[nodiscard]] int control() const;              // map file descriptors, owned by the warden
  [[nodiscard]] int generations() const;

 private:
  struct Free {
    bool with_guard;  // that no link holds
    std::vector<uint32_t> kept;
    bool is_beside;  // its pins are, too
    void operator()(warden_bpf* skeleton) const;
  };
  explicit Warden(warden_bpf* skeleton) : skeleton_(skeleton, Free{}) {}
  [[nodiscard]] Status note(std::string_view next_root);
  std::unique_ptr<warden_bpf, Free> skeleton_;
};

}  // namespace bpfwarden::loader
