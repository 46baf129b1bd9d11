#include "tests/vm/attack/seal/below.h"

#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/vm/attack/seal/host.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

using std::string;

constexpr const char* kModule = "dummy";
constexpr const char* kHelper = "/tmp/modprobe";

int error_of_call(long result) { return result < 0 ? errno : 0; }

string bytes_of(const string& file) {
  std::ifstream from(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(from), std::istreambuf_iterator<char>()};
}

// ---- Modules ------------------------------------------------------------------------------------

void take_out_module() { (void)::syscall(SYS_delete_module, kModule, O_NONBLOCK); }

int insert_bytes(const string& bytes) {
  take_out_module();
  const int error = error_of_call(::syscall(SYS_init_module, bytes.data(), bytes.size(), ""));
  take_out_module();
  return error;
}

int insert_by_memory() { return insert_bytes(bytes_of(signed_module())); }

// As who has no signature leaves it: without the mark at the end.
string unsigned_module() {
  constexpr size_t kMark = sizeof("~Module signature appended~\n") - 1;
  const string file = "/tmp/unsigned.ko";
  string bytes = bytes_of(signed_module());
  REQUIRE(bytes.size() > kMark);
  bytes.resize(bytes.size() - kMark);
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

int insert_forced() {
  take_out_module();
  const Fd file(::open(signed_module().c_str(), O_RDONLY | O_CLOEXEC));
  constexpr int kIgnoreVersions = 3;  // MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC
  const int error = error_of_call(::syscall(SYS_finit_module, file.get(), "", kIgnoreVersions));
  take_out_module();
  return error;
}

int insert_from_memfd() {
  take_out_module();
  const string bytes = bytes_of(signed_module());
  const Fd file(::memfd_create("module", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  const int error = error_of_call(::syscall(SYS_finit_module, file.get(), "", 0));
  take_out_module();
  return error;
}

// The kernel runs the program that kernel.modprobe names.
int insert_by_the_kernel() {
  take_out_module();
  std::ofstream(kHelper) << "#!/bin/busybox sh\nexec /bin/busybox insmod " << signed_module()
                         << "\n";
  ::chmod(kHelper, 0755);
  const Fd setting(::open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC));
  REQUIRE(::write(setting.get(), kHelper, std::strlen(kHelper)) > 0);
  const Ran ran = run("ip link add harden0 type dummy");
  (void)run("ip link del harden0");
  const bool is_there = ::access("/sys/module/dummy", F_OK) == 0;
  take_out_module();
  INFO(ran.output);
  CHECK(is_there == (ran.status == 0));
  return is_there ? 0 : EPERM;
}

// ---- kexec --------------------------------------------------------------------------------------

// A page of nothing, which is loaded and never started.
int load_segments(unsigned long flags) {
  static std::array<char, 4096> page;
  const kexec_segment segment = {.buf = page.data(),
                                 .bufsz = page.size(),
                                 .mem = reinterpret_cast<void*>(0x1000000),
                                 .memsz = 4096};
  const int error = error_of_call(::syscall(SYS_kexec_load, 0x1000000UL, 1UL, &segment, flags));
  if (error == 0) (void)::syscall(SYS_kexec_load, 0UL, 0UL, nullptr, flags);
  return error;
}

template <class T>
void put(string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

// The least that the kernel takes for a bzImage (arch/x86/kernel/kexec-bzimage64.c). Unsigned.
string made_kernel() {
  const string file = "/tmp/kernel";
  string bytes(65536, '\0');
  put<uint8_t>(bytes, 0x1f1, 4);        // setup_sects
  put<uint16_t>(bytes, 0x1fe, 0xaa55);  // boot_flag
  put<uint8_t>(bytes, 0x201, 0x6a);     // as long as the header is
  bytes.replace(0x202, 4, "HdrS");
  put<uint16_t>(bytes, 0x206, 0x20f);     // version
  put<uint8_t>(bytes, 0x211, 1);          // loaded high
  put<uint32_t>(bytes, 0x230, 0x200000);  // alignment
  put<uint16_t>(bytes, 0x236, 0x63);      // 64 bits, above 4 GiB, five levels
  put<uint32_t>(bytes, 0x238, 2047);      // of the command line
  put<uint64_t>(bytes, 0x258, 0x1000000);
  put<uint32_t>(bytes, 0x260, 0x100000);  // memory that it needs
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

int load_kernel_file(unsigned long flags) {
  const Fd kernel(::open(made_kernel().c_str(), O_RDONLY | O_CLOEXEC));
  const int error = error_of_call(
      ::syscall(SYS_kexec_file_load, kernel.get(), -1, 1UL, "", flags | KEXEC_FILE_NO_INITRAMFS));
  if (error == 0)
    (void)::syscall(SYS_kexec_file_load, -1, -1, 0UL, nullptr, flags | KEXEC_FILE_UNLOAD);
  return error;
}

// ---- /dev/mem and other reasons of lockdown -----------------------------------------------------

int open_only(const char* file, int flags) {
  const Fd opened(::open(file, flags | O_CLOEXEC));
  return opened ? 0 : errno;
}

int read_memory() {
  const Fd memory(::open("/dev/mem", O_RDONLY | O_CLOEXEC));
  std::array<char, 16> bytes = {};
  if (!memory) return errno;
  return error_of_call(::pread(memory.get(), bytes.data(), bytes.size(), 0xf0000));
}

int map_memory() {
  const Fd memory(::open("/dev/mem", O_RDWR | O_CLOEXEC));
  if (!memory) return errno;
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0xf0000);
  if (page == MAP_FAILED) return errno;
  return error_of_call(::munmap(page, 4096));
}

// Under a name of one's own.
int open_made_memory() {
  constexpr const char* kNode = "/tmp/mem";
  ::unlink(kNode);
  if (::mknod(kNode, S_IFCHR | 0600, 1U << 8 | 1U) != 0) return errno;
  return open_only(kNode, O_RDWR);
}

#ifdef __x86_64__  // other architectures have no ports
int take_ports() {
  if (::ioperm(0x80, 1, 1) != 0) return errno;
  return error_of_call(::ioperm(0x80, 1, 0));
}

int raise_level() {
  return in_child([] { return ::iopl(3) != 0 ? errno : 0; });
}
#endif

int write_device_space() {
  std::error_code error;
  for (const auto& device : std::filesystem::directory_iterator("/sys/bus/pci/devices", error)) {
    const string file = device.path() / "config";
    const Fd space(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (!space) return errno;
    char byte = 0;
    if (::pread(space.get(), &byte, 1, 0x3c) != 1) return errno;
    return error_of_call(::pwrite(space.get(), &byte, 1, 0x3c));
  }
  FAIL("no PCI device");
  return 0;
}

int sample_registers() {
  perf_event_attr attr = {};
  attr.size = sizeof(attr);
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_CPU_CLOCK;
  attr.sample_type = PERF_SAMPLE_REGS_INTR;
  attr.sample_regs_intr = 1;
  attr.sample_period = 1000000000;
  const Fd event(
      static_cast<int>(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  return event ? 0 : errno;
}

int probe_function() {
  constexpr const char* kEvents = "/sys/kernel/tracing/kprobe_events";
  const Fd events(::open(kEvents, O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!events) return errno;
  constexpr std::string_view kProbe = "p:harden do_nanosleep\n", kNoProbe = "-:harden\n";
  const int error = error_of_call(::write(events.get(), kProbe.data(), kProbe.size()));
  if (error == 0) (void)::write(events.get(), kNoProbe.data(), kNoProbe.size());
  return error;
}

// As the verifier asks, in the midst of a load: the load fails with EINVAL, for it lacks a helper.
int load_what_writes_memory_of_processes() {
  Load request = program_of("fentry", "do_nanosleep");
  constexpr auto instruction = [](uint8_t code, uint8_t to, uint8_t from, int16_t at,
                                  int32_t value) {
    bpf_insn made = {};
    made.code = code;
    made.dst_reg = to & 15;
    made.src_reg = from & 15;
    made.off = at;
    made.imm = value;
    return made;
  };
  const std::array<bpf_insn, 8> program = {
      instruction(BPF_ST | BPF_DW | BPF_MEM, 10, 0, -8, 0),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 4096),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 8),
      instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_write_user),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
      instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  request.insns.resize(sizeof(program));
  std::memcpy(request.insns.data(), program.data(), sizeof(program));
  const int error = error_of_load(request);
  return error == EINVAL ? EPERM : error;
}

}  // namespace

string signed_module() {
  for (const auto& kernel : std::filesystem::directory_iterator("/lib/modules"))
    return kernel.path() / "kernel/drivers/net/dummy.ko";
  return {};
}

int insert_module(const string& file) {
  take_out_module();
  const Fd module(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(module);
  const int error = error_of_call(::syscall(SYS_finit_module, module.get(), "", 0));
  take_out_module();
  return error;
}

BelowAttacks attacks_by_modules() {
  return {
      {"a stock module by finit_module", "modules", [] { return insert_module(signed_module()); }},
      {"a stock module by init_module", "modules", insert_by_memory},
      {"a stock module from a memfd", "modules", insert_from_memfd},
      {"a stock module by insmod", "modules",
       [] {
         take_out_module();
         const int error = verdict_of("insmod " + signed_module());
         take_out_module();
         return error;
       }},
      {"a stock module, of whatever version", "modules", insert_forced},
      {"a module without a signature", "modules", [] { return insert_module(unsigned_module()); }},
      {"a module that the kernel wants, by ip link", "modules", insert_by_the_kernel},
  };
}

BelowAttacks attacks_by_kexec() {
  return {
      {"a kernel by kexec_load", "kexec", [] { return load_segments(0); }},
      {"a kernel by kexec_file_load", "kexec", [] { return load_kernel_file(0); }},
  };
}

BelowAttacks attacks_by_memory() {
  return {
      {"/dev/mem, read", "lockdown dev-mem", read_memory},
      {"/dev/mem, mapped to write", "lockdown dev-mem", map_memory},
      {"/dev/mem by a node of one's own", "lockdown dev-mem", open_made_memory},
  };
}

BelowAttacks attacks_by_lockdown() {
  return {
#ifdef __x86_64__
      {"ports by ioperm", "lockdown ioport", take_ports},
      {"ports by iopl", "lockdown ioport", raise_level},
#endif
      {"the configuration of a PCI device, written", "lockdown pci-access", write_device_space},
      {"a file of debugfs, to write", "lockdown debugfs",
       [] { return open_only("/sys/kernel/debug/sched/features", O_RDWR); }},
      {"a program that writes memory of processes", "lockdown bpf-write-user",
       load_what_writes_memory_of_processes},
      {"/proc/kcore", "lockdown kcore", [] { return open_only("/proc/kcore", O_RDONLY); }},
      {"a kprobe by tracefs", "lockdown kprobes", probe_function},
      {"registers of the kernel, by perf", "lockdown perf", sample_registers},
  };
}

BelowAttacks attacks_without_signature() {
  return {
      {"a module without a signature", "lockdown module-signature",
       [] { return insert_module(unsigned_module()); }},
      {"a kernel by kexec_load", "lockdown kexec", [] { return load_segments(0); }},
      {"a kernel without a signature by kexec_file_load", "lockdown kexec",
       [] { return load_kernel_file(0); }},
  };
}

}  // namespace bpfwarden::vm
