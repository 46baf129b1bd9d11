// Who else answers EPERM, by what the host and the process are.
#include "loader/host/other_refusals.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace bpfwarden::loader {

TEST_CASE("who else can have refused is told by what the host and the process are") {
  const auto all = [](const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  };
  HostLimits host = {.lockdown = "[none] integrity confidentiality",
                     .unprivileged_bpf = 2,
                     .lsms = "lockdown,capability,bpf"};
  ProcessLimits root = {.pid = 7, .name = "agent", .capabilities = ~uint64_t{0}};
  const OtherRefusals free = other_refusals(host, &root);
  CHECK(free.possible.empty());
  CHECK(free.excluded.size() == 5);
  host.keyrings = "the kernel refuses them";
  REQUIRE(other_refusals(host, &root).possible.size() == 1);
  CHECK(other_refusals(host, &root).possible[0] == host.keyrings);
  host.lockdown = "none integrity [confidentiality]";
  host.lsms += ",selinux";
  host.programs = {"id 41 'restrict_fs'"};
  root.capabilities = uint64_t{1} << 38;  // CAP_PERFMON
  root.seccomp = 2;
  root.label = "system_u:system_r:agent_t:s0";
  const std::string bound = all(other_refusals(host, &root).possible);
  for (const char* reason : {"lockdown is at confidentiality", "has neither CAP_BPF nor",
                             "unprivileged_bpf_disabled is 2", "seccomp: agent (pid 7)", "agent_t",
                             "id 41 'restrict_fs'"})
    CHECK(bound.contains(reason));
  root.in_own_user_namespace = true;
  CHECK(all(other_refusals(host, &root).possible).contains("user namespace of its own"));
  const std::string unknown = all(other_refusals(host, nullptr).possible);
  CHECK(unknown.contains("`bpfwarden why --pid PID`"));
  const auto self = read_process_limits(::getpid());
  REQUIRE(self.has_value());
  CHECK_FALSE(self->name.empty());
  CHECK_FALSE(read_process_limits(2'000'000'000).has_value());
}

}  // namespace bpfwarden::loader
