// Random buffers of netlink: messages that attach programs, some that do not, and what becomes of
// either when bytes, lengths, flags and order change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "random_policy.h"

namespace bpfwarden::vm {

// What the messages are about: devices by their numbers, programs by their descriptors.
struct Aims {
  int device = 2;
  int other = 3;
  int cls = 10, act = 11, xdp = 12, lwt = 13, socket = 14;
};

struct RandomBuffer {
  int protocol = 0;
  std::vector<uint8_t> bytes;
};

[[nodiscard]] RandomBuffer random_buffer(policy::test::Dice& dice, const Aims& aims);

// For failure messages.
[[nodiscard]] std::string describe(const RandomBuffer& buffer);

}  // namespace bpfwarden::vm
