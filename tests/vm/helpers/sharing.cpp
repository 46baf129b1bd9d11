#include "tests/vm/helpers/sharing.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "tests/vm/helpers/needs.h"

namespace bpfwarden::vm {

Companion::Companion() : thread_([this] { leaves_.wait(false); }) {}

Companion::~Companion() {
  leaves_ = true;
  leaves_.notify_all();
  thread_.join();
  wait_until_alone();
}

Sharer::Sharer(int flags) : stack_(size_t{64} * 1024), pid_(-1) {
  const auto wait = [](void*) {
    for (;;) ::pause();
    return 0;
  };
  pid_ = ::clone(wait, stack_.data() + stack_.size(), flags | SIGCHLD, nullptr);
  REQUIRE(pid_ > 0);
}

Sharer::~Sharer() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void run_on(size_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  (void)::sched_setaffinity(0, sizeof(set), &set);
}

Exchange::Exchange(const Fd& first, Turn turn) : slot_(::fcntl(first.get(), F_DUPFD_CLOEXEC, 0)) {
  REQUIRE(slot_);
  thread_ = std::thread([this, turn = std::move(turn)] {
    run_on(1);
    while (!stops_) {
      turn(slot_.get());
      is_on_ = true;
    }
  });
  while (!is_on_) std::this_thread::yield();
}

Exchange::Exchange(const Fd& wanted, const Fd& other)
    : Exchange(wanted, [wanted = wanted.get(), other = other.get()](int slot) {
        ::dup2(other, slot);
        ::dup2(wanted, slot);
      }) {}

Exchange::~Exchange() {
  stops_ = true;
  thread_.join();
  wait_until_alone();
}

void wait_until_alone() {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  while (threads() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::string rule_about(const Load& program, const char* name, const std::string& settings) {
  needs_digests();
  return "[[rules]]\nname = \"" + std::string(name) + "\"\n" + settings +
         "\nsignature = \"unsigned\"\ndigests = [\"sha256:" + hex(keyring::sha256(program.insns)) +
         "\"]\n";
}

std::string TwoPrograms::rules(const std::string& family, const std::string& pattern) const {
  const bool is_named = pattern.find('/', family.size()) == family.size();
  return rule_about(wanted, "wanted", "allow = [\"" + pattern + "\"]") +
         rule_about(other, "other", "load-only = [\"" + family + (is_named ? "/*" : "") + "\"]");
}

int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

int in_own_mounts(const std::function<int()>& work) {
  return in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return errno;
    return work();
  });
}

}  // namespace bpfwarden::vm
