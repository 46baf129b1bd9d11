// Denials that no rule makes, in a policy whose rules are past their trial; conditions that cannot
// be read; and what is none of either, but looks like it.
#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "loader/kernel/syscall.h"
#include "tests/vm/attack/control.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

// On trial as a whole, but for its rules.
constexpr const char* kRulesEnforce = R"(
[[rules]]
name = "packet filters"
allow = ["socket"]
signature = "unsigned"
mode = "enforce"
[[rules]]
name = "nothing else"
deny = ["*"]
mode = "enforce"
)";

// An attach type that no kernel has, which most program types are loaded with all the same.
constexpr uint32_t kNoAttachType = 900;

constexpr uint32_t kTypes[] = {
    BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_KPROBE,         BPF_PROG_TYPE_SCHED_CLS,
    BPF_PROG_TYPE_SCHED_ACT,     BPF_PROG_TYPE_TRACEPOINT,     BPF_PROG_TYPE_XDP,
    BPF_PROG_TYPE_PERF_EVENT,    BPF_PROG_TYPE_LWT_IN,         BPF_PROG_TYPE_LWT_OUT,
    BPF_PROG_TYPE_LWT_XMIT,      BPF_PROG_TYPE_SOCK_OPS,       BPF_PROG_TYPE_SK_SKB,
    BPF_PROG_TYPE_SK_MSG,        BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_CGROUP_DEVICE,
};

int load_for_no_attach_type(uint32_t type) {
  Load request = Load::of_type(type);
  request.attach_type = kNoAttachType;
  return load(request).error;
}

const Control for_no_attach_type([] {
  size_t loaded = 0;
  for (const uint32_t type : kTypes) loaded += load_for_no_attach_type(type) == 0;
  return loaded == std::size(kTypes);
});

Load lsm_bypass() {
  Load request = Load::of_type(BPF_PROG_TYPE_TRACING, 0);
  request.attach_type = BPF_MODIFY_RETURN;
  request.btf_id = function_id("security_bpf");
  return request;
}

const Control before_the_lsm_stack([] { return load(lsm_bypass()).error == 0; });

}  // namespace

TEST_CASE("attack_load_for_an_attach_type_that_nobody_knows", "[vm][attack][control]") {
  for_no_attach_type.must_have_worked();
  Warden warden;
  warden.apply("audit", kRulesEnforce);
  for (const uint32_t type : kTypes) {
    INFO("type " << type);
    CHECK(load_for_no_attach_type(type) == EPERM);
  }
  CHECK(load(Load::packet_filter()).error == 0);
  // Nothing is refused where nothing is enforced.
  warden.apply("audit",
               "[[rules]]\nname = \"over\"\ndeny = [\"*\"]\nmode = \"enforce\"\n"
               "expires = 2021-01-01\n");
  CHECK(load_for_no_attach_type(BPF_PROG_TYPE_XDP) == 0);
}

TEST_CASE("attack_skip_the_lsm_stack_in_a_policy_on_trial", "[vm][attack][control]") {
  before_the_lsm_stack.must_have_worked();
  Warden warden;
  warden.apply("audit", kRulesEnforce);
  CHECK(load(lsm_bypass()).error == EPERM);
  CHECK(load(Load::packet_filter()).error == 0);
}

// ---- Conditions that cannot be read -------------------------------------------------------------

namespace {

// This process in a cgroup whose path has more names than are looked at.
class DeepCgroup {
 public:
  DeepCgroup() {
    std::string path = kRoot;
    for (int level = 0; level < 18; level++) {
      path += level == 0 ? "/deep" : "/d";
      ::mkdir(path.c_str(), 0755);
      made_.push_back(path);
    }
    move_to(path);
  }
  DeepCgroup(const DeepCgroup&) = delete;
  DeepCgroup& operator=(const DeepCgroup&) = delete;
  ~DeepCgroup() {
    move_to(kRoot);
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) ::rmdir(path->c_str());
  }

 private:
  static constexpr const char* kRoot = "/sys/fs/cgroup";
  static void move_to(const std::string& path) {
    std::ofstream(path + "/cgroup.procs") << ::getpid();
  }

  std::vector<std::string> made_;
};

// 0, or the errno of the load or of the run.
int load_and_run() {
  const Attempt made = load(Load::packet_filter());
  if (made.error != 0) return made.error;
  std::array<uint8_t, 64> packet = {};
  bpf_attr attr = {};
  attr.test.prog_fd = static_cast<uint32_t>(made.fd.get());
  attr.test.data_in = loader::as_u64(packet.data());
  attr.test.data_size_in = packet.size();
  return loader::sys_bpf(BPF_PROG_TEST_RUN, attr) == 0 ? 0 : errno;
}

const Control from_a_deep_cgroup([] {
  const DeepCgroup deep;
  return load_and_run() == 0;
});

}  // namespace

TEST_CASE("attack_run_what_may_only_be_loaded_from_where_nobody_can_tell",
          "[vm][attack][control]") {
  from_a_deep_cgroup.must_have_worked();
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"probes\"\nload-only = [\"socket\"]\nsignature = \"unsigned\"\n"
               "cgroup = [\"/deep/*\"]\n[[rules]]\nname = \"others\"\nallow = [\"socket\"]\n"
               "signature = \"unsigned\"\n");
  {
    const DeepCgroup deep;
    CHECK(load(Load::packet_filter()).error == 0);
    CHECK(load_and_run() == EPERM);
  }
  CHECK(load_and_run() == 0);
}

// ---- Unsigned loaders ---------------------------------------------------------------------------

namespace {

int run_skeleton(const Skeleton& skeleton) {
  const Attempt map = skeleton.create_map();
  if (map.error != 0) return map.error;
  const Attempt program = skeleton.load_loader(map.fd, 0);
  return program.error != 0 ? program.error : skeleton.run(program.fd);
}

Skeleton unsigned_skeleton() {
  return {.bundle = sign_object("xdp_pass", Signer("nobody")), .is_signed = false};
}

const Control by_an_unsigned_loader([] { return run_skeleton(unsigned_skeleton()) == 0; });

std::string loaders_and(const std::string& rule) {
  return "[[rules]]\nname = \"loaders\"\nallow = [\"syscall\"]\nsignature = \"unsigned\"\n" + rule;
}

}  // namespace

TEST_CASE("attack_load_by_an_unsigned_loader",
          "[vm][attack][loader][control][kernel][kernel:folded_maps]") {
  by_an_unsigned_loader.must_have_worked();
  Warden warden;
  const Skeleton skeleton = unsigned_skeleton();
  const std::string xdp = "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\n";
  for (const char* condition :
       {"signed-by = [\"netops\"]\n", "signature = \"prog-only\"\nsigned-by = [\"netops\"]\n",
        "signature = \"unsigned\"\norigin = \"user\"\n"}) {
    warden.apply("enforce", loaders_and(xdp + condition));
    CHECK(run_skeleton(skeleton) == EPERM);
  }
  warden.apply("enforce", loaders_and(xdp + "signature = \"unsigned\"\norigin = \"loader\"\n"));
  CHECK(run_skeleton(skeleton) == 0);
  const auto child = warden.events().back();
  CHECK(child["attach"] == "xdp");
  CHECK(child["origin"] == "loader");
  CHECK(child["signature"] == "unsigned");
  CHECK(child["rule"] == "xdp");
  CHECK(load({}).error == EPERM);  // is of no loader
}

// ---- Probes -------------------------------------------------------------------------------------

namespace {

constexpr const char* kAnythingUnsigned = R"(
[[rules]]
name = "anything"
allow = ["*"]
signature = "unsigned"
uid = [0]
)";

Load without_target(uint32_t type, uint32_t attach_type, uint32_t btf_id) {
  Load request = Load::of_type(type);
  request.attach_type = attach_type;
  request.btf_id = btf_id;
  return request;
}

// As libbpf and bpftool ask whether the kernel has a program type.
std::vector<Load> probes() {
  return {without_target(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 1),
          without_target(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 0),
          without_target(BPF_PROG_TYPE_LSM, BPF_MODIFY_RETURN, 1),
          without_target(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, 0),
          without_target(BPF_PROG_TYPE_EXT, 0, 1),
          without_target(BPF_PROG_TYPE_STRUCT_OPS, 0, 0),
          without_target(BPF_PROG_TYPE_STRUCT_OPS, 0, 1)};
}

std::vector<int> answers() {
  std::vector<int> errors;
  for (const Load& probe : probes()) errors.push_back(load(probe).error);
  return errors;
}

std::string feature_probe() { return run("bpftool feature probe kernel").output; }

}  // namespace

TEST_CASE("allow_probes_to_tell_the_truth", "[vm][probes][bare][slow]") {
  run("bpfwarden off");
  const std::vector<int> without = answers();
  const std::string lines = feature_probe();
  REQUIRE(lines.find("program_type struct_ops is available") != std::string::npos);
  Warden warden;
  warden.apply("enforce", kAnythingUnsigned);
  CHECK(answers() == without);
  CHECK(feature_probe() == lines);
  // Who may load none of them gets no further than before.
  warden.apply("enforce",
               "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsignature = \"unsigned\"\n");
  for (const int error : answers()) CHECK((error == EPERM || error == EINVAL));
  CHECK(load(probes().front()).error == EPERM);
}

}  // namespace bpfwarden::vm
