// Loads beside what a case does to the policy or to the kernel part.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/shared_memory.h"

namespace bpfwarden::vm {

// Refuses XDP from people without a key, and admits sockets.
inline constexpr const char* kSignedAndSockets = R"(
[[rules]]
name = "signed"
allow = ["xdp"]
signed-by = ["netops"]
[[rules]]
name = "sockets"
allow = ["socket"]
signature = "unsigned"
)";

// A process that loads, all the time, what every policy of the case refuses and what each admits.
class Hammer {
 public:
  // `pause`: in microseconds, after each round; the manager needs the processor, and events are
  // read.
  Hammer(Load admitted, useconds_t pause) : admitted_(std::move(admitted)), child_(::fork()) {
    REQUIRE(child_ >= 0);
    if (child_ != 0) return;
    while (!seen_->stops) {
      seen_->let_in += load({}).error != EPERM;
      seen_->kept_out += load(admitted_).error != 0;
      seen_->rounds++;
      ::usleep(pause);
    }
    ::_exit(0);
  }
  Hammer(const Hammer&) = delete;
  Hammer& operator=(const Hammer&) = delete;

  // Ends it.
  ~Hammer() {
    seen_->stops = true;
    ::waitpid(child_, nullptr, 0);
  }

  uint32_t rounds() const { return seen_->rounds; }
  uint32_t let_in() const { return seen_->let_in; }
  uint32_t kept_out() const { return seen_->kept_out; }

 private:
  struct Seen {
    std::atomic<bool> stops = false;
    std::atomic<uint32_t> rounds = 0, let_in = 0, kept_out = 0;
  };
  SharedMemory<Seen> seen_ = make_shared_memory<Seen>();
  Load admitted_;
  pid_t child_;
};

}  // namespace bpfwarden::vm
