// A read-only view of a ring buffer of events (BPF_MAP_TYPE_RINGBUF, kernel/bpf/ringbuf.c). Looking
// takes nothing from the stream; records that were read stay until newer ones take their place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "bpf-lsm/abi/event.h"

namespace bpfwarden::loader {

class RingView {
 public:
  // `map` is borrowed, and no longer needed then. Errors: errno of mmap(2), or of bpf(2).
  [[nodiscard]] static Result<RingView> open(int map);

  RingView(RingView&& other) noexcept;
  RingView& operator=(RingView&&) = delete;
  ~RingView();

  // Where the next record will begin. Positions only grow.
  [[nodiscard]] uint64_t end() const;
  // How many bytes of records are kept, a power of two.
  [[nodiscard]] uint64_t size() const { return data_size_; }

  struct Record {
    std::optional<bw_event> event;  // nothing: it was given up, or another version wrote it
    uint64_t next = 0;              // where the one after it begins
  };
  // Of a position before end(). Nothing while it is still being written. What is older than size()
  // may have been written over.
  [[nodiscard]] std::optional<Record> at(uint64_t position) const;

 private:
  RingView(void* view, size_t view_size, size_t data_size)
      : view_(view), view_size_(view_size), data_size_(data_size) {}

  void* view_;  // one page with the producer's position, then the data, twice
  size_t view_size_;
  size_t data_size_;
};

}  // namespace bpfwarden::loader
