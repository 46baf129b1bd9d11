// The policies in tests/corpus, in the examples and in the documentation.
//
// tests/corpus: the first lines of a file say what parse() and lint() must find in it.
//
//   # expect: ok                     no error and no warning
//   # expect: error 5:9 unknown key  an error there whose message contains the text
//   # expect: warning 7:1 …
//
// All of them together are the whole outcome, in this order. The certificates are fake_reader.h's.
#include <algorithm>
#include <filesystem>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "fake_reader.h"
#include "policy/image/compile.h"
#include "policy/lint/lint.h"

using namespace bpfwarden::policy;
using namespace bpfwarden::policy::test;

namespace {

const std::filesystem::path kRoot = BPFWARDEN_SOURCE_DIR;

std::vector<std::string> expectations(const std::string& text) {
  constexpr std::string_view mark = "# expect: ";
  std::vector<std::string> expected;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && line.starts_with(mark);)
    expected.push_back(line.substr(mark.size()));
  return expected;
}

bool meets(const Diagnostic& diagnostic, const std::string& expected) {
  const std::string head = std::string(severity_name(diagnostic.severity)) + " " +
                           std::to_string(diagnostic.line) + ":" +
                           std::to_string(diagnostic.column) + " ";
  const std::string whole = diagnostic.message + " — " + diagnostic.hint;
  return expected.starts_with(head) && whole.find(expected.substr(head.size())) != whole.npos;
}

// What `bpfwarden check` shows.
std::vector<Diagnostic> check_policy(ParseResult result) {
  if (!result.policy) return std::move(result.diagnostics);
  const auto image = compile(*result.policy, std::array<uint8_t, 32>{});
  REQUIRE(image.has_value());
  auto found = with_lint(std::move(result.diagnostics), *result.policy, **image, kNow);
  (void)take_accepted(found, *result.policy);
  return found;
}

void check_file(const std::filesystem::path& path) {
  const std::string text = read_all(path);
  const std::vector<std::string> expected = expectations(text);
  const std::vector<SourceFile> source = {{path.filename().string(), text}};
  const auto diagnostics = check_policy(parse(source, read_fake, kNow));
  INFO(path.string() << "\n" << render_all(diagnostics, source));
  REQUIRE_FALSE(expected.empty());
  const bool ok = expected.front() == "ok";
  CHECK(diagnostics.size() == (ok ? 0 : expected.size()));
  for (size_t i = 0; !ok && i < std::min(expected.size(), diagnostics.size()); i++) {
    INFO("expected: " << expected[i]);
    CHECK(meets(diagnostics[i], expected[i]));
  }
}

}  // namespace

TEST_CASE("the corpus meets its expectations") {
  size_t count = 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "tests/corpus"))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    check_file(file);
    count++;
  }
  CHECK(count >= 80);
}

TEST_CASE("the policy that docs/policy.md begins with is right") {
  const std::string text = read_all(kRoot / "docs/policy.md");
  const size_t begin = text.find("```toml\n") + 8;
  const std::string policy = text.substr(begin, text.find("```", begin) - begin);
  const ParseResult result = parse({{"policy.md", policy}}, read_fake, kNow);
  INFO(render_all(result.diagnostics, result.sources));
  CHECK(result.policy.has_value());
  CHECK(result.diagnostics.empty());
}

TEST_CASE("docs/policy.md lists every attach point") {
  const std::string text = read_all(kRoot / "docs/policy.md");
  for (const AttachFamily& family : attach_families()) {
    INFO(family.name);
    CHECK(text.find("`" + std::string(family.name) + "`") != std::string::npos);
  }
}

TEST_CASE("examples/broken.toml has six different mistakes, each with a place and a hint") {
  const auto path = kRoot / "examples/broken.toml";
  const std::string text = read_all(path);
  const ParseResult result = parse({{"broken.toml", text}}, read_fake, kNow);
  INFO(render_all(result.diagnostics, result.sources));
  CHECK_FALSE(result.policy.has_value());
  CHECK(result.diagnostics.size() >= 6);
  for (const Diagnostic& diagnostic : result.diagnostics) CHECK_FALSE(diagnostic.hint.empty());
}
