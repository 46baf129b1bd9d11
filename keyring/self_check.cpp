#include "keyring/self_check.h"

#include <linux/bpf.h>

#include <cerrno>

#include "keyring/x509.h"

namespace bpfwarden::keyring {
namespace {

// The context that a loader expects is in r1, which stays as it is.
constexpr uint8_t kMap = BPF_REG_2, kFound = BPF_REG_3, kSigned = BPF_REG_4;
constexpr int kWords = sizeof(Digest) / sizeof(uint64_t);

class Instructions {
 public:
  void add(uint8_t code, uint8_t target, uint8_t source, int16_t offset, uint32_t immediate) {
    number(code, 1);
    number(static_cast<uint8_t>(source << 4 | target), 1);
    number(static_cast<uint16_t>(offset), 2);
    number(immediate, 4);
  }

  // Two slots: the upper half is the immediate of the second.
  void load_wide(uint8_t target, uint8_t kind, uint64_t value) {
    add(BPF_LD | BPF_IMM | BPF_DW, target, kind, 0, static_cast<uint32_t>(value));
    add(0, 0, 0, 0, static_cast<uint32_t>(value >> 32));
  }

  void append(std::span<const uint8_t> insns) {
    bytes_.insert(bytes_.end(), insns.begin(), insns.end());
  }

  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  void number(uint64_t value, int size) {
    for (int i = 0; i < size; i++) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  std::vector<uint8_t> bytes_;
};

// As the program reads it from memory: little-endian.
uint64_t word_of(const Digest& digest, size_t index) {
  uint64_t word = 0;
  for (size_t i = 8; i > 0; i--) word = word << 8 | digest[8 * index + i - 1];
  return word;
}

}  // namespace

std::vector<uint8_t> with_self_check(std::span<const uint8_t> insns,
                                     std::span<const uint8_t> metadata) {
  constexpr int slots_a_word = 4;  // load, wide constant, jump
  const Digest digest = sha256(metadata);
  Instructions code;
  code.load_wide(kMap, BPF_PSEUDO_MAP_IDX, 0);
  for (int i = 0; i < kWords; i++) {
    code.add(BPF_LDX | BPF_MEM | BPF_DW, kFound, kMap, static_cast<int16_t>(8 * i), 0);
    code.load_wide(kSigned, 0, word_of(digest, static_cast<size_t>(i)));
    // Over the remaining words and the jump past the refusal.
    const int to_refusal = (kWords - 1 - i) * slots_a_word + 1;
    code.add(BPF_JMP | BPF_JNE | BPF_X, kFound, kSigned, static_cast<int16_t>(to_refusal), 0);
  }
  code.add(BPF_JMP | BPF_JA, 0, 0, 2, 0);
  code.add(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, static_cast<uint32_t>(-EINVAL));
  code.add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  code.append(insns);
  return code.take();
}

}  // namespace bpfwarden::keyring
