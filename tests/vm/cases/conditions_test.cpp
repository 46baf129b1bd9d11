// The conditions of rules beside attach point and signer, each met and not met by a real load.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>

#include "keyring/x509.h"
#include "tests/vm/helpers/issued.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

std::string unsigned_xdp(const std::string& condition) {
  return "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsignature = \"unsigned\"\n" + condition +
         "\n";
}

// What an unsigned XDP program gets under that rule alone.
int error_under(Warden& warden, const std::string& condition) {
  warden.apply("enforce", unsigned_xdp(condition));
  return load({}).error;
}

std::string own_executable() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// This process in a cgroup of its own for as long as the object lives.
class OwnCgroup {
 public:
  explicit OwnCgroup(const std::string& path) : path_(kRoot + path) {
    std::filesystem::create_directories(path_);
    move_to(path_);
  }
  OwnCgroup(const OwnCgroup&) = delete;
  OwnCgroup& operator=(const OwnCgroup&) = delete;
  ~OwnCgroup() {
    move_to(kRoot);
    ::rmdir(path_.c_str());
  }

 private:
  static inline const std::string kRoot = "/sys/fs/cgroup";
  static void move_to(const std::string& path) {
    std::ofstream(path + "/cgroup.procs") << ::getpid();
  }

  std::string path_;
};

constexpr const char* kLoader = "/usr/bin/own-loader";

// bpftool in a process of its own, by whichever path or descriptor. Its exit code.
int loads_as(const Fd& executable) {
  const std::string object = std::string(kObjects) + "/xdp_bare.bpf.o";
  const int status = in_child([&] {
    std::vector<const char*> words = {
        "bpftool", "prog", "load", object.c_str(), "/sys/fs/bpf/own-loader", nullptr};
    ::fexecve(executable.get(), const_cast<char**>(words.data()), environ);
    return 127;
  });
  run("rm -f /sys/fs/bpf/own-loader");
  return status;
}

// Under that condition alone; libbpf first tries whether any program can be loaded.
std::string bpftools_xdp(const std::string& condition) {
  return unsigned_xdp(condition) +
         "[[rules]]\nname = \"probes\"\nallow = [\"socket\", \"tp/*\"]\nsignature = "
         "\"unsigned\"\n";
}

// Of the XDP program that was loaded last.
nlohmann::json last_xdp(Warden& warden) {
  nlohmann::json last;
  for (const auto& event : warden.events())
    if (event["attach"] == "xdp") last = event;
  return last;
}

std::string digest_of(const Load& request) {
  return "sha256:" + hex(keyring::sha256(request.insns));
}

}  // namespace

TEST_CASE("deny_after_a_rule_has_expired_or_before_it_begins", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "expires = 2021-01-01") == EPERM);
  CHECK(error_under(warden, "not-before = 2099-01-01") == EPERM);
  CHECK(error_under(warden, "not-before = 2021-01-01\nexpires = 2099-01-01") == 0);
}

TEST_CASE("deny_another_user", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "uid = [12345]") == EPERM);
  CHECK(error_under(warden, "uid = [12345, 0]") == 0);
}

TEST_CASE("deny_another_executable", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "exe = [\"/usr/bin/other\"]") == EPERM);
  CHECK(error_under(warden, "exe = [\"" + own_executable() + "\"]") == 0);
  CHECK(error_under(warden, "exe = [\"" + own_executable().substr(0, 6) + "*\"]") == 0);
}

// The path is kept for events: whatever changes it is seen all the same, and decided by.
TEST_CASE("allow_an_executable_to_be_told_by_the_name_that_it_has_now", "[vm][conditions]") {
  Warden warden;
  const std::string own = own_executable(), moved = own + ".moved";
  const auto told = [&] {
    (void)warden.events();
    (void)load({});
    return warden.events().at(0)["exe"];
  };
  CHECK(error_under(warden, "exe = [\"" + own + "\"]") == 0);
  CHECK(told() == own);
  CHECK(told() == own);
  std::filesystem::rename(own, moved);
  CHECK(told() == moved);
  CHECK(load({}).error == EPERM);
  CHECK(error_under(warden, "exe = [\"" + moved + "\"]") == 0);
  std::filesystem::create_hard_link(moved, own);
  std::filesystem::remove(moved);
  CHECK(told() == moved + " (deleted)");
  CHECK(load({}).error == EPERM);
  CHECK(error_under(warden, "exe = [\"" + own + "\"]") == EPERM);
}

TEST_CASE("deny_a_loader_that_runs_from_memory_or_whose_file_is_gone", "[vm][conditions]") {
  Warden warden;
  const std::string path = kLoader;
  REQUIRE(run("cp $(command -v bpftool) " + path).status == 0);
  const Fd file(::open(kLoader, O_RDONLY | O_CLOEXEC));
  const Fd memory(::memfd_create(kLoader, MFD_CLOEXEC));
  REQUIRE(run("cat " + path + " >/proc/" + std::to_string(::getpid()) + "/fd/" +
              std::to_string(memory.get()))
              .status == 0);
  warden.apply("enforce", bpftools_xdp("exe = [\"" + path + "\"]"));
  CHECK(loads_as(file) == 0);
  CHECK(last_xdp(warden)["exe"] == path);
  CHECK(loads_as(memory) != 0);
  const nlohmann::json refused = last_xdp(warden);
  CHECK(refused["refused"] == true);
  CHECK(refused["exe"] == "memfd:" + path + " (deleted)");
  warden.apply("enforce", bpftools_xdp("exe = [\"/*\"]"));
  CHECK(loads_as(file) == 0);
  CHECK(loads_as(memory) != 0);
  std::filesystem::remove(path);
  warden.apply("enforce", bpftools_xdp("exe = [\"" + path + "\"]"));
  CHECK(loads_as(file) != 0);
  CHECK(last_xdp(warden)["exe"] == path + " (deleted)");
}

// A rule that refuses a file refuses who cannot be told from it; tools answer as the kernel did,
// and make no rule of such a name.
TEST_CASE("deny_a_loader_in_memory_by_a_rule_about_files_and_suggest_none", "[vm][conditions]") {
  Warden warden;
  const test::TempDir folder;
  const std::string recording = folder.path() / "events.jsonl";
  const Fd memory(::memfd_create("agent", MFD_CLOEXEC));
  REQUIRE(run("cat $(command -v bpftool) >/proc/" + std::to_string(::getpid()) + "/fd/" +
              std::to_string(memory.get()))
              .status == 0);
  warden.apply("audit",
               "[[rules]]\nname = \"no agent\"\ndeny = [\"xdp\"]\nexe = "
               "[\"/usr/bin/other\"]\n",
               "allow");
  CHECK(loads_as(memory) == 0);
  const nlohmann::json told = last_xdp(warden);
  CHECK(told["rule"] == "no agent");
  CHECK(told["decision"] == "deny");
  CHECK(told["exe"] == "memfd:agent (deleted)");
  std::ofstream(recording) << told.dump() << "\n";
  const Ran explained = run("bpfwarden explain " + warden.policy_file() + " --event " + recording);
  INFO(explained.output);
  CHECK(explained.output.find("no agent") != std::string::npos);
  const Ran suggested = run("bpfwarden suggest --events " + recording);
  INFO(suggested.output);
  CHECK(suggested.output.find("\nexe =") == std::string::npos);
}

TEST_CASE("deny_another_cgroup", "[vm][conditions][kernel][kernel:kernfs_parent]") {
  Warden warden;
  CHECK(error_under(warden, "cgroup = [\"/\"]") == 0);
  CHECK(error_under(warden, "cgroup = [\"/bw-test/*\"]") == EPERM);
  const OwnCgroup outer("/bw-test");
  const OwnCgroup inner("/bw-test/agent.service");
  CHECK(error_under(warden, "cgroup = [\"/bw-test/agent.service\"]") == 0);
  CHECK(error_under(warden, "cgroup = [\"/bw-test/*\"]") == 0);
  CHECK(error_under(warden, "cgroup = [\"/\"]") == EPERM);
  (void)warden.events();
  (void)load({});
  CHECK(warden.events().at(0)["cgroup"] == "/bw-test/agent.service");
}

TEST_CASE("deny_another_program_than_the_digest_names",
          "[vm][conditions][kernel][kernel:program_digest]") {
  needs_digests();
  Warden warden;
  const Load pass, drop = {.insns = Load::return_value(1)};
  warden.apply("enforce", unsigned_xdp("digests = [\"" + digest_of(pass) + "\"]"));
  CHECK(load(drop).error == EPERM);
  const auto refused = warden.events().back();
  CHECK(refused["hook"] == "bpf_prog");
  CHECK(refused["refused"] == true);
  CHECK(refused["digest"] == digest_of(drop));
  CHECK(load(pass).error == 0);
}

TEST_CASE(
    "deny_a_signed_program_on_the_digest_deny_list",
    "[vm][conditions][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]["
    "kernel:program_digest]") {
  needs_digests();
  Warden warden;
  const Load old_version = Load{.insns = Load::return_value(1)}.signed_by(warden.netops());
  const Load fixed = Load{}.signed_by(warden.netops());
  warden.apply("enforce",
               "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  CHECK(load(old_version).error == 0);
  warden.apply("enforce", "deny-digests = [\"" + digest_of(old_version) +
                              "\"]\n[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\n"
                              "signed-by = [\"netops\"]\n");
  CHECK(load(old_version).error == EPERM);
  CHECK(warden.events().back()["cause"] == "denied-digest");
  CHECK(load(fixed).error == 0);
}

TEST_CASE("deny_another_license", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "license = \"proprietary\"") == EPERM);
  CHECK(error_under(warden, "license = \"gpl-compatible\"") == 0);
  Load proprietary;
  proprietary.change = [](bpf_attr& attr) {
    attr.license = reinterpret_cast<uint64_t>("Proprietary");
  };
  CHECK(load(proprietary).error == EPERM);
}

TEST_CASE("deny_a_program_that_may_sleep", "[vm][conditions]") {
  Warden warden;
  Load sleeps;
  sleeps.type = BPF_PROG_TYPE_SYSCALL;
  sleeps.change = [](bpf_attr& attr) { attr.prog_flags = BPF_F_SLEEPABLE; };
  const auto rule = [](const char* sleepable) {
    return std::string(
               "[[rules]]\nname = \"s\"\nallow = [\"syscall\"]\nsignature = \"unsigned\"\n"
               "sleepable = ") +
           sleepable + "\n";
  };
  warden.apply("enforce", rule("false"));
  CHECK(load(sleeps).error == EPERM);
  warden.apply("enforce", rule("true"));
  CHECK(load(sleeps).error == 0);
}

TEST_CASE("deny_a_load_without_a_token_where_one_is_asked_for", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "delegated = true") == EPERM);
  CHECK(error_under(warden, "delegated = false") == 0);
}

TEST_CASE("deny_a_direct_load_where_only_loaders_may",
          "[vm][conditions][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_"
          "maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = "
               "[\"netops\"]\norigin = \"loader\"\n");
  CHECK(load(Load{}.signed_by(warden.netops())).error == EPERM);
  CHECK(load_bundle(sign_object("xdp_pass", warden.netops()), warden.netops().ring) == 0);
}

TEST_CASE("allow_a_key_that_the_issuer_certified_and_deny_it_once_revoked",
          "[vm][conditions][kernel][signing][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_"
          "maps]") {
  Warden warden;
  const Signer ca("ca", {.ca = true});
  const IssuedSigner leaf(ca);
  const std::string certificate = ca.certificate_file.string();
  const auto policy = [&](const std::string& rest) {
    return "[keys.ca]\nissuer = [\"" + certificate + "\"]\n" + rest +
           "\n[[rules]]\nname = \"xdp\"\nallow = [\"xdp\"]\nsigned-by = [\"ca\"]\n";
  };
  warden.apply("enforce", policy(""));
  CHECK(load(leaf.sign({})).error == 0);
  CHECK(warden.events().back()["signer"] == "ca");
  CHECK(load(Load{}.signed_by(ca)).error == EPERM);  // the CA itself
  CHECK(load(Load{}.signed_by(warden.stranger())).error == EPERM);
  const IssuedSigner foreign(warden.stranger());
  CHECK(load(foreign.sign({})).error == EPERM);
  warden.apply("enforce", policy("revoked = [\"" + leaf.certificate_file().string() + "\"]"));
  CHECK(load(leaf.sign({})).error == EPERM);
  const IssuedSigner other(ca);
  CHECK(load(other.sign({})).error == 0);
}

TEST_CASE("allow_without_an_event_where_a_rule_does_not_log", "[vm][conditions]") {
  Warden warden;
  CHECK(error_under(warden, "log = false") == 0);
  CHECK(warden.events().empty());
  CHECK(load({.type = BPF_PROG_TYPE_SOCKET_FILTER}).error == EPERM);
  CHECK(warden.events().size() == 1);
}

}  // namespace bpfwarden::vm
