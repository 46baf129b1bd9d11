// What keeps the warden in the kernel when no process of ours runs: its maps and links, pinned
// under /sys/fs/bpf/bpfwarden (bpffs, kernel/bpf/inode.c).
//
// Pins appear all at once: they are made in a staging folder, which is then renamed. Writers hold
// the Lock. Recovered maps are checked by type and size before anything trusts them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "loader/kernel/part.h"

struct bpf_object_skeleton;

namespace bpfwarden::loader {

inline constexpr const char* kPinFolder = "/sys/fs/bpf/bpfwarden";
// Of a kernel part that is to take over; then, for a moment, of the one that was there before.
inline constexpr const char* kPinsBeside = "/sys/fs/bpf/bpfwarden-staging";

// Held by apply and off, so that two managers never interleave. Taking it ends what a run that was
// killed has left beside the active pins: those decide without.
class Lock {
 public:
  [[nodiscard]] static Result<Lock> take();

 private:
  explicit Lock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

struct PinnedMaps {
  Part part;  // of this ABI
  Fd control;
  Fd generations;
  Fd events;
  Fd counters;
  Fd programs;
  Fd minutes;
  Fd tallies;
  Fd untallied;
  Fd denials;
  Fd summaries;
  Fd summaries_told;
  Fd summed_rest;
  Fd hooks;
  Fd loader_maps;
  Fd ends;
  Fd unjudged;
};

// Nothing if no warden is there. An Error if one is pinned that is of another ABI (part.h), not
// ours or not whole; if one is loaded whose pins are not seen from here; or if nobody can say.
[[nodiscard]] Result<std::optional<PinnedMaps>> open_pins();

// Of a map; the kernel part tells of nobody who has this one. Errors: errno of bpf(2).
[[nodiscard]] Fd open_pin_to_read(const std::string& path);

// Of a pin that could not be opened: only one that is missing says that the pins are not whole.
[[nodiscard]] std::unexpected<Error> unopened_pin(int code, const std::string& path);

// Whose the active kernel part is. Nothing if there are no pins here. Errors: errno of bpf(2).
[[nodiscard]] Result<std::optional<Part>> read_active_part();

// Pins every map and link of a loaded and attached skeleton, or none.
[[nodiscard]] Status pin_all(const bpf_object_skeleton& skeleton);

// Likewise, beside those that are there.
[[nodiscard]] Status pin_beside(const bpf_object_skeleton& skeleton);
// What is pinned beside them takes their place in one step; they are then what is beside.
[[nodiscard]] Status exchange_pins();
// Drops these, and waits as remove_pins() does for the programs `ids`.
[[nodiscard]] Status remove_beside(const std::vector<uint32_t>& ids);

// Names of the pinned links, "link_warden_prog_load" and so on.
[[nodiscard]] std::vector<std::string> pinned_links();

// Empty, and errno, if it cannot be opened.
[[nodiscard]] Fd open_pinned_link(const std::string& name);

// Of each of them, to hold it besides its pin. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<Fd>> open_pinned_links();

// Ids of the programs that these links hold in the kernel.
[[nodiscard]] std::vector<uint32_t> pinned_programs();

// Drops the last references and waits until the kernel has detached the hooks, which it does later,
// from a work queue. No error if there is nothing; an Error if somebody else holds a reference.
// `others`: ids of programs that are to be gone then, too, whose links are pinned elsewhere.
[[nodiscard]] Status remove_pins(const std::vector<uint32_t>& others = {});

}  // namespace bpfwarden::loader
