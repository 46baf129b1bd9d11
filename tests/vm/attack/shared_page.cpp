#include "tests/vm/attack/shared_page.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <new>
#include <utility>

#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

void wait_a_little() {
  for (int i = 0; i < 300; i++) asm volatile("" ::: "memory");
}

}  // namespace

SharedPage& SharedPage::make() {
  void* const memory = ::mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return *new (memory) SharedPage{};
}

Writer::Writer(const std::function<void()>& turn) : process_(::fork()) {
  REQUIRE(process_ >= 0);
  if (process_ != 0) return;
  run_on(1);
  for (;;) turn();
}

Writer::~Writer() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

std::function<void()> exchange(std::function<void()> first, std::function<void()> second) {
  return [first = std::move(first), second = std::move(second)] {
    first();
    wait_a_little();
    second();
    wait_a_little();
  };
}

}  // namespace bpfwarden::vm
