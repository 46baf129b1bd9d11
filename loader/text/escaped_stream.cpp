#include "loader/text/escaped_stream.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/file.h"
#include "policy/text/escaped.h"

namespace bpfwarden::loader {
namespace {

// A character may come in two parts: stdio writes what its buffer holds.
struct Escaped {
  int fd;
  std::string unfinished;
  int error = 0;  // the first one
};

Escaped output = {.fd = STDOUT_FILENO}, errors = {.fd = STDERR_FILENO};

void put(Escaped& to, std::string_view text) {
  if (to.error == 0 && !write_all(to.fd, text)) to.error = errno;
}

// cookie_write_function_t: 0 is an error.
ssize_t put_escaped(void* cookie, const char* bytes, size_t size) {
  auto& to = *static_cast<Escaped*>(cookie);
  std::string text = std::move(to.unfinished) + std::string(bytes, size);
  const size_t rest = policy::unfinished_bytes(text);
  to.unfinished = text.substr(text.size() - rest);
  text.resize(text.size() - rest);
  put(to, policy::escaped(text));
  errno = to.error;
  return to.error == 0 ? static_cast<ssize_t>(size) : 0;
}

std::FILE* open_escaped(Escaped& to, int buffering) {
  constexpr cookie_io_functions_t functions = {
      .read = nullptr, .write = put_escaped, .seek = nullptr, .close = nullptr};
  std::FILE* file = ::fopencookie(&to, "w", functions);
  if (file != nullptr) std::setvbuf(file, nullptr, buffering, BUFSIZ);
  return file;
}

}  // namespace

void escape_standard_streams() {
  if (std::FILE* file = open_escaped(output, ::isatty(STDOUT_FILENO) == 1 ? _IOLBF : _IOFBF))
    stdout = file;
  if (std::FILE* file = open_escaped(errors, _IONBF)) stderr = file;
}

void put_on_terminal(std::string_view text) {
  if (std::fflush(stdout) == 0) put(output, text);
}

int output_error() {
  const bool is_flushed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  put(output, policy::escaped(std::move(output.unfinished)));
  output.unfinished.clear();
  if (output.error == 0 && !is_flushed) return EIO;
  return output.error;
}

}  // namespace bpfwarden::loader
