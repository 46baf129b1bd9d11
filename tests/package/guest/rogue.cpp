// A loader that nobody has signed anything for: loads an XDP program of two instructions by bpf(2)
// and pins it. Prints seconds since the start of the kernel, and what became of it. usage: rogue
// PIN
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace {

uint64_t as_u64(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

long bpf(bpf_cmd command, bpf_attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof(attr));
}

long load_xdp() {
  constexpr std::array<bpf_insn, 2> passes = {
      {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
       {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}}};
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_XDP;
  attr.insn_cnt = passes.size();
  attr.insns = as_u64(passes.data());
  attr.license = as_u64("GPL");
  std::strncpy(attr.prog_name, "rogue", sizeof(attr.prog_name) - 1);
  return bpf(BPF_PROG_LOAD, attr);
}

long pin(long program, const char* path) {
  bpf_attr attr = {};
  attr.pathname = as_u64(path);
  attr.bpf_fd = static_cast<uint32_t>(program);
  return bpf(BPF_OBJ_PIN, attr);
}

}  // namespace

int main(int argc, char** argv) {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const long program = load_xdp();
  const char* said = program < 0 ? std::strerror(errno) : "loaded";
  const bool is_kept = program >= 0 && argc == 2 && pin(program, argv[1]) == 0;
  std::printf("%ld.%03ld %s%s\n", static_cast<long>(now.tv_sec), now.tv_nsec / 1'000'000, said,
              is_kept ? ", pinned" : "");
  return program < 0 ? 1 : 0;
}
