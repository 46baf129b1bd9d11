#include "loader/text/wrapped_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace bpfwarden::loader {
namespace {

// Characters, of which one may be several bytes.
size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string wrapped(std::string_view text, size_t used, size_t left, size_t columns) {
  if (columns == 0) return std::string(text);
  std::istringstream words{std::string(text)};
  std::string result;
  size_t column = used;
  for (std::string word; words >> word;) {
    if (column > left && column + 1 + columns_of(word) > columns) {
      result += "\n" + std::string(left, ' ');
      column = left;
    }
    const bool is_first = column == left || result.empty();
    result += (is_first ? "" : " ") + word;
    column += columns_of(word) + (is_first ? 0 : 1);
  }
  return result;
}

size_t output_columns() {
  constexpr size_t usual = 80, least = 40;
  if (::isatty(STDOUT_FILENO) != 1) return 0;
  winsize size = {};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return usual;
  return std::max<size_t>(size.ws_col, least);
}

}  // namespace bpfwarden::loader
