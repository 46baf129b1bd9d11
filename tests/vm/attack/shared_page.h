// Memory that two processes have, and one of them writes while the kernel reads it for the other.
#pragma once

#include <sys/types.h>

#include <functional>

namespace bpfwarden::vm {

// A page that this process and those that it makes have.
struct SharedPage {
  volatile unsigned long number;
  char text[64];

  static SharedPage& make();
};

// Another process, on the second processor, that takes its turn again and again.
class Writer {
 public:
  explicit Writer(const std::function<void()>& turn);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

 private:
  pid_t process_;
};

// Writes the one, then the other.
[[nodiscard]] std::function<void()> exchange(std::function<void()> first,
                                             std::function<void()> second);

}  // namespace bpfwarden::vm
