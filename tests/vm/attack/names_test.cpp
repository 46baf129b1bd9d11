// Attempts by another name: of the same function, or the same name of another function.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/ioctl.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>

#include "loader/btf/kernel_has.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/handles.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/places.h"
#include "tests/vm/helpers/symbols.h"
#include "tests/vm/machine/entries.h"

namespace bpfwarden::vm {
namespace {

std::string rule(const std::string& action, const std::string& attach) {
  return "[[rules]]\nname = \"" + action + " it\"\n" + action + " = [" + attach +
         "]\nsignature = \"unsigned\"\n";
}

int probe(const Fd& program, const std::string& function) {
  const Fd event = kprobe_event(function);
  return error_of(::ioctl(event.get(), PERF_EVENT_IOC_SET_BPF, program.get()));
}

int probe_many(const Fd& program, const std::string& function) {
  return attach_functions(program, BPF_TRACE_KPROBE_MULTI, 0, {function});
}

// All one function: the system call takes no arguments.
constexpr const char* kFork[] = {"__x64_sys_fork", "__do_sys_fork", "__ia32_sys_fork"};

const Control by_another_name([] {
  const Fd program = loaded(program_of("kprobe"));
  return address_of(kFork[0]) == address_of(kFork[1]) && probe(program, kFork[0]) == 0 &&
         probe(program, kFork[1]) == 0;
});

// On arm64 the function of a system call has one name.
void need_another_name() {
  if (std::string_view(SYSTEM_CALL("fork")) != kFork[0]) SKIP("system calls have one name each");
}

// A function that two have the name of, or more.
std::string ambiguous_function() {
  std::map<std::string, std::set<std::string>> homes;
  std::ifstream lines("/proc/kallsyms");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address, type, name;
    words >> address >> type >> name;
    if (type == "t" && name.find('.') == std::string::npos) homes[name].insert(address);
  }
  for (const auto& [name, addresses] : homes)
    if (addresses.size() > 1) return name;
  FAIL("all functions have names of their own");
  return "";
}

// A BPF program whose function has the name of one of the kernel's.
class Namesake {
 public:
  Namesake() : object_(bpf_object__open_file((kOwn + "/extend.bpf.o").c_str(), nullptr)) {
    REQUIRE(object_);
    bpf_program* one = nullptr;
    bpf_object__for_each_program(one, object_.get())
        bpf_program__set_autoload(one, std::string("tcp_connect") == bpf_program__name(one));
    REQUIRE(bpf_object__load(object_.get()) == 0);
  }

  [[nodiscard]] Load traced_by(const char* family) const {
    Load request = program_of(family);
    const int id =
        btf__find_by_name_kind(bpf_object__btf(object_.get()), "tcp_connect", BTF_KIND_FUNC);
    REQUIRE(id > 0);
    request.btf_id = static_cast<uint32_t>(id);
    const bpf_program* program = bpf_object__find_program_by_name(object_.get(), "tcp_connect");
    request.change = [fd = bpf_program__fd(program)](bpf_attr& attr) {
      attr.attach_prog_fd = static_cast<uint32_t>(fd);
    };
    return request;
  }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  static inline const std::string kOwn = kOwnObjects;
  std::unique_ptr<bpf_object, Close> object_;
};

const Control namesake([] { return load(Namesake().traced_by("fentry")).error == 0; });

}  // namespace

TEST_CASE("attack_probe_a_function_by_another_name",
          "[vm][attack][control][kernel][kernel:user_strings][kernel:task_work][kernel:task_work_"
          "impl][slow]") {
  need_another_name();
  by_another_name.must_have_worked();
  Warden warden;
  for (const char* denied : {"\"ksyscall/fork\"", "\"kprobe/__do_sys_fork\"",
                             "\"kprobe/__x64_sys_*\"", "\"ksyscall/fo*\""}) {
    CAPTURE(denied);
    warden.apply("enforce", rule("deny", denied) + rule("allow", "\"kprobe/*\""));
    const Fd program = loaded(program_of("kprobe"));
    for (const char* name : kFork) CHECK(probe(program, name) == EPERM);
    CHECK(probe(program, address_text(kFork[0])) == EPERM);
    CHECK(probe(program, "tcp_connect") == 0);
  }
  CHECK(
      run("bpfwarden explain " + warden.policy_file() + " --attach kprobe/__do_sys_fork").status ==
      1);
  warden.apply("enforce", rule("deny", "\"kprobe.multi/__do_sys_fork\"") +
                              rule("allow", "\"kprobe.multi/*\""));
  const Fd many = loaded(program_of("kprobe.multi"));
  for (const char* name : kFork) CHECK(probe_many(many, name) == EPERM);
  CHECK(attach_addresses(many, BPF_TRACE_KPROBE_MULTI, 0, {address_of(kFork[0])}) == EPERM);
  CHECK(probe_many(many, "tcp_connect") == (awaits_ends() ? 0 : EPERM));
  // The parts of a system call that has arguments are functions of their own, and run with it.
  warden.apply("enforce", rule("deny", "\"ksyscall/openat\"") + rule("allow", "\"kprobe/*\""));
  const Fd program = loaded(program_of("kprobe"));
  CHECK(probe(program, SYSTEM_CALL("openat")) == EPERM);
  CHECK(probe(program, "__ia32_sys_openat") == EPERM);
  CHECK(probe(program, SYSTEM_CALL("close")) == 0);
}

TEST_CASE("attack_trace_a_function_by_another_name", "[vm][attack][control]") {
  need_another_name();
  by_another_name.must_have_worked();
  std::vector<std::string> traceable;
  for (const char* name : kFork)
    if (loader::kernel_has_function(name)) traceable.emplace_back(name);
  REQUIRE_FALSE(traceable.empty());
  Warden warden;
  for (const char* denied : kFork) {
    CAPTURE(denied);
    warden.apply("enforce", rule("deny", std::string("\"fentry/") + denied + "\"") +
                                rule("allow", "\"fentry/*\""));
    for (const std::string& name : traceable)
      CHECK(load(program_of("fentry", name)).error == EPERM);
    CHECK(load(program_of("fentry", "tcp_connect")).error == 0);
  }
}

// Whichever of its names the kernel prints.
TEST_CASE("allow_a_function_by_each_of_its_names", "[vm][attach][kernel][kernel:user_strings]") {
  Warden warden;
  for (const char* allowed : {"\"ksyscall/fork\"", "\"kprobe/__do_sys_fork\""}) {
    warden.apply("enforce", rule("allow", allowed));
    const Fd program = loaded(program_of("kprobe"));
    for (const char* name : kFork) CHECK(probe(program, name) == 0);
    CHECK(probe(program, "tcp_connect") == EPERM);
  }
}

TEST_CASE("allow_an_ambiguous_function_with_a_warning", "[vm][attach]") {
  const std::string name = ambiguous_function();
  Warden warden;
  const std::string rules = rule("allow", "\"kprobe/" + name + "\"");
  const Ran applied = warden.try_apply("enforce", rules, warden.version() + 1);
  CHECK(applied.status == 0);
  CHECK(applied.output.find("[ambiguous-function]") != std::string::npos);
  const Ran checked =
      run("bpfwarden check " + warden.write_policy("enforce", rules, warden.version() + 2));
  CHECK(checked.output.find("[ambiguous-function]") != std::string::npos);
}

TEST_CASE("attack_trace_a_bpf_program_by_the_name_of_a_kernel_function", "[vm][attack][control]") {
  namesake.must_have_worked();
  const Namesake target;
  Warden warden;
  for (const char* family : {"fentry", "fexit"}) {
    CAPTURE(family);
    const std::string head = std::string("\"") + family + "/";
    warden.apply("enforce",
                 rule("allow", head + "tcp_connect\", " + head + "t*\", " + head + "p*\""));
    CHECK(load(target.traced_by(family)).error == EPERM);
    const auto refused = warden.events().back();
    CHECK(refused["attach"] == std::string(family) + "/prog:tcp_connect");
    CHECK(load(program_of(family, "tcp_connect")).error == 0);
    warden.apply("enforce", rule("allow", head + "prog:tcp_connect\""));
    CHECK(load(program_of(family, "tcp_connect")).error == EPERM);
    CHECK(load(target.traced_by(family)).error == 0);
    warden.apply("enforce", rule("deny", head + "prog:*\"") + rule("allow", head + "*\""));
    CHECK(load(target.traced_by(family)).error == EPERM);
    CHECK(load(program_of(family, "tcp_connect")).error == 0);
  }
}

}  // namespace bpfwarden::vm
