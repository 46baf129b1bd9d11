// All names of a function, from a copy of /proc/kallsyms.
#include "loader/policies/kernel_symbols.h"

#include <catch2/catch_test_macros.hpp>

#include "policy/image/situation.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kListing =
    "ffffffff81000000 T __x64_sys_fork\n"
    "ffffffff81000000 t __do_sys_fork\n"
    "ffffffff81000040 T tcp_connect\n"
    "ffffffff81000080 t helper\n"
    "ffffffff810000c0 t helper\n"
    "ffffffff810000c0 t helper_too\n"
    "ffffffff81000100 d data_here\n"
    "ffffffffc0000000 t nft_do\t[nf_tables]\n"
    "ffffffffc0000000 t nft_do_alias\t[nf_tables]\n"
    "ffffffffc0000040 t tcp_connect\t[mod]\n"
    "ffffffffc0001000 t bpf_prog_0123_x\t[bpf]\n";

KernelSymbols symbols() {
  const test::TempDir folder;
  return KernelSymbols::read(folder.write("kallsyms", kListing)).value();
}

CompiledPolicy compiled_with(const std::string& rules) {
  auto policy = compile_policy(policy::parse(
      {{"f.toml",
        "schema = 1\nname = \"f\"\nversion = 1\nmode = \"enforce\"\ndefault = \"deny\"\n" + rules}},
      {}, 0));
  REQUIRE(policy.has_value());
  return std::move(*policy);
}

std::string rule_that(const std::string& action, const std::string& attach) {
  return "[[rules]]\nname = \"" + action + "\"\n" + action + " = [" + attach +
         "]\nsignature = \"unsigned\"\n";
}

bool is_let(const CompiledPolicy& policy, const std::string& attach) {
  policy::Situation situation;
  situation.attach = policy::parse_attach_point(attach).value();
  const auto outcome = policy::decide_on(*policy.image, situation);
  return outcome.attach ? outcome.attach->allow != 0 : outcome.load.allow != 0;
}

size_t warnings_of(CompiledPolicy& policy) {
  const auto found = find_functions(policy, symbols());
  REQUIRE(found.has_value());
  return found->size();
}

}  // namespace

TEST_CASE("the names of a function, and the functions of a name") {
  const KernelSymbols known = symbols();
  CHECK(known.names_of("__do_sys_fork", {}) ==
        std::set<std::string>{"__do_sys_fork", "__x64_sys_fork"});
  CHECK(known.names_of("helper", {}) == std::set<std::string>{"helper", "helper_too"});
  CHECK(known.count("helper", {}) == 2);
  CHECK(known.count("tcp_connect", {}) == 2);
  CHECK(known.count("tcp_connect", {.is_all = false, .module = ""}) == 1);
  CHECK(known.count("data_here", {}) == 0);
  CHECK(known.count("bpf_prog_0123_x", {}) == 0);
  CHECK(known.beginning_with("helper", {}) == std::vector<std::string>{"helper", "helper_too"});
}

TEST_CASE("a denied function is denied by each of its names") {
  for (const char* denied : {"\"ksyscall/fork\"", "\"kprobe/__do_sys_fork\"", "\"kprobe/__x64_*\"",
                             "\"kprobe/__do*\""}) {
    CAPTURE(denied);
    auto policy = compiled_with(rule_that("deny", denied) + rule_that("allow", "\"kprobe/*\""));
    CHECK(warnings_of(policy) == 0);
    CHECK_FALSE(is_let(policy, "kprobe/__x64_sys_fork"));
    CHECK_FALSE(is_let(policy, "kprobe/__do_sys_fork"));
    CHECK(is_let(policy, "kprobe/tcp_connect"));
  }
  auto traced = compiled_with(rule_that("deny", "\"fentry/helper_too\"") +
                              rule_that("allow", "\"fentry/*\""));
  CHECK(warnings_of(traced) == 0);
  CHECK_FALSE(is_let(traced, "fentry/helper"));
  auto module = compiled_with(rule_that("deny", "\"fentry/nf_tables:nft_do\"") +
                              rule_that("allow", "\"fentry/*\""));
  CHECK(warnings_of(module) == 0);
  CHECK_FALSE(is_let(module, "fentry/nf_tables:nft_do_alias"));
  CHECK(is_let(module, "fentry/nft_do_alias"));
}

TEST_CASE("an allowed function is allowed by the names that are its own") {
  auto fork = compiled_with(rule_that("allow", "\"ksyscall/fork\""));
  CHECK(warnings_of(fork) == 0);
  CHECK(is_let(fork, "kprobe/__do_sys_fork"));
  CHECK_FALSE(is_let(fork, "kprobe/tcp_connect"));
  auto helper = compiled_with(rule_that("allow", "\"kprobe/helper_too\""));
  CHECK(warnings_of(helper) == 0);
  CHECK_FALSE(is_let(helper, "kprobe/helper"));  // which may be the other one
  auto ambiguous = compiled_with(rule_that("allow", "\"kprobe/helper\""));
  CHECK(warnings_of(ambiguous) == 1);
}

TEST_CASE("a name alone is the kernel's own") {
  const auto own = compiled_with(rule_that("allow", "\"fentry/tcp_connect\", \"fentry/m*\""));
  CHECK(is_let(own, "fentry/tcp_connect"));
  CHECK_FALSE(is_let(own, "fentry/prog:tcp_connect"));
  CHECK_FALSE(is_let(own, "fentry/mod:tcp_connect"));
  const auto module = compiled_with(rule_that("allow", "\"tp_btf/mod:*\""));
  CHECK(is_let(module, "tp_btf/mod:some"));
  CHECK_FALSE(is_let(module, "tp_btf/sched_switch"));
  const auto all = compiled_with(rule_that("allow", "\"fentry/*\""));
  CHECK(is_let(all, "fentry/prog:x"));
}

TEST_CASE("hidden symbols are an error") {
  const test::TempDir folder;
  const auto hidden =
      KernelSymbols::read(folder.write("kallsyms", "0000000000000000 T tcp_connect\n"));
  REQUIRE_FALSE(hidden.has_value());
  CHECK(hidden.error().hint.find("kptr_restrict") != std::string::npos);
}

}  // namespace bpfwarden::loader
