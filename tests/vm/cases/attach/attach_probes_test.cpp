// Probes by names that mean the same, by several names at once, and by the address of one.
#include <bpf/bpf.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "loader/btf/kernel_has.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/sharing.h"
#include "tests/vm/helpers/symbols.h"

namespace bpfwarden::vm {
namespace {

using nlohmann::json;

std::string rule(const std::string& action, const std::string& attach) {
  return "[[rules]]\nname = \"" + action + " it\"\n" + action + " = [" + attach +
         "]\nsignature = \"unsigned\"\n";
}

Fd loaded(std::string_view family) { return vm::loaded(program_of(family)); }

int set_program(const Fd& event, const Fd& program) {
  return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
}

// By the dynamic linker, which does not read what bpfwarden does. The text of libc lies in the file
// as it lies in memory.
struct FunctionInFile {
  std::string file;
  unsigned long offset = 0;
};

FunctionInFile function_in_libc(const char* symbol) {
  void* function = ::dlsym(RTLD_DEFAULT, symbol);
  REQUIRE(function != nullptr);
  Dl_info info = {};
  REQUIRE(::dladdr(function, &info) != 0);
  return {info.dli_fname, reinterpret_cast<unsigned long>(function) -
                              reinterpret_cast<unsigned long>(info.dli_fbase)};
}

const std::vector<std::string> kOne = {"tcp_connect"}, kBoth = {"tcp_connect", "tcp_close"},
                               kOtherFirst = {"tcp_close", "tcp_connect"};

}  // namespace

TEST_CASE("deny_a_probe_on_return_where_one_on_entry_is_allowed", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("kprobe/tcp_connect", "kretprobe/tcp_close",
                                           "uprobe//usr/bin/openssl:0x1000")"));
  const Fd program = loaded("kprobe");
  CHECK(set_program(kprobe_event("tcp_connect"), program) == 0);
  CHECK(set_program(kprobe_event("tcp_connect", true), program) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kretprobe/tcp_connect");
  CHECK(set_program(kprobe_event("tcp_close", true), program) == 0);
  CHECK(set_program(kprobe_event("tcp_close"), program) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kprobe/tcp_close");
  CHECK(set_program(uprobe_event(0x1000), program) == 0);
  CHECK(set_program(uprobe_event(0x1000, true), program) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "uretprobe//usr/bin/openssl:0x1000");
}

TEST_CASE("deny_a_kprobe_that_is_given_by_its_address", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("deny", R"("kprobe/tcp_close")") + rule("allow", R"("kprobe/*")"));
  const Fd program = loaded("kprobe");
  CHECK(set_program(kprobe_event(address_text("tcp_connect")), program) == 0);
  CHECK(set_program(kprobe_event(address_text("tcp_close")), program) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kprobe/tcp_close");
}

TEST_CASE("deny_a_probe_that_was_loaded_for_many_and_is_attached_to_one", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("kprobe.multi/tcp_connect", "kprobe/tcp_close")"));
  const Fd program = loaded("kprobe.multi");
  CHECK(set_program(kprobe_event("tcp_connect"), program) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kprobe/tcp_connect");
  CHECK(set_program(kprobe_event("tcp_close"), program) == 0);
}

TEST_CASE("deny_many_functions_for_one_that_no_rule_names",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("kprobe.multi/tcp_connect")"));
  const Fd program = loaded("kprobe.multi");
  const auto by_name = [&](const std::vector<std::string>& functions) {
    return attach_functions(program, BPF_TRACE_KPROBE_MULTI, 0, functions);
  };
  const auto by_address = [&](const std::vector<std::string>& functions) {
    std::vector<unsigned long> addresses;
    for (const std::string& function : functions) addresses.push_back(address_of(function));
    return attach_addresses(program, BPF_TRACE_KPROBE_MULTI, 0, addresses);
  };
  CHECK(by_name(kOne) == 0);
  CHECK(by_name(kBoth) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kprobe.multi/tcp_close");
  CHECK(by_name(kOtherFirst) == EPERM);
  CHECK(by_address(kOne) == 0);
  CHECK(by_address(kBoth) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kprobe.multi/tcp_close");
  CHECK(by_address(kOtherFirst) == EPERM);
  warden.apply("enforce", rule("allow", R"("kprobe.multi/tcp_c*")"));
  CHECK(by_name(kBoth) == 0);
  CHECK(by_address(kBoth) == 0);
}

TEST_CASE("deny_many_functions_on_return_where_entry_is_allowed",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("kprobe.multi/tcp_connect")"));
  const Fd program = loaded("kprobe.multi");
  CHECK(attach_functions(program, BPF_TRACE_KPROBE_MULTI, 0, kOne) == 0);
  CHECK(attach_functions(program, BPF_TRACE_KPROBE_MULTI, BPF_F_KPROBE_MULTI_RETURN, kOne) ==
        EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "kretprobe.multi/tcp_connect");
}

TEST_CASE("deny_many_offsets_for_one_that_no_rule_names",
          "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("uprobe.multi//usr/bin/openssl:0x1000")"));
  const Fd program = loaded("uprobe.multi");
  const auto attach = [&](const std::vector<unsigned long>& offsets) {
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, kUprobed, offsets);
  };
  CHECK(attach({0x1000}) == 0);
  CHECK(attach({0x1000, 0x2000}) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "uprobe.multi//usr/bin/openssl:0x2000");
  CHECK(attach({0x2000, 0x1000}) == EPERM);
}

TEST_CASE("deny_a_function_in_a_file_that_no_rule_names_by_its_symbol",
          "[vm][attach][kernel][kernel:user_strings]") {
  const std::string file = function_in_libc("getenv").file;
  Warden warden;
  warden.apply("enforce", rule("allow", "\"uprobe.multi/" + file + ":getenv\""));
  const Fd program = loaded("uprobe.multi");
  const auto attach = [&](const char* symbol) {
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, file.c_str(),
                          {function_in_libc(symbol).offset});
  };
  CHECK(attach("getenv") == 0);
  CHECK(attach("qsort") == EPERM);
  const Ran applied = warden.try_apply(
      "enforce", rule("deny", "\"uprobe/" + file + ":no_such_function\""), warden.version() + 1);
  CHECK(applied.status == 0);
  CHECK(applied.output.find("no function `no_such_function`") != std::string::npos);
  CHECK(applied.output.find("[uprobe-not-found]") != std::string::npos);
}

TEST_CASE("deny_more_targets_at_once_than_are_looked_at",
          "[vm][attach][kernel][kernel:user_strings][slow]") {
  Warden warden;
  warden.apply("enforce", rule("allow", R"("uprobe.multi//usr/bin/openssl:*")"));
  const Fd program = loaded("uprobe.multi");
  std::vector<unsigned long> offsets;
  for (unsigned long i = 0; i < 5000; i++) offsets.push_back(0x1000 + 16 * i);
  const auto attach = [&] {
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, kUprobed, offsets);
  };
  CHECK(attach() == EPERM);
  CHECK(last_refused_attachment(warden)["cause"] == "too-many-targets");
  offsets.resize(50);
  CHECK(attach() == 0);
}

TEST_CASE("deny_a_file_by_whichever_path_leads_to_it",
          "[vm][attach][kernel][kernel:user_strings]") {
  must("ln -sf /usr/bin/openssl /tmp/att-alias");
  Warden warden;
  const Fd resident = loaded("uprobe.multi");
  const auto attach = [](const Fd& program, const char* file) {
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, file, {0x1000});
  };
  CHECK(attach(resident, "/tmp/att-alias") == 0);
  const std::string any = rule("allow", R"("uprobe.multi/*")");
  warden.apply("enforce", any);
  const Fd program = loaded("uprobe.multi");
  CHECK(attach(program, "/tmp/att-alias") == 0);
  warden.apply("enforce", rule("deny", R"("uprobe.multi//usr/bin/openssl:*")") + any);
  CHECK(attach(program, kUprobed) == EPERM);
  CHECK(attach(program, "/usr/bin/bpftool") == EPERM);  // which may be a link to it as well
  CHECK(attach(program, "/tmp/att-alias") == EPERM);
  CHECK(attach(program, "/usr/bin/../bin/openssl") == EPERM);
  CHECK(attach(program, "/usr//bin/openssl") == EPERM);
}

TEST_CASE("deny_a_file_that_comes_as_a_descriptor", "[vm][attach][kernel][kernel:uprobe_file]") {
  must("ln -sf /usr/bin/openssl /tmp/att-alias");
  Warden warden;
  const auto attach = [](const Fd& program, const char* path) {
    const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
    REQUIRE(file);
    return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, file, {0x1000});
  };
  const int error = attach(loaded("uprobe.multi"), kUprobed);
  REQUIRE(error == (BW_KERNEL_HAS(uprobe_file) ? 0 : EINVAL));
  if (error != 0) SKIP("this kernel takes no file by its descriptor");
  warden.apply("enforce", rule("deny", R"("uprobe.multi//usr/bin/openssl:*")") +
                              rule("allow", R"("uprobe.multi/*")"));
  const Fd program = loaded("uprobe.multi");
  CHECK(attach(program, "/usr/bin/bpftool") == 0);
  CHECK(attach(program, kUprobed) == EPERM);
  CHECK(last_refused_attachment(warden)["attach"] == "uprobe.multi//usr/bin/openssl:0x1000");
  CHECK(attach(program, "/tmp/att-alias") == EPERM);
  CHECK(attach(program, "/usr/bin/../bin/openssl") == EPERM);
}

TEST_CASE("deny_a_path_that_is_read_from_another_root",
          "[vm][attach][kernel][kernel:user_strings]") {
  must(
      "rm -rf /tmp/att-jail && mkdir -p /tmp/att-jail/usr/bin && "
      "cp /usr/bin/busybox /tmp/att-jail/usr/bin/openssl");
  Warden warden;
  const auto attach_inside = [](const Fd& program) {
    return in_child([&] {
      if (::chroot("/tmp/att-jail") != 0) return errno;
      return attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, kUprobed, {0x1000});
    });
  };
  CHECK(attach_inside(loaded("uprobe.multi")) == 0);
  warden.apply("enforce", rule("allow", R"("uprobe.multi//usr/bin/openssl:0x1000")"));
  const Fd program = loaded("uprobe.multi");
  CHECK(attach_offsets(program, BPF_TRACE_UPROBE_MULTI, 0, kUprobed, {0x1000}) == 0);
  CHECK(attach_inside(program) == EPERM);  // another file of the same name
}

// Loaders try that out, to learn whether the kernel knows such links.
TEST_CASE("allow_the_kernel_to_say_that_a_descriptor_is_no_perf_event", "[vm][attach]") {
  Warden warden;
  warden.apply("enforce",
               "multithreaded-attach = \"detect\"\n" + rule("allow", R"("kprobe/tcp_connect")"));
  const Fd program = loaded("kprobe");
  const Fd none(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto try_out = [&] {
    return error_of_made(bpf_link_create(program.get(), none.get(), BPF_PERF_EVENT, nullptr));
  };
  CHECK(try_out() == EBADF);
  const Companion companion;
  CHECK(try_out() == EBADF);
}

}  // namespace bpfwarden::vm
