#include "loader/kernel/trial.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "base/fd.h"
#include "loader/kernel/libbpf_log.h"

namespace bpfwarden::loader {
namespace {

struct Kind {
  const char* what;
  bpf_prog_type type;
  bpf_attach_type attach;
  const char* function;  // as libbpf finds it: of an LSM hook, its name
  uint32_t flags;
};

constexpr std::array kKinds = {
    Kind{"an LSM program", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf", 0},
    Kind{"an LSM program that may sleep", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "bpf", BPF_F_SLEEPABLE},
    Kind{"a tracing program at entry", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "bpf_lsm_bpf", 0},
    Kind{"a tracing program at exit", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, "bpf_lsm_bpf", 0},
};

Trial try_kind(const Kind& kind) {
  Trial trial = {.what = kind.what};
  const int function = libbpf_find_vmlinux_btf_id(kind.function, kind.attach);
  if (function < 0) {
    trial.error = -function;
    return trial;
  }
  const std::array<bpf_insn, 2> nothing = {
      bpf_insn{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
      bpf_insn{.code = BPF_JMP | BPF_EXIT}};
  bpf_prog_load_opts options = {};
  options.sz = sizeof(options);
  options.expected_attach_type = kind.attach;
  options.prog_flags = kind.flags;
  options.attach_btf_id = static_cast<uint32_t>(function);
  const Fd program(
      bpf_prog_load(kind.type, "bpfwarden_try", "GPL", nothing.data(), nothing.size(), &options));
  if (program.get() < 0) {
    trial.error = errno;
    return trial;
  }
  trial.was_loaded = true;
  const Fd link(bpf_raw_tracepoint_open(nullptr, program.get()));
  if (link.get() < 0) trial.error = errno;
  return trial;
}

Trial try_ring() {
  constexpr uint32_t size = 4096;
  const Fd ring(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "bpfwarden_try", 0, 0, size, nullptr));
  return {.what = "a ring buffer", .error = ring.get() < 0 ? errno : 0, .was_loaded = true};
}

}  // namespace

std::vector<Trial> try_each_kind() {
  const LibbpfLog quiet;
  std::vector<Trial> trials;
  for (const Kind& kind : kKinds) trials.push_back(try_kind(kind));
  trials.push_back(try_ring());
  return trials;
}

bool is_filtered() {
  constexpr std::string_view name = "Seccomp:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return line.find_first_of("12", name.size()) != std::string::npos;
  return false;
}

}  // namespace bpfwarden::loader
