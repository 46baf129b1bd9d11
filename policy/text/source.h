// A place in a policy file, as people count: lines and columns from 1, columns and widths in
// Unicode code points. Plain data; line 1, column 1 also stands for the file as a whole.
#pragma once

#include <cstdint>

namespace bpfwarden::policy {

struct SourceRange {
  uint32_t line = 1;
  uint32_t column = 1;
  uint32_t width = 1;
  uint32_t file = 0;  // index into the files that were parsed together
};

}  // namespace bpfwarden::policy
