#include "keyring/bundle.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::keyring {
namespace {

using Bytes = std::vector<uint8_t>;

Bundle small_loader() {
  Bundle bundle;
  bundle.name = "flowmon";
  bundle.version = "1.4";
  bundle.tool = "bpfwarden 0.1.0";
  bundle.license = "GPL";
  bundle.programs = {{"on_packet", "xdp", 6, 37, "xdp"},
                     {"on_connect", "fentry/tcp_connect", 26, 24, "fentry/tcp_connect"}};
  bundle.maps = {{"flows"}, {".rodata"}};
  bundle.insns = Bytes(16, 0x95);
  bundle.metadata = {1, 2, 3};
  bundle.signature = {0x30, 0x80, 4, 5, 6};
  bundle.certificate_der = {0x30, 1, 7};
  return bundle;
}

Bundle small_program() {
  Bundle bundle = small_loader();
  bundle.kind = Bundle::Kind::program;
  bundle.programs.resize(1);
  bundle.maps.clear();
  bundle.metadata.clear();
  bundle.attach_name = "tcp_connect";
  return bundle;
}

void put32(Bytes& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes.at(at + i) = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t get32(const Bytes& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{bytes.at(at + i)} << (8 * i);
  return value;
}

constexpr size_t header_size = 16;

// Where the section of this type starts.
size_t section_at(const Bytes& bytes, uint32_t type) {
  size_t at = header_size;
  while (get32(bytes, at) != type) at += 16 + (get32(bytes, at + 8) + 7) / 8 * 8;
  return at;
}

Bytes append_section(Bytes bytes, uint32_t type, uint32_t flags, uint32_t length) {
  put32(bytes, 12, get32(bytes, 12) + 1);
  const size_t at = bytes.size();
  bytes.resize(at + 16 + (length + 7) / 8 * 8);
  put32(bytes, at, type);
  put32(bytes, at + 4, flags);
  put32(bytes, at + 8, length);
  return bytes;
}

// The bundle with this text as its manifest section.
Bytes with_manifest(const Bytes& bytes, const std::string& text) {
  const size_t old_size = get32(bytes, header_size + 8);
  Bytes changed(bytes.begin(), bytes.begin() + header_size + 16);
  put32(changed, header_size + 8, static_cast<uint32_t>(text.size()));
  changed.insert(changed.end(), text.begin(), text.end());
  changed.resize((changed.size() + 7) / 8 * 8);
  const size_t rest = header_size + 16 + (old_size + 7) / 8 * 8;
  changed.insert(changed.end(), bytes.begin() + static_cast<ptrdiff_t>(rest), bytes.end());
  return changed;
}

std::string manifest_of(const Bytes& bytes) {
  const auto start = bytes.begin() + header_size + 16;
  return {start, start + static_cast<ptrdiff_t>(get32(bytes, header_size + 8))};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

bool refused(const Bytes& bytes, const std::string& reason) {
  const auto decoded = decode(bytes);
  if (decoded) return false;
  INFO(decoded.error().message);
  CHECK(decoded.error().message.find(reason) != std::string::npos);
  return true;
}

TEST_CASE("a bundle survives encoding", "[keyring][bundle]") {
  for (const Bundle& bundle : {small_loader(), small_program()}) {
    const auto bytes = encode(bundle);
    REQUIRE(bytes);
    CHECK(bytes->size() % 8 == 0);
    const auto decoded = decode(*bytes);
    REQUIRE(decoded);
    CHECK(*decoded == bundle);
    CHECK(encode(*decoded).value() == *bytes);
  }
}

TEST_CASE("an unsigned bundle is encoded without empty sections", "[keyring][bundle]") {
  Bundle bundle = small_program();
  bundle.signature.clear();
  bundle.certificate_der.clear();
  const Bytes bytes = encode(bundle).value();
  CHECK(get32(bytes, 12) == 2);
  CHECK(decode(bytes).value() == bundle);
}

TEST_CASE("the format is the documented one", "[keyring][bundle]") {
  const Bytes bytes = encode(small_program()).value();
  const Bytes start = {0x89, 'B', 'P', 'F', 'W', '\r', '\n', 0x1a, 1, 0, 0, 0, 4, 0, 0, 0};
  CHECK(Bytes(bytes.begin(), bytes.begin() + 16) == start);
  CHECK(
      manifest_of(bytes) ==
      R"({"attach_name":"tcp_connect","kind":"program","license":"GPL","maps":[],)"
      R"("name":"flowmon","programs":[{"attach":"xdp","expected_attach_type":37,"name":"on_packet",)"
      R"("prog_type":6,"section":"xdp"}],"tool":"bpfwarden 0.1.0","version":"1.4"})");
}

TEST_CASE("what is signed is instructions, then metadata", "[keyring][bundle]") {
  const Bundle bundle = small_loader();
  Bytes expected = bundle.insns;
  expected.insert(expected.end(), {1, 2, 3});
  CHECK(to_be_signed(bundle) == expected);
  CHECK(to_be_signed(small_program()) == bundle.insns);
}

TEST_CASE("a bundle cut short anywhere is refused", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  for (size_t length = 0; length < bytes.size(); ++length) {
    // A buffer of its own, so that ASan sees one byte too far.
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    CAPTURE(length);
    CHECK(refused(cut, "cut short at byte "));
  }
}

TEST_CASE("bytes after the end are refused", "[keyring][bundle]") {
  Bytes bytes = encode(small_loader()).value();
  const std::string end = std::to_string(bytes.size());
  bytes.resize(bytes.size() + 8);
  CHECK(refused(bytes, "8 bytes too many at byte " + end));
}

TEST_CASE("a changed byte never crashes and never passes the header", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes bent = bytes;
      bent[i] = static_cast<uint8_t>(bent[i] ^ flip);
      CAPTURE(i, flip);
      const bool accepted = decode(bent).has_value();
      CHECK_FALSE((accepted && i < header_size));
    }
  }
}

TEST_CASE("magic, version and counts are checked", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  Bytes text = bytes;
  text[0] = 'B';
  CHECK(refused(text, "not a bpfwarden bundle"));
  Bytes newer = bytes;
  put32(newer, 8, 2);
  CHECK(refused(newer, "bundle format 2"));
  Bytes many = bytes;
  put32(many, 12, 65);
  CHECK(refused(many, "more than 64 sections"));
  Bytes none(bytes.begin(), bytes.begin() + header_size);
  put32(none, 12, 0);
  CHECK(refused(none, "not a whole number"));
  CHECK(refused(Bytes((32 << 20) + 1), "32 MiB"));
}

TEST_CASE("unknown sections are refused when critical, else skipped", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  CHECK(decode(append_section(bytes, 900, 0, 5)).value() == small_loader());
  CHECK(refused(append_section(bytes, 900, 1, 5), "must be understood"));
  CHECK(refused(append_section(bytes, 900, 2, 5), "unknown section flags 2"));
}

TEST_CASE("sections come once and in order", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  CHECK(refused(append_section(bytes, 5, 0, 5), "section 5 at byte"));
  CHECK(refused(append_section(bytes, 5, 0, 5), "appears twice"));
  CHECK(refused(append_section(bytes, 2, 1, 8), "out of order"));
  CHECK(refused(append_section(append_section(bytes, 900, 0, 5), 900, 0, 5), "appears twice"));
  Bytes headless = bytes;
  put32(headless, header_size, 900);
  CHECK(refused(headless, "first section is not the manifest"));
}

TEST_CASE("lengths and padding are checked", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  Bytes huge = bytes;
  for (size_t i = 0; i < 8; ++i) huge[header_size + 8 + i] = 0xff;
  CHECK(refused(huge, "cut short at byte 32"));
  Bytes dirty = bytes;
  dirty[section_at(bytes, 3) + 16 + 3] = 1;
  CHECK(refused(dirty, "padding is not zero"));
  Bundle bare = small_loader();
  bare.certificate_der.clear();
  CHECK(refused(append_section(encode(bare).value(), 5, 0, 0), "is empty"));
}

TEST_CASE("the manifest has one form only", "[keyring][bundle]") {
  const Bytes bytes = encode(small_loader()).value();
  const std::string good = manifest_of(bytes);
  CHECK(decode(with_manifest(bytes, good)));
  const auto refuse = [&](const std::string& text, const std::string& reason) {
    CAPTURE(text);
    CHECK(refused(with_manifest(bytes, text), reason));
  };
  refuse("", "not a JSON object");
  refuse("[]", "not a JSON object");
  refuse(good.substr(1), "not a JSON object");
  refuse(std::string(60000, '['), "not a JSON object");
  refuse(std::string((64 << 10) + 1, ' '), "64 KiB");
  refuse(" " + good, "canonical");
  refuse(replaced(good, "{", R"({"a":1,)"), "canonical");
  refuse(replaced(good, R"("kind":"loader",)", R"("kind":"loader","kind":"loader",)"), "canonical");
  refuse(replaced(good, R"("kind":"loader",)", ""), R"("kind" is not)");
  refuse(replaced(good, "loader", "Loader"), R"("kind" is not "loader" or "program")");
  refuse(replaced(good, R"("flowmon")", "7"), R"("name" is not a string)");
  refuse(replaced(good, R"("prog_type":6)", R"("prog_type":-6)"), R"("prog_type" is not)");
  refuse(replaced(good, R"("prog_type":6)", R"("prog_type":4294967296)"), R"("prog_type" is not)");
  refuse(replaced(good, R"({"name":"flows"})", "null"), R"(maps: its "name" is not)");
  refuse(replaced(good, "flowmon", "\xff"), "not a JSON object");
  refuse(replaced(good, "flowmon", "fl\\u001bmon"), "printable ASCII");
}

TEST_CASE("what no reader accepts is not written", "[keyring][bundle]") {
  const auto refuse = [](const Bundle& start, auto change, const std::string& reason) {
    Bundle bundle = start;
    change(bundle);
    const auto bytes = encode(bundle);
    REQUIRE_FALSE(bytes);
    INFO(bytes.error().message);
    CHECK(bytes.error().message.find(reason) != std::string::npos);
  };
  const Bundle loader = small_loader();
  const Bundle program = small_program();
  refuse(loader, [](Bundle& b) { b.insns.clear(); }, "whole number");
  refuse(loader, [](Bundle& b) { b.insns.push_back(0); }, "whole number");
  refuse(loader, [](Bundle& b) { b.insns.resize(8'000'008); }, "1000000 instructions");
  refuse(loader, [](Bundle& b) { b.metadata.resize(16 << 20); }, "16 MiB");
  refuse(loader, [](Bundle& b) { b.metadata.clear(); }, "needs metadata");
  refuse(loader, [](Bundle& b) { b.attach_name = "x"; }, "no attach name");
  refuse(loader, [](Bundle& b) { b.programs.clear(); }, "no program");
  refuse(loader, [](Bundle& b) { b.signature.resize(8193); }, "8 KiB");
  refuse(loader, [](Bundle& b) { b.certificate_der.resize((1 << 20) + 1); }, "1 MiB");
  refuse(loader, [](Bundle& b) { b.name = std::string(256, 'n'); }, "longer than 255");
  refuse(loader, [](Bundle& b) { b.maps[1].name = "\x7f"; }, "a map's name");
  refuse(loader, [](Bundle& b) { b.programs[1].section = "\n"; }, "a program's section");
  refuse(loader, [](Bundle& b) { b.programs[0].attach = "\x1b"; }, "a program's attach point");
  refuse(loader, [](Bundle& b) { b.version = "\r"; }, "the bundle's version");
  for (const char* name : {"", ".", "..", "../outside", "/sys/fs/bpf/x", "a b", "a-b"}) {
    refuse(loader, [&](Bundle& b) { b.programs[0].name = name; }, "a program has a name that is");
    refuse(loader, [&](Bundle& b) { b.maps[0].name = name; }, "a map has a name that is none");
  }
  refuse(loader, [](Bundle& b) { b.maps.assign(10000, {"map"}); }, "manifest exceeds 64 KiB");
  refuse(program, [](Bundle& b) { b.metadata = {1}; }, "has no metadata");
  refuse(program, [](Bundle& b) { b.programs.resize(2); }, "names itself alone");
}

TEST_CASE("a file is replaced whole or not at all", "[keyring][bundle]") {
  const test::TempDir dir;
  const auto path = dir.write("flowmon.bpfsig", "old");
  REQUIRE(write_bundle(path, small_loader()));
  CHECK(read_bundle(path).value() == small_loader());
  struct stat info = {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0644);

  CHECK_FALSE(write_bundle(path, Bundle{}));
  CHECK(read_bundle(path).value() == small_loader());
  const auto nowhere = write_bundle(dir.path() / "none" / "x", small_loader());
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == ENOENT);
  std::filesystem::create_directory(dir.path() / "taken");
  const auto directory = write_bundle(dir.path() / "taken", small_loader());
  REQUIRE_FALSE(directory);
  CHECK(directory.error().code == EISDIR);
  const auto left = std::filesystem::directory_iterator(dir.path());
  CHECK(std::distance(begin(left), end(left)) == 2);
}

TEST_CASE("reading names the file and keeps errno", "[keyring][bundle]") {
  const test::TempDir dir;
  const auto missing = read_bundle(dir.path() / "none");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
  const auto garbage = read_bundle(dir.write("garbage.bpfsig", "MZ garbage"));
  REQUIRE_FALSE(garbage);
  CHECK(garbage.error().message.find("garbage.bpfsig: not a bpfwarden bundle") !=
        std::string::npos);
}

TEST_CASE("a loader's second signature travels; a single program has none") {
  Bundle bundle = small_loader();
  bundle.self_check_signature = {0x30, 0x80, 9};
  CHECK(decode(encode(bundle).value()).value() == bundle);
  Bundle program = small_program();
  CHECK(encode(program));
  program.self_check_signature = {0x30};
  CHECK_FALSE(encode(program));
}

TEST_CASE("a self-checking loader is its loader behind a check of exactly its metadata") {
  const Bundle bundle = small_loader();
  const Bytes insns = self_checking_insns(bundle);
  REQUIRE(insns.size() == 21 * 8 + bundle.insns.size());
  CHECK(std::equal(bundle.insns.begin(), bundle.insns.end(), insns.end() - 16));
  CHECK(insns == self_checking_insns(bundle));
  Bundle other = bundle;
  other.metadata.back() ^= 1;
  CHECK(self_checking_insns(other) != insns);
}

}  // namespace
}  // namespace bpfwarden::keyring
