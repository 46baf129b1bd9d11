// libbpf explains failures through a callback for the whole process. This keeps the last lines, so
// that an Error can carry them, and keeps libbpf from printing.
#pragma once

#include <bpf/libbpf.h>

#include <string>

namespace bpfwarden::loader {

// Captures from construction to destruction. One at a time.
class LibbpfLog {
 public:
  LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;
  ~LibbpfLog();

  // Whole lines, each with its newline; at most 4 KiB of the newest.
  [[nodiscard]] std::string text() const;

 private:
  libbpf_print_fn_t previous_;
};

}  // namespace bpfwarden::loader
