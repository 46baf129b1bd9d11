// A policy that seals and says who signs the next one, its keys, and what is asked of a host under
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "keyring/kernel_keyring.h"
#include "tests/vm/attack/seal/raw_order.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// A policy and what it is signed with, in a folder of its own.
class Fleet {
 public:
  Fleet();

  struct Text {
    uint64_t version = 1;
    const char* name = "fleet";
    const char* signed_by = "\"ops\"";
    uint32_t needed = 1;
    const char* more = "";
    bool seals = true;
  };

  [[nodiscard]] std::string write(const Text& text);

  // As one ships it; returns the folder.
  [[nodiscard]] std::string compile(const Text& text, const std::string& options);

  // What is signed of it.
  [[nodiscard]] Bytes image(const Text& text);

  // Written by `bpfwarden order WORD`: the file, and what is in it.
  [[nodiscard]] std::string order_file(const std::string& word);
  [[nodiscard]] Bytes order(const std::string& word);

  Signer ops, second, stranger;

 private:
  test::TempDir folder_;
  int made_ = 0;
};

[[nodiscard]] uint64_t active_version();
[[nodiscard]] uint64_t generation();
[[nodiscard]] keyring::KeySerial own_ring();

void must_run(const std::string& command);

// Unsigned loads are refused, and so are a stranger's; signed ones are admitted.
void check_decides(const Fleet& fleet);

// Applies the text, which seals the host.
void seal(Fleet& fleet, const Fleet::Text& text);

// Prints the attempt and its errno.
void check_refused(const char* attempt, int error, int expected);

// `ordering` makes the order from signatures over `bytes`; tried with those of who may not sign it.
void try_who_may_not_sign(Fleet& fleet, const Bytes& bytes,
                          const std::function<RawOrder(std::vector<Bytes>)>& ordering);

}  // namespace bpfwarden::vm
