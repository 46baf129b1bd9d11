// Holds up whoever turns a descriptor into a program (linger.bpf.c), so that what somebody else
// exchanges meanwhile is exchanged in time. For as long as the object lives; loaded before there is
// a policy.
#pragma once

#include <memory>

struct linger_bpf;

namespace bpfwarden::vm {

class Linger {
 public:
  Linger();

 private:
  struct Destroy {
    void operator()(linger_bpf* skeleton) const;
  };
  std::unique_ptr<linger_bpf, Destroy> skeleton_;
};

}  // namespace bpfwarden::vm
