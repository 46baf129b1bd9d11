#include "tests/vm/sharing.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>

namespace bpfwarden::vm {

namespace {

std::string rule(const char* name, const std::string& action, const Load& program) {
  return "[[rules]]\nname = \"" + std::string(name) + "\"\n" + action +
         "\nsignature = \"unsigned\"\ndigests = [\"sha256:" +
         keyring::hex(keyring::sha256(program.insns)) + "\"]\n";
}

}  // namespace

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

void wait_until_alone() {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  while (threads() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::string TwoPrograms::rules(const std::string& family, const std::string& pattern) const {
  const bool is_named = pattern.find('/', family.size()) == family.size();
  return rule("wanted", "allow = [\"" + pattern + "\"]", wanted) +
         rule("other", "load-only = [\"" + family + (is_named ? "/*" : "") + "\"]", other);
}

int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace bpfwarden::vm
