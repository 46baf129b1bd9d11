// What was made under one policy and becomes active under another, without a program's descriptor:
// a map of struct_ops that is registered, an iterator of bpffs that is opened.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>

#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/struct_ops.h"

namespace bpfwarden::vm {
namespace {

std::string rule(const std::string& action, const std::string& point) {
  return "[[rules]]\nname = \"here\"\n" + action + " = [\"" + point +
         "\"]\nsignature = \"unsigned\"\n"
         "[[rules]]\nname = \"others\"\nload-only = [\"xdp\"]\nsignature = \"unsigned\"\n";
}

constexpr const char* kOperations = "struct_ops/tcp_congestion_ops";

const Control register_them([] { return static_cast<bool>(FilledOperations().link()); });

constexpr const char* kPinned = "/sys/fs/bpf/tasks";

class PinnedIterator {
 public:
  PinnedIterator() {
    const Fd link = make_link(loaded(program_of("iter", "task")), 0, BPF_TRACE_ITER);
    REQUIRE(bpf_obj_pin(link.get(), kPinned) == 0);
  }
  PinnedIterator(const PinnedIterator&) = delete;
  PinnedIterator& operator=(const PinnedIterator&) = delete;
  ~PinnedIterator() { ::unlink(kPinned); }
};

// 0, or errno.
int open_and_read() {
  const Fd file(::open(kPinned, O_RDONLY | O_CLOEXEC));
  if (!file) return errno;
  char text[64];
  return error_of(static_cast<int>(::read(file.get(), text, sizeof(text))));
}

const Control read_it([] {
  const PinnedIterator pinned;
  return open_and_read() == 0;
});

}  // namespace

TEST_CASE("attack_register_operations_that_an_earlier_policy_had_filled_in",
          "[vm][control][attack][attach][kernel][kernel:task_work][kernel:task_work_impl]") {
  register_them.must_have_worked();
  Warden warden;
  warden.apply("enforce", rule("allow", kOperations));
  const FilledOperations filled, others;
  const Fd before = filled.link();
  REQUIRE(before);
  CHECK(others.update(before) == 0);
  CHECK(filled.update(before) == 0);
  warden.apply("enforce", rule("load-only", kOperations));
  CHECK(error_of_made(others.link().release()) == EPERM);
  CHECK(last_refused_attachment(warden)["route"] == "link-create");
  CHECK(others.update(before) == EPERM);
  const nlohmann::json event = last_refused_attachment(warden);
  CHECK(event["route"] == "link-update");
  CHECK(event["rule"] == "here");
  warden.apply("enforce", rule("allow", kOperations));
  CHECK(others.update(before) == 0);
  const Companion companion;
  CHECK(filled.update(before) == EPERM);
  CHECK(last_refused_attachment(warden)["cause"] == "shared-files");
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + rule("allow", kOperations));
  CHECK(filled.update(before) == (awaits_ends() ? 0 : EPERM));
}

TEST_CASE("attack_read_an_iterator_that_an_earlier_policy_had_pinned",
          "[vm][control][attack][attach]") {
  read_it.must_have_worked();
  Warden warden;
  warden.apply("enforce", rule("allow", "iter/task"));
  const PinnedIterator pinned;
  CHECK(open_and_read() == 0);
  warden.apply("enforce", rule("load-only", "iter/task"));
  CHECK(open_and_read() == EPERM);
  const nlohmann::json event = last_refused_attachment(warden);
  CHECK(event["route"] == "iter-create");
  CHECK(event["rule"] == "here");
  warden.apply("enforce", rule("allow", "iter/task"));
  CHECK(open_and_read() == 0);
}

}  // namespace bpfwarden::vm
