// What `status` shows people: what matters first, never more than one terminal of 80 by 24.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/status/status.h"

namespace bpfwarden::loader {

inline constexpr size_t kScreenColumns = 80;
inline constexpr size_t kScreenLines = 23;  // of 24: the prompt has one

enum class Tone : uint8_t { plain, good, attention, alarm };

struct ScreenLine {
  std::string label;  // empty: the line above goes on
  std::string text;
  Tone tone = Tone::plain;
};

struct ScreenTime {
  int64_t unix_seconds = 0;
  uint64_t boot_ns = 0;  // CLOCK_BOOTTIME
};

[[nodiscard]] std::vector<ScreenLine> status_screen(const KernelStatus& status, ScreenTime now);

// Without a newline; cut where it is wider than `columns` (0: as long as it is).
[[nodiscard]] std::string line_text(const ScreenLine& line, size_t columns, bool with_colour);

}  // namespace bpfwarden::loader
