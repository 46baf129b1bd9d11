// What those cases have in common in which somebody wins a race for a link, and others want the
// link: functions of which a policy allows one, and the ways to get at the link.
#pragma once

#include <sys/types.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/vm/attack/shared_page.h"

namespace bpfwarden::vm {

// Where kprobe.multi may go: a function, or "*".
[[nodiscard]] std::string rules_for_functions(const std::string& functions);

// The list of a link, which has one function, in memory that two processes have.
struct Functions {
  unsigned long wanted, other;
  SharedPage& page;

  Functions();

  [[nodiscard]] Fd link(const Fd& program) const;
  [[nodiscard]] bool is_on_other(int link) const;
  [[nodiscard]] Writer exchanged() const;
};

constexpr size_t kRoundsOfOne = 300, kChildren = 60;  // of a race

// What is had of who races.
struct Haul {
  Fd link;  // on the other function
  bool was_refused = false, is_killed = false;

  void look_at(int fd, const Functions& functions);
};

using Reach = std::function<void(pid_t racer, const Functions&, Haul&)>;

[[nodiscard]] Reach by_number();      // of links that are new
[[nodiscard]] Reach by_descriptor();  // of the first link of a child that is made next

[[nodiscard]] Fd open_process(pid_t process);
[[nodiscard]] int take_descriptor(const Fd& process, int number);

// Events of races, where the caller got this errno; 0: was killed.
[[nodiscard]] size_t races_told(const std::vector<nlohmann::json>& events, int error);

}  // namespace bpfwarden::vm
