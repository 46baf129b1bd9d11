#include "loader/bundles/skeleton_header.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

// As bpftool lays it out.
std::string header(const std::string& signature = "\\x30\\x80\\\n\\0") {
  return "struct flow_bpf {\n\tstruct bpf_loader_ctx ctx;\n\tstruct {\n\t\tstruct bpf_map_desc "
         "flows;\n"
         "\t} maps;\n\tstruct {\n\t\tstruct bpf_prog_desc on_packet;\n\t} progs;\n};\n"
         "\tstatic const char opts_data[] __attribute__((__aligned__(8))) = "
         "\"\\\n\\x01\\0\\x02\";\n"
         "\tstatic const char opts_insn[] __attribute__((__aligned__(8))) = \"\\\n"
         "\\x95\\0\\0\\0\\\n\\0\\0\\0\\0\";\n"
         "\tstatic const char opts_sig[] __attribute__((__aligned__(8))) = \"\\\n" +
         signature + "\";\n";
}

TEST_CASE("a skeleton's header is read as a bundle") {
  const test::TempDir folder;
  const auto bundle = read_signed(folder.write("flow.h", header()));
  REQUIRE(bundle);
  CHECK(bundle->name == "flow");
  CHECK(bundle->tool == "bpftool");
  CHECK(bundle->insns == std::vector<uint8_t>{0x95, 0, 0, 0, 0, 0, 0, 0});
  CHECK(bundle->metadata == std::vector<uint8_t>{1, 0, 2});
  CHECK(bundle->signature == std::vector<uint8_t>{0x30, 0x80, 0});
  REQUIRE(bundle->maps.size() == 1);
  CHECK(bundle->maps[0].name == "flows");
  REQUIRE(bundle->programs.size() == 1);
  CHECK(bundle->programs[0].name == "on_packet");
}

TEST_CASE("another signature takes the place of the header's") {
  const test::TempDir folder;
  const auto path = folder.write("flow.h", header());
  const std::vector<uint8_t> signature(100, 0xab);
  const auto text = resign_skeleton_header(path, signature);
  REQUIRE(text);
  const auto again = read_skeleton_header(folder.write("again.h", *text));
  REQUIRE(again);
  CHECK(again->signature == signature);
  CHECK(again->insns == read_skeleton_header(path)->insns);
}

TEST_CASE("what bpftool does not write is refused") {
  const test::TempDir folder;
  const auto problem = [&](const std::string& text) {
    const auto read = read_skeleton_header(folder.write("flow.h", text));
    return read ? "" : read.error().message;
  };
  CHECK(problem(header()).empty());
  CHECK(problem("").find("no opts_insn") != std::string::npos);
  const std::string whole = header();
  CHECK(problem(whole.substr(0, whole.find("opts_sig"))).find("no opts_sig") != std::string::npos);
  CHECK(problem(whole.substr(0, whole.size() - 4)).find("no opts_sig") != std::string::npos);
  for (const char* bad : {"A", "\\xg0", "\\x3", "\\1", "\\", "\\x 1", "\\x+1"})
    CHECK(problem(header(bad)).find("not written as bpftool writes it") != std::string::npos);
  std::string hostile = whole;
  hostile.replace(hostile.find("on_packet"), 9, "on\x1b[2J");
  CHECK(problem(hostile).find("printable ASCII") != std::string::npos);
}

}  // namespace
}  // namespace bpfwarden::loader
