// Sentences in the width of a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bpfwarden::loader {

// The words of `text` with one space between them: the first line goes on after `used` columns, all
// others begin after `left` spaces. A word that is longer than a line has one for itself. `columns`
// 0: no limit, and `text` as it is.
[[nodiscard]] std::string wrapped(std::string_view text, size_t used, size_t left, size_t columns);

// How wide standard output is; 0: it is no terminal.
[[nodiscard]] size_t output_columns();

}  // namespace bpfwarden::loader
