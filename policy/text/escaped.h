// Text of others made harmless for terminals, and for people who read what is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bpfwarden::policy {

// Control characters but tab and newline, marks that turn the direction of writing (Unicode Annex
// 9), separators of lines and invisible characters become \uXXXX, as in JSON, whose strings may
// hold them so; bytes that are no UTF-8 become \u00XX.
[[nodiscard]] std::string escaped(std::string_view text);

// One character at the start of a text that is not empty.
struct Point {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: no UTF-8 (RFC 3629)
};
[[nodiscard]] Point first_point(std::string_view text);

// How many columns of a terminal the text takes, each character being one wide.
[[nodiscard]] size_t width_of(std::string_view text);

// How many bytes at the end of `text` begin a character that is not whole yet; 0 to 3.
[[nodiscard]] size_t unfinished_bytes(std::string_view text);

}  // namespace bpfwarden::policy
