// Races between an attachment and an exchange of what is attached, and how each comes out.
//
// A contest attaches one number while another thread changes what the number stands for. Its
// rounds are counted; how long it takes is never its verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/shared_memory.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {

struct RacedProgram {
  int error = 0;
  uint32_t program = 0;  // what is attached, where there is no error
};

// Attaches, looks which program it is, and detaches.
using AttachAndLook = std::function<RacedProgram(int fd)>;

struct Contest {
  const char* route;
  TwoPrograms two;
  std::string rules;
  AttachAndLook attach;
  bool makes_links = false;  // that are gone with their process
};

struct Score {
  size_t rounds = 0, wanted = 0, other = 0, refused = 0, failed_otherwise = 0;

  void count(const RacedProgram& outcome, uint32_t wanted_id);
};

// Of children that may be killed at any moment.
using SharedScore = SharedMemory<Score>;

using StartExchange = std::function<std::unique_ptr<Exchange>()>;

// Under `deny`: without a policy the exchange wins at least once, with it never.
void race(const Contest& contest);

// Under `detect`: each exchange that wins is told of, and its process killed.
void race_detected(const Contest& contest);

// The same of what `start` exchanges, under the policy in force, until an exchange has won, and for
// some time or so many rounds. The round that killed a child counts as one.
[[nodiscard]] SharedScore compete_in_children(Warden& warden, const Contest& contest,
                                              uint32_t wanted, const StartExchange& start);

}  // namespace bpfwarden::vm
