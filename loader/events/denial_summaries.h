// Denials that the kernel part has told in sums (bpf-lsm/events/denials.bpf.h), as events that
// stand for many: `count` says for how many, `sequence` is 0, `time_ns` is that of the last one.
// All else is of the first.
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "bpf-lsm/abi/summary.h"
#include "loader/kernel/pins.h"

namespace bpfwarden::loader {

enum class Summed : uint8_t {
  all,     // since the first apply
  untold,  // what no reader of events has had
};

// Takes nothing from the stream. By time. Errors: errno of bpf(2).
[[nodiscard]] Result<std::vector<bw_event>> summed_denials(const PinnedMaps& pins, Summed which);

// Hands on the untold ones, by time: each is told once `teller` has taken it. Sums to which a
// minute has added nothing make room for others. There is one reader at a time. Errors: of
// `teller`; errno of bpf(2): what was handed on meanwhile is told again by the next call.
[[nodiscard]] Status tell_summed_denials(const PinnedMaps& pins,
                                         const std::function<Status(const bw_event&)>& teller);

}  // namespace bpfwarden::loader
