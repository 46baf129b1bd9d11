// BPF tokens: what is loaded in a user namespace with one, `delegated` as the policy calls it, is
// judged at load and where it is attached; and whether there may be tokens at all.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <filesystem>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/delegation.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

std::string rule(const std::string& name, const std::string& settings) {
  return "[[rules]]\nname = \"" + name + "\"\nsignature = \"unsigned\"\n" + settings + "\n";
}

// Of a load with a token, then of what is done with the program, in a user namespace.
int with_delegated(const Load& request, const std::function<int(const Fd& program)>& work) {
  return in_delegated_child([&](const Fd& bpffs) {
    const Attempt token = create_token(bpffs);
    if (token.error != 0) return token.error;
    const Attempt program = load(with_token(request, token.fd));
    return program.error != 0 ? program.error : work(program.fd);
  });
}

int error_with_token(const Load& request) {
  return with_delegated(request, [](const Fd&) { return 0; });
}

int error_of_token() {
  return in_delegated_child([](const Fd& bpffs) { return create_token(bpffs).error; });
}

constexpr const char* kNoTokens = "bpf-tokens = \"deny\"\n";

json only_token_event(Warden& warden) {
  const std::vector<json> events = events_of_hook(warden, "token-create");
  INFO(json(events).dump());
  REQUIRE(events.size() == 1);
  return events[0];
}

int attach_to(const Fd& cgroup, const Fd& program) {
  return error_of_made(
      bpf_link_create(program.get(), cgroup.get(), BPF_CGROUP_INET_EGRESS, nullptr));
}

int probe(const Fd& program, const char* function) {
  return attach_functions(program, BPF_TRACE_KPROBE_MULTI, 0, {function});
}

}  // namespace

TEST_CASE("deny_a_load_without_a_token_and_allow_it_with_one",
          "[vm][attach][kernel][kernel:program_token]") {
  Warden warden;
  warden.apply("enforce", rule("delegated", "allow = [\"xdp\"]\ndelegated = true"));
  CHECK(error_with_token({}) == 0);
  const json event = events_of_hook(warden, "bpf_prog_load").back();
  CHECK(event["decision"] == "allow");
  CHECK(event["rule"] == "delegated");
  CHECK(event["delegated"] == true);
  CHECK(load(Load{}).error == EPERM);
  CHECK(events_of_hook(warden, "bpf_prog_load").back()["delegated"] == false);
}

TEST_CASE("deny_a_load_with_a_token_and_allow_it_without_one", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("not delegated", "allow = [\"xdp\"]\ndelegated = false"));
  CHECK(error_with_token({}) == EPERM);
  const json event = events_of_hook(warden, "bpf_prog_load").back();
  CHECK(event["refused"] == true);
  CHECK(event["errno"] == EPERM);
  CHECK(event["cause"] == "default");
  CHECK(event["delegated"] == true);
  CHECK(load(Load{}).error == 0);
}

// Each may attach where the other may not.
TEST_CASE("deny_a_delegated_program_at_another_place_than_its_rule_names",
          "[vm][attach][kernel][kernel:kernfs_parent]") {
  const Sites sites;
  Warden warden;
  warden.apply("enforce",
               rule("a", "allow = [\"cgroup_skb/egress@/att.good\"]\ndelegated = true") +
                   rule("b", "allow = [\"cgroup_skb/egress@/att.bad\"]\ndelegated = false"));
  const Load filter = program_of("cgroup_skb/egress");
  const Fd good = open_cgroup("/att.good"), bad = open_cgroup("/att.bad");
  const auto delegated_to = [&](const Fd& cgroup) {
    return with_delegated(filter, [&](const Fd& program) { return attach_to(cgroup, program); });
  };
  CHECK(delegated_to(good) == 0);
  CHECK(delegated_to(bad) == EPERM);
  const json event = last_refused_attachment(warden);
  CHECK(event["attach"] == "cgroup_skb/egress@/att.bad");
  CHECK(event["route"] == "link-create");
  CHECK(event["delegated"] == true);
  const Fd own = loaded(filter);
  CHECK(attach_to(good, own) == EPERM);
  CHECK(last_refused_attachment(warden)["delegated"] == false);
  CHECK(attach_to(bad, own) == 0);
}

TEST_CASE("deny_a_delegated_program_at_another_target_than_its_rule_names",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce", rule("a", "allow = [\"kprobe.multi/tcp_connect\"]\ndelegated = true") +
                              rule("b", "allow = [\"kprobe.multi/tcp_close\"]\ndelegated = false"));
  const Load request = program_of("kprobe.multi");
  const auto delegated_to = [&](const char* function) {
    return with_delegated(request, [&](const Fd& program) { return probe(program, function); });
  };
  CHECK(delegated_to("tcp_connect") == 0);
  CHECK(delegated_to("tcp_close") == EPERM);
  const json event = last_refused_attachment(warden);
  CHECK(event["attach"] == "kprobe.multi/tcp_close");
  CHECK(event["delegated"] == true);
  const Fd own = loaded(request);
  CHECK(probe(own, "tcp_connect") == EPERM);
  CHECK(probe(own, "tcp_close") == 0);
}

TEST_CASE("deny_a_token_where_the_policy_admits_none", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", kNoTokens, "allow");
  CHECK(error_of_token() == EPERM);
  const json event = only_token_event(warden);
  CHECK(event["cause"] == "token-denied");
  CHECK(event["decision"] == "deny");
  CHECK(event["mode"] == "enforce");
  CHECK(event["refused"] == true);
  CHECK(event["errno"] == EPERM);
  CHECK(event["uid"] == 0);
  CHECK(event["comm"] == "vm_tests");
  CHECK(event["exe"] == std::filesystem::read_symlink("/proc/self/exe").string());
  CHECK(event["policy_version"] == warden.version());
  CHECK(event["attach"].is_null());
  CHECK(load(Load{}).error == 0);  // without a token, by the default
  warden.apply("enforce", "bpf-tokens = \"allow\"\n", "allow");
  CHECK(error_of_token() == 0);
  CHECK(events_of_hook(warden, "token-create").empty());
}

TEST_CASE("allow_a_token_by_default", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", "");
  CHECK(error_of_token() == 0);
  CHECK(events_of_hook(warden, "token-create").empty());
  CHECK(error_with_token({}) == EPERM);  // which admits nothing by itself
}

TEST_CASE("allow_a_token_in_audit_mode_and_say_that_it_would_be_denied", "[vm][attach]") {
  Warden warden;
  warden.apply("audit", kNoTokens);
  CHECK(error_of_token() == 0);
  const json event = only_token_event(warden);
  CHECK(event["cause"] == "token-denied");
  CHECK(event["decision"] == "deny");
  CHECK(event["mode"] == "audit");
  CHECK(event["refused"] == false);
  CHECK(event["errno"] == 0);
  warden.apply("enforce", kNoTokens);
  CHECK(error_of_token() == EPERM);
}

// The policy admits no tokens, but this one was there before.
TEST_CASE("deny_a_load_with_an_earlier_token_unless_a_rule_admits_it", "[vm][attach]") {
  const auto error_with_earlier_token = [](const std::string& delegated) {
    Warden warden;
    std::array<int, 2> made = {}, go = {};
    REQUIRE(::pipe2(made.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(go.data(), O_CLOEXEC) == 0);
    char byte = 0;
    DelegatedChild child([&](const Fd& bpffs) {
      const Attempt token = create_token(bpffs);
      if (token.error != 0) return token.error;
      if (::write(made[1], &byte, 1) != 1 || ::read(go[0], &byte, 1) != 1) return EIO;
      return create_token(bpffs).error != EPERM ? ENOTSUP
                                                : load(with_token(Load{}, token.fd)).error;
    });
    const Fd made_here(made[0]), made_there(made[1]), go_there(go[0]), go_here(go[1]);
    REQUIRE(::read(made_here.get(), &byte, 1) == 1);
    warden.apply("enforce", kNoTokens + rule("r", "allow = [\"xdp\"]\ndelegated = " + delegated));
    REQUIRE(::write(go_here.get(), &byte, 1) == 1);
    return child.result();
  };
  CHECK(error_with_earlier_token("false") == EPERM);
  CHECK(error_with_earlier_token("true") == 0);
}

}  // namespace bpfwarden::vm
