// Tables of the kernel part that somebody fills: what needs room in them is denied, an event says
// so, and it goes on once there is room again.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <vector>

#include "tests/vm/helpers/attach/attach_routes.h"
#include "tests/vm/helpers/needs.h"
#include "tests/vm/helpers/scene.h"
#include "tests/vm/helpers/sharing.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kFilters =
    "[[rules]]\nname = \"filters\"\nallow = [\"socket\"]\nsignature = \"unsigned\"\n";

// Fills a pinned table with keys that nothing has, and takes them out again. Keys have 4 or 8
// bytes.
class Filled {
 public:
  explicit Filled(const std::string& name)
      : map_(bpf_obj_get(("/sys/fs/bpf/bpfwarden/map_" + name).c_str())) {
    REQUIRE(map_);
    bpf_map_info info = {};
    uint32_t size = sizeof(info);
    REQUIRE(bpf_map_get_info_by_fd(map_.get(), &info, &size) == 0);
    const std::vector<uint8_t> nothing(info.value_size);
    for (uint64_t key = kFirst;
         bpf_map_update_elem(map_.get(), &key, nothing.data(), BPF_NOEXIST) == 0; key++)
      last_ = key;
    CHECK(errno == E2BIG);
    CHECK(last_ - kFirst < info.max_entries);
  }
  Filled(const Filled&) = delete;
  Filled& operator=(const Filled&) = delete;
  ~Filled() {
    for (uint64_t key = kFirst; key <= last_; key++) (void)bpf_map_delete_elem(map_.get(), &key);
  }

 private:
  static constexpr uint64_t kFirst = 0x4000'0000;  // no address, and no thread's number

  Fd map_;
  uint64_t last_ = kFirst;
};

nlohmann::json table(const std::string& name) {
  const auto status = nlohmann::json::parse(run("bpfwarden status --json").output);
  for (const auto& one : status["tables"])
    if (one["name"] == name) return one;
  return {};
}

nlohmann::json last_denial(Warden& warden) {
  nlohmann::json last;
  for (const nlohmann::json& event : warden.events())
    if (event["decision"] == "deny") last = event;
  return last;
}

}  // namespace

TEST_CASE("attack_fill_the_table_of_programs", "[vm][attack]") {
  Warden warden;
  warden.apply("enforce", kFilters);
  const Fd before = loaded(Load::packet_filter());
  {
    const Filled filled("programs");
    CHECK(load(Load::packet_filter()).error == EPERM);
    const auto denial = last_denial(warden);
    CHECK(denial["cause"] == "table-full");
    CHECK(denial["refused"] == true);
    CHECK(denial["errno"] == EPERM);
    CHECK(table("programs")["entries"] == table("programs")["room"]);
    const Ran shown = run("bpfwarden status");
    CHECK(shown.output.find("table        programs 65536 of 65536, ") != std::string::npos);
    CHECK(run("bpfwarden metrics")
              .output.find("bpfwarden_table_entries{table=\"programs\"} 65536\n") !=
          std::string::npos);
    // What is noted already goes on.
    const Fd udp(::socket(AF_INET, SOCK_DGRAM, 0));
    const int fd = before.get();
    CHECK(::setsockopt(udp.get(), SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)) == 0);
  }
  CHECK(load(Load::packet_filter()).error == 0);
  CHECK(table("programs")["entries"].get<int>() < 100);
  CHECK(run("bpfwarden status").output.find("table ") == std::string::npos);

  warden.apply("audit", kFilters);
  const Filled filled("programs");
  CHECK(load(Load::packet_filter()).error == 0);
  int told = 0;
  for (const nlohmann::json& event : warden.events())
    told += event["cause"] == "table-full" && event["refused"] == false;
  CHECK(told == 1);
}

TEST_CASE("attack_fill_the_table_of_programs_by_loads", "[vm][attack][slow]") {
  constexpr size_t most = 70'000;
  const rlimit limit = {.rlim_cur = most + 100, .rlim_max = most + 100};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  Warden warden;
  warden.apply("enforce", std::string("log-allowed = false\n") + kFilters);
  std::vector<Fd> programs;
  Attempt last;
  for (; programs.size() < most; programs.push_back(std::move(last.fd))) {
    last = load(Load::packet_filter());
    if (last.error != 0) break;
  }
  CHECK(last.error == EPERM);
  CHECK(programs.size() <= 65'536);
  CHECK(last_denial(warden)["cause"] == "table-full");
  CHECK(table("programs")["uid"] == 0);
  CHECK(table("programs")["of_uid"].get<size_t>() >= programs.size());
  programs.clear();
  wait_until_alone();
  int error = EPERM;  // programs are freed by and by
  for (int i = 0; i < 1000 && error == EPERM; i++) error = load(Load::packet_filter()).error;
  CHECK(error == 0);
}

TEST_CASE(
    "attack_fill_the_table_of_loader_maps",
    "[vm][attack][kernel][kernel:signature_attr][kernel:signature_verdict][kernel:folded_maps]") {
  Warden warden;
  warden.apply("enforce",
               "[[rules]]\nname = \"theirs\"\nallow = [\"xdp\"]\nsigned-by = [\"netops\"]\n");
  const auto bundle = sign_object("xdp_pass", warden.netops());
  CHECK(load_bundle(bundle, warden.ring()) == 0);
  (void)warden.events();
  {
    const Filled filled("loader_maps");
    CHECK(load_bundle(bundle, warden.ring()) == EPERM);
    CHECK(last_denial(warden)["refused"] == true);
    CHECK(run("bpfwarden status").output.find("table        loader_maps 65536 of 65536") !=
          std::string::npos);
  }
  CHECK(load_bundle(bundle, warden.ring()) == 0);
}

TEST_CASE("attack_fill_the_table_of_calls_that_are_watched",
          "[vm][attack][kernel][kernel:task_work][kernel:task_work_impl]") {
  needs_awaited_ends();
  Warden warden;
  warden.apply("enforce",
               "multithreaded-attach = \"detect\"\n"
               "[[rules]]\nname = \"here\"\nallow = [\"xdp@lo\"]\nsignature = \"unsigned\"\n");
  const Fd program = loaded(Load{});
  const auto attach = [&] {
    return error_of_made(
        bpf_link_create(program.get(), static_cast<int>(::if_nametoindex("lo")), BPF_XDP, nullptr));
  };
  const Companion companion;
  CHECK(attach() == 0);
  {
    const Filled filled("ends");
    CHECK(attach() == EPERM);
    CHECK(last_denial(warden)["cause"] == "shared-files");
    CHECK(table("ends")["entries"] == table("ends")["room"]);
  }
  CHECK(attach() == 0);
}

}  // namespace bpfwarden::vm
