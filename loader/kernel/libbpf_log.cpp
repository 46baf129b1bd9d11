#include "loader/kernel/libbpf_log.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace bpfwarden::loader {
namespace {

std::string kept_lines;

// The verifier gives its reason at the end of what may be long.
int keep(libbpf_print_level level, const char* format, va_list arguments) {
  constexpr size_t most = 4096;
  if (level == LIBBPF_DEBUG) return 0;
  char* text = nullptr;
  const int length = ::vasprintf(&text, format, arguments);
  if (length < 0) return length;
  kept_lines += text;
  std::free(text);
  if (kept_lines.size() > most) kept_lines.erase(0, kept_lines.size() - most);
  return length;
}

}  // namespace

LibbpfLog::LibbpfLog() : previous_(libbpf_set_print(keep)) { kept_lines.clear(); }
LibbpfLog::~LibbpfLog() { libbpf_set_print(previous_); }
std::string LibbpfLog::text() const { return kept_lines; }

}  // namespace bpfwarden::loader
