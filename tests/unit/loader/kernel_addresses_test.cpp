// Addresses of kernel symbols among instructions, as Linux 7.3 shows those of
// tests/vm/programs/addresses.bpf.c, and as /proc/kallsyms had them there.
#include "loader/inventory/kernel_addresses.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

constexpr uint64_t kProgFops = 0xffffffffada3b840, kProgActive = 0xffffffffaf4eeff0;

std::vector<bpf_insn> instructions(const std::vector<uint8_t>& bytes) {
  std::vector<bpf_insn> insns(bytes.size() / sizeof(bpf_insn));
  std::memcpy(insns.data(), bytes.data(), bytes.size());
  return insns;
}

std::vector<bpf_insn> with_address() {
  return instructions({0x18, 2, 0, 0, 0x40, 0xb8, 0xa3, 0xad, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
                       0x77, 2, 0, 0, 12, 0, 0, 0, 0x61, 0x10, 0x70, 0, 0, 0, 0, 0,
                       0x0f, 0x20, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0});
}

std::vector<bpf_insn> with_type() {
  return instructions({0xbf, 0x16, 0, 0, 0, 0, 0, 0, 0x18, 1, 0, 0, 0xf0, 0xef, 0x4e, 0xaf,
                       0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x85, 0, 0, 0, 0x90, 0x7c, 4, 0,
                       0x61, 1, 0, 0, 0, 0, 0, 0, 0x61, 0x60, 0x70, 0, 0, 0, 0, 0,
                       0x0f, 0x10, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0});
}

std::vector<bpf_insn> with_clock() {
  return instructions({0xbf, 0x16, 0, 0, 0, 0, 0, 0, 0x18, 0, 0, 0, 0, 0x7a, 0x80, 0xae,
                       0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x79, 0, 0, 0, 0, 0, 0, 0,
                       0x61, 0x61, 0x70, 0, 0, 0, 0, 0, 0x0f, 1, 0, 0, 0, 0, 0, 0,
                       0xbf, 0x10, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0});
}

}  // namespace

TEST_CASE("addresses that a loader has put into instructions are found, the verifier's own are not") {
  CHECK(possible_addresses(with_address()) == std::set{kProgFops});
  CHECK(possible_addresses(with_type()) == std::set{kProgActive});
  CHECK(possible_addresses(with_clock()).empty());
  // &jiffies, read otherwise, is the program's own.
  auto read_later = with_clock();
  read_later[3].off = 8;
  CHECK(possible_addresses(read_later).size() == 1);
}

TEST_CASE("maps, functions of the program, small numbers and cut instructions are no addresses") {
  for (const int pseudo : {BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, BPF_PSEUDO_FUNC}) {
    auto insns = with_address();
    insns[0].src_reg = static_cast<unsigned>(pseudo) & 0xfU;
    CHECK(possible_addresses(insns).empty());
  }
  auto small = with_address();
  small[1].imm = 0x7fffffff;
  CHECK(possible_addresses(small).empty());
  auto cut = with_address();
  cut.resize(1);
  CHECK(possible_addresses(cut).empty());
  CHECK(possible_addresses({}).empty());
  // The second half of one is no instruction, whatever it looks like.
  auto hidden = with_address();
  hidden[0].src_reg = BPF_PSEUDO_MAP_VALUE;
  hidden[1] = with_address()[0];
  hidden[2] = with_address()[1];
  CHECK(possible_addresses(hidden).empty());
}

TEST_CASE("symbols are those that begin at the address, and none of BPF programs") {
  const test::TempDir folder;
  const auto file = folder.write("kallsyms",
                                 "ffffffffada3b840 D bpf_prog_fops\n"
                                 "ffffffffaf4eeff0 D bpf_prog_active\n"
                                 "ffffffffc0001000 t bpf_prog_0123_x\t[bpf]\n"
                                 "ffffffffc0002000 d held\t[nf_tables]\n"
                                 "not a line\n\nffffffffc0003000\n");
  const auto found = symbols_at(
      {kProgFops, kProgFops + 1, 0xffffffffc0001000, 0xffffffffc0002000, 0xffffffffc0003000}, file);
  REQUIRE(found.has_value());
  CHECK(*found == std::map<uint64_t, std::string>{{kProgFops, "bpf_prog_fops"},
                                                  {0xffffffffc0002000, "held"}});
  CHECK_FALSE(symbols_at({kProgFops}, folder.path() / "none").has_value());
  CHECK(symbols_at({}, folder.path() / "none")->empty());
}

}  // namespace bpfwarden::loader
