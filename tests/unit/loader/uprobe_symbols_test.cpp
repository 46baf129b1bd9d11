// Symbols of uprobes are looked up on the host where a policy becomes active.
#include "loader/policies/uprobe_symbols.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sstream>

#include "loader/policies/active_policy.h"
#include "policy/image/situation.h"
#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

const std::filesystem::path kSample = std::filesystem::canonical(UPROBE_SAMPLE);

// Where the function's bytes are in the file.
uint64_t offset_by_eye(const std::string& bytes) {
  std::ostringstream whole;
  whole << std::ifstream(kSample, std::ios::binary).rdbuf();
  const size_t found = whole.view().find("\x0f\x0b" + bytes);
  REQUIRE(found != std::string::npos);
  return found;
}

std::string hex(uint64_t number) {
  std::ostringstream text;
  text << "0x" << std::hex << number;
  return text.str();
}

std::string answer_at() { return hex(offset_by_eye("<answer is here>")); }

CompiledPolicy compiled(const std::string& rules, const std::string& mode = "enforce") {
  auto policy = compile_policy(
      policy::parse({{"host.toml", "schema = 1\nname = \"host\"\nversion = 1\nmode = \"" + mode +
                                       "\"\ndefault = \"deny\"\n" + rules}},
                    {}, 0));
  REQUIRE(policy.has_value());
  return std::move(*policy);
}

CompiledPolicy allowing(const std::string& attach) {
  return compiled("[[rules]]\nname = \"a\"\nallow = [" + attach + "]\nsignature = \"unsigned\"\n");
}

// How it decides about an attachment there, and about no load.
bool admits(const CompiledPolicy& policy, const std::string& attach) {
  policy::Situation situation;
  situation.attach = policy::parse_attach_point(attach).value();
  const auto outcome = policy::decide_on(*policy.image, situation);
  REQUIRE(outcome.attach.has_value());
  return outcome.attach->allow != 0;
}

std::vector<std::string> codes(const std::vector<policy::Diagnostic>& found) {
  std::vector<std::string> list;
  for (const auto& one : found) list.emplace_back(one.code);
  return list;
}

}  // namespace

TEST_CASE("a function's offset is where its first byte is in the file") {
  const auto only = [](std::string_view symbol) {
    const auto offsets = function_offsets(kSample, symbol);
    REQUIRE(offsets.has_value());
    REQUIRE(offsets->size() == 1);
    return offsets->front();
  };
  CHECK(only("answer") == offset_by_eye("<answer is here>"));
  CHECK(only("hidden_answer") == offset_by_eye("<hidden answer is here>"));
  CHECK(function_offsets(kSample, "no_function")->empty());
  CHECK(function_offsets(kSample, "no_such_symbol")->empty());
  CHECK(function_offsets(kSample, "")->empty());
}

TEST_CASE("what is no program has no functions, and says so") {
  const test::TempDir folder;
  const auto text = folder.path() / "text";
  std::ofstream(text) << "#!/bin/sh\n";
  CHECK(function_offsets(text, "main").error().message.find("no ELF") != std::string::npos);
  CHECK(function_offsets(folder.path() / "none", "main").error().code == ENOENT);
  std::ofstream(text, std::ios::binary) << "\x7f"
                                           "ELF broken";
  CHECK_FALSE(function_offsets(text, "main").has_value());
}

TEST_CASE("a rule about a symbol admits the offset where that is on this host, and no other") {
  const std::string file = kSample.string();
  CompiledPolicy policy = allowing("\"uprobe/" + file + ":answer\"");
  CHECK_FALSE(admits(policy, "uprobe/" + file + ":" + answer_at()));
  const auto before = std::make_unique<bw_image>(*policy.image);
  const auto found = find_uprobes(policy);
  REQUIRE(found.has_value());
  CHECK(found->empty());
  CHECK(admits(policy, "uprobe/" + file + ":" + answer_at()));
  CHECK_FALSE(admits(policy, "uprobe/" + file + ":0x1"));
  CHECK_FALSE(admits(policy, "uretprobe/" + file + ":" + answer_at()));
  CHECK_FALSE(same_policy(*before, *policy.image));
  CHECK(std::ranges::equal(before->policy_digest, policy.image->policy_digest));
  const auto once = std::make_unique<bw_image>(*policy.image);
  REQUIRE(find_uprobes(policy).has_value());
  CHECK(same_policy(*once, *policy.image));
}

TEST_CASE("offsets, further offsets and every kind of uprobe are found alike") {
  const std::string file = kSample.string();
  CompiledPolicy policy = allowing(
      "\"uretprobe.multi/" + file + ":answer+0x10\", \"uprobe.session/" + file +
      ":hidden_answer\", \"uprobe/" + file + ":4660\", \"uprobe.multi/" + file + ":0x00Ab\"");
  REQUIRE(find_uprobes(policy).value().empty());
  CHECK(admits(policy,
               "uretprobe.multi/" + file + ":" + hex(offset_by_eye("<answer is here>") + 16)));
  CHECK(admits(policy,
               "uprobe.session/" + file + ":" + hex(offset_by_eye("<hidden answer is here>"))));
  CHECK(admits(policy, "uprobe/" + file + ":0x1234"));
  CHECK(admits(policy, "uprobe.multi/" + file + ":0xab"));
}

TEST_CASE("a file is known by its real path, whatever the policy calls it") {
  const test::TempDir folder;
  const auto link = folder.path() / "bash";
  std::filesystem::create_symlink(kSample, link);
  CompiledPolicy policy =
      allowing("\"uprobe/" + link.string() + ":answer\", \"uretprobe/" + link.string() + ":*\"");
  REQUIRE(find_uprobes(policy).value().empty());
  CHECK(admits(policy, "uprobe/" + kSample.string() + ":" + answer_at()));
  CHECK(admits(policy, "uprobe/" + link.string() + ":" + answer_at()));  // a link of many
  CHECK(admits(policy, "uretprobe/" + kSample.string() + ":0x77"));
  CompiledPolicy denying = compiled("[[rules]]\nname = \"no\"\ndeny = [\"usdt/" + link.string() +
                                    ":python:gc\"]\n[[rules]]\nname = \"a\"\nallow = "
                                    "[\"uprobe/*\"]\nsignature = \"unsigned\"\n");
  CHECK(admits(denying, "uprobe/" + kSample.string() + ":0x77"));
  REQUIRE(find_uprobes(denying).value().empty());
  CHECK_FALSE(admits(denying, "uprobe/" + kSample.string() + ":0x77"));
  CHECK(admits(denying, "uprobe/elsewhere:0x77"));
}

TEST_CASE("what is not on this host is a warning, for rules that refuse it, too") {
  const std::string file = kSample.string();
  CompiledPolicy policy =
      compiled("[[rules]]\nname = \"no\"\ndeny = [\"uprobe/" + file +
               ":gone\", \"uprobe//none:main\", \"uprobe/libc.so.6:malloc\", \"uprobe//none:*\", "
               "\"uprobe/" +
               file + ":answer\"]\n[[rules]]\nname = \"later\"\nload-only = [\"uprobe/" + file +
               ":gone\"]\nsignature = \"unsigned\"\n");
  const auto found = find_uprobes(policy);
  REQUIRE(found.has_value());
  REQUIRE(codes(*found) == std::vector<std::string>(4, "uprobe-not-found"));
  CHECK((*found)[0].message.find("no function `gone` in " + file) != std::string::npos);
  CHECK((*found)[0].line == 8);
  CHECK((*found)[1].message.find("/none: No such file or directory") != std::string::npos);
  CHECK((*found)[2].message.find("`libc.so.6` is no path from the root") != std::string::npos);
}

TEST_CASE("the mode that an image is in stays") {
  const std::string rule = "[[rules]]\nname = \"a\"\ndeny = [\"uprobe/" + kSample.string() +
                           ":answer\"]\nmode = \"enforce\"\n";
  for (const char* mode : {"audit", "enforce"}) {
    CompiledPolicy policy = compiled(rule, mode);
    CHECK_FALSE(is_on_trial(*policy.image));
    REQUIRE(find_uprobes(policy).has_value());
    CHECK_FALSE(is_on_trial(*policy.image));
    policy.image = in_audit_mode(*policy.image);
    CHECK(is_on_trial(*policy.image));
    REQUIRE(find_uprobes(policy).has_value());
    CHECK(is_on_trial(*policy.image));
  }
}

}  // namespace bpfwarden::loader
