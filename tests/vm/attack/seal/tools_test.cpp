// A sealed host for those who only look at it, and for those whom its policy admits.
#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>

#include "tests/vm/attack/seal/gone.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"

namespace bpfwarden::vm {
namespace {

// Lists everything, for ours do not end the list, and shows what is others'.
void check_lists(const Held& held) {
  const std::pair<const char*, uint32_t> listed[] = {{"prog", program_id(held.xdp)},
                                                     {"map", id_of_map(held.map)},
                                                     {"link", link_id(held.iterator)}};
  for (const auto& [kind, id] : listed) {
    const Ran ran = run(std::string("bpftool ") + kind + " list");
    INFO(kind << "\n" << ran.output);
    CHECK(ran.status == 0);
    CHECK(says("\n" + ran.output, "\n" + std::to_string(id) + ": "));
    CHECK_FALSE(says(ran, "warden_prog"));
  }
  for (const char* other : {"bpftool btf list", "bpftool cgroup tree", "bpftool net"}) {
    const Ran ran = run(other);
    INFO(other << "\n" << ran.output);
    CHECK(ran.status == 0);
  }
}

void check_verbs(const std::string& program) {
  for (const char* verb : {"status", "status --json", "events", "events --json", "inventory",
                           "metrics", "doctor", "report --html /tmp/report.html", "why"}) {
    const Ran ran = run(program + " " + verb);
    INFO(program << " " << verb << "\n" << ran.output);
    CHECK(ran.status == 0);
    CHECK_FALSE(says(ran, "error:"));
  }
}

void check_bundle(const Warden& warden, const std::string& program) {
  const std::string bundle = "/tmp/xdp_pass.bpfsig";
  must("bpfwarden sign " + std::string(kObjects) + "/xdp_pass.bpf.o " + warden.netops().options() +
       " -o " + bundle);
  const Ran ran = run(program + " run " + bundle);
  INFO(ran.output);
  CHECK(ran.status == 0);
}

}  // namespace

TEST_CASE("seal_leaves_honest_tools_working", "[vm][bare][kernel][kernel:signature_attr]") {
  const Held held;
  SealedHost host;
  check_lists(held);
  check_verbs("bpfwarden");
  check_bundle(host.warden(), "bpfwarden");
  // As systemd does: a program of LSM, and its link.
  const Fd program = loaded(program_of("lsm", "file_open"));
  CHECK(error_of_made(bpf_raw_tracepoint_open(nullptr, program.get())) == 0);

  // An upgrade of the package: this executable is no manager.
  must("cp $(command -v bpfwarden) /tmp/upgraded");
  check_verbs("/tmp/upgraded");
  check_bundle(host.warden(), "/tmp/upgraded");
  CHECK(host.load_unsigned() == EPERM);
  CHECK(host.load_signed() == 0);
}

}  // namespace bpfwarden::vm
