// Attach points: where a BPF program may be put, named as libbpf writes section names.
//
// The table of families follows `section_defs` in tools/lib/bpf/libbpf.c of Linux 7.3. Which
// families BPF_PROG_LOAD can tell apart follows bpf_prog_load_check_attach(),
// bpf_prog_attach_check_attach_type() and link_create() in kernel/bpf/syscall.c, and
// __perf_event_set_bpf_prog() in kernel/events/core.c. Everything here is static data: views and
// spans stay valid for the life of the process, and nothing fails.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bpfwarden::policy {

// What follows the family's name.
enum class Target : uint8_t {
  none,    // nothing: `xdp`
  load,    // a BTF name that BPF_PROG_LOAD carries: `lsm/file_open`
  attach,  // something that only the attachment names: `kprobe/tcp_connect`
};

// What `@` names: known only at attach.
enum class Place : uint8_t {
  none,
  device,  // a network device: `xdp@eth0`
  cgroup,  // a path: `cgroup/connect4@/system.slice/a.service`
};

// How far expected_attach_type at load decides about a family.
enum class Scope : uint8_t {
  exact,   // only a program loaded with this value can be attached here
  rest,    // any value that is not another family's exact one
  always,  // any value at all: PERF_EVENT_IOC_SET_BPF does not look at it
};

struct AttachFamily {
  std::string_view name;
  uint32_t prog_type;    // enum bpf_prog_type
  uint32_t attach_type;  // expected_attach_type as libbpf sets it
  Scope scope;
  Target target;
  Place place;
};

inline constexpr size_t kMaxFamilies = 128;
using FamilySet = std::bitset<kMaxFamilies>;  // bit i: attach_families()[i]

// One or more families that BPF_PROG_LOAD cannot tell apart; its number is that of
// bw_image.class_of.
struct LoadClass {
  FamilySet home;      // what such a program is loaded for
  FamilySet reach;     // home, and where else it can be attached nonetheless
  uint32_t flags;      // BW_CLASS_*
  uint32_t prog_type;  // enum bpf_prog_type
};

[[nodiscard]] std::span<const AttachFamily> attach_families();
[[nodiscard]] std::optional<size_t> find_family(std::string_view name);

// Whether one of them is a probe in a file, which the kernel knows by its offset there. USDT probes
// are such, too, but have a family of their own.
[[nodiscard]] bool is_uprobe(const FamilySet& families);

// Whether a target of the family can be another's than the kernel's: `fentry/prog:NAME` is a BPF
// program's function, `tp_btf/MODULE:NAME` a module's tracepoint. The name alone is the kernel's.
[[nodiscard]] bool has_owned_targets(size_t family);

// A target as the kernel part has it, where another's begins with `:`, and back.
[[nodiscard]] std::string target_in_facts(size_t family, std::string_view target);
[[nodiscard]] std::string target_of_facts(std::string_view name);

// The element 0 stands for BW_CLASS_UNKNOWN and is empty.
[[nodiscard]] std::span<const LoadClass> load_classes();

// BW_CLASS_UNKNOWN for whatever Linux 7.3 does not know: that is denied.
[[nodiscard]] uint8_t load_class_of(uint32_t prog_type, uint32_t attach_type);

// Stands for a target that is not known: `kprobe/…`.
inline constexpr std::string_view kUnknownTarget = "…";

// The text for events and explanations: `lsm/file_open`, `xdp`, `kprobe/…`. `name` is the target as
// in bw_facts, empty where there is none. Where a load is ambiguous, the family that
// expected_attach_type suggests, else the first of the class.
[[nodiscard]] std::string describe_attach_point(uint32_t prog_type, uint32_t attach_type,
                                                std::string_view name);

}  // namespace bpfwarden::policy
