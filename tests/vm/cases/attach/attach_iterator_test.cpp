// A link to an iterator runs nothing yet: each BPF_ITER_CREATE does, and is decided by the policy
// of its time.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

std::string rule(const std::string& action) {
  return "[[rules]]\nname = \"tasks\"\n" + action +
         " = [\"iter/task\"]\nsignature = \"unsigned\"\n"
         "[[rules]]\nname = \"others\"\nload-only = [\"xdp\"]\nsignature = \"unsigned\"\n";
}

int iterate(const Fd& link) { return error_of_made(bpf_iter_create(link.get())); }

}  // namespace

TEST_CASE("deny_an_iterator_whose_link_is_older_than_the_policy", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("allow"));
  const Fd program = loaded(program_of("iter", "task"));
  const Fd link = make_link(program, 0, BPF_TRACE_ITER);
  CHECK(iterate(link) == 0);
  warden.apply("enforce", rule("load-only"));
  CHECK(iterate(link) == EPERM);
  const nlohmann::json event = last_refused_attachment(warden);
  CHECK(event["route"] == "iter-create");
  CHECK(event["rule"] == "tasks");
  CHECK(event["program_id"] == program_id(program));
  warden.apply("enforce", rule("allow"));
  CHECK(iterate(link) == 0);
}

TEST_CASE("deny_an_iterator_to_who_shares_its_files", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("allow"));
  const Fd link = make_link(loaded(program_of("iter", "task")), 0, BPF_TRACE_ITER);
  {
    const Companion companion;
    CHECK(iterate(link) == EPERM);
    CHECK(last_refused_attachment(warden)["cause"] == "shared-files");
  }
  CHECK(iterate(link) == 0);
  warden.apply("enforce", "multithreaded-attach = \"detect\"\n" + rule("allow"));
  const Companion companion;
  CHECK(iterate(link) == 0);
}

// What is no iterator is for the kernel to refuse.
TEST_CASE("allow_the_kernel_to_say_that_a_link_is_no_iterator",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"tracepoint\"\nallow = [\"raw_tp/sched_switch\"]\n"
               "signature = \"unsigned\"\n");
  const Fd link(bpf_raw_tracepoint_open("sched_switch", loaded(program_of("raw_tp")).get()));
  REQUIRE(link);
  CHECK(iterate(link) == EINVAL);
}

}  // namespace bpfwarden::vm
