// What is in the kernel, told alike by bpfwarden and by bpftool; and who vouches for it.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "loader/kernel/syscall.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

constexpr const char* kRules = R"(
[[rules]]
name = "packets and tracing"
allow = ["xdp", "socket", "fentry/*", "cgroup_skb/*", "syscall"]
signed-by = ["netops"]
)";

nlohmann::json from(const std::string& command) {
  return nlohmann::json::parse(run(command).output, nullptr, false);
}

nlohmann::json inventory() { return from("bpfwarden inventory --json")["programs"]; }

nlohmann::json program_named(const nlohmann::json& list, const std::string& name) {
  for (const nlohmann::json& program : list)
    if (program.value("program", "") == name) return program;
  return {};
}

nlohmann::json program_of(const nlohmann::json& list, uint32_t id) {
  for (const nlohmann::json& program : list)
    if (program.value("program_id", 0U) == id) return program;
  return {};
}

uint32_t id_of(const Fd& program) {
  bpf_prog_info info = {};
  bpf_attr attr = {};
  attr.info.bpf_fd = static_cast<uint32_t>(program.get());
  attr.info.info_len = sizeof(info);
  attr.info.info = loader::as_u64(&info);
  REQUIRE(loader::sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr) == 0);
  return info.id;
}

}  // namespace

TEST_CASE("allow_nothing_to_hide_from_the_inventory",
          "[vm][bare][rollout][inventory][kernel][kernel:signature_attr][kernel:signature_verdict]["
          "kernel:folded_"
          "maps][kernel:program_digest]") {
  Warden warden;
  const Attempt resident = load({});
  REQUIRE(resident.error == 0);
  const uint32_t resident_id = id_of(resident.fd);
  CHECK(program_of(inventory(), resident_id)["standing"] == "resident");

  warden.apply("audit", kRules);
  const Attempt known = load(Load{}.signed_by(warden.netops()));
  const Attempt stranger = load({});
  REQUIRE(known.error == 0);
  REQUIRE(stranger.error == 0);
  const nlohmann::json list = inventory();
  const nlohmann::json theirs = from("bpftool prog show -j");
  REQUIRE(theirs.is_array());
  CHECK(list.size() == theirs.size());
  for (const nlohmann::json& program : theirs) {
    CAPTURE(program.dump());
    const nlohmann::json ours = program_of(list, program.value("id", 0U));
    REQUIRE(ours.is_object());
    CHECK(ours["program_type"] == program["type"]);
    CHECK(ours["program"] == program.value("name", ""));
    CHECK(ours["uid"] == program.value("uid", 0));
    CHECK(ours["map_count"] == program.value("map_ids", nlohmann::json::array()).size());
    CHECK(ours["standing"] != "UNEXPLAINED");
  }
  CHECK(program_of(list, resident_id)["standing"] == "resident");
  CHECK(program_named(list, "warden_bpf")["standing"] == "bpfwarden");

  const nlohmann::json admitted = program_of(list, id_of(known.fd));
  CHECK(admitted["standing"] == "admitted");
  CHECK(admitted["attach"] == "xdp");
  CHECK(admitted["admission"]["rule"] == "packets and tracing");
  CHECK(admitted["admission"]["signer"] == "netops");
  CHECK(admitted["admission"]["signature"] == "prog-only");
  REQUIRE(admitted["processes"].size() == 1);
  CHECK(admitted["processes"][0]["tgid"] == ::getpid());

  const nlohmann::json denied = program_of(list, id_of(stranger.fd));
  CHECK(denied["standing"] == "would be denied");
  CHECK(denied["admission"]["cause"] == "default");
  const nlohmann::json unsigned_ones = from("bpfwarden inventory --unsigned --json")["programs"];
  CHECK(program_of(unsigned_ones, id_of(known.fd)).is_null());
  CHECK(program_of(unsigned_ones, id_of(stranger.fd)).is_object());
}

TEST_CASE("allow_each_link_to_be_told_as_bpftool_tells_it", "[vm][rollout][inventory]") {
  Warden warden;
  warden.apply("audit", kRules);
  const std::string programs = kObjects;
  REQUIRE(run("bpftool prog loadall " + programs + "/connects.bpf.o /sys/fs/bpf/links autoattach")
              .status == 0);
  const nlohmann::json list = inventory();
  const nlohmann::json theirs = from("bpftool link show -j");
  REQUIRE(theirs.is_array());
  size_t links = 0;
  for (const nlohmann::json& program : list)
    for (const nlohmann::json& one : program["attachments"])
      if (one["link_id"] != 0) links++;
  CHECK(links == theirs.size());
  for (const nlohmann::json& link : theirs) {
    CAPTURE(link.dump());
    bool found = false;
    const nlohmann::json program = program_of(list, link.value("prog_id", 0U));
    REQUIRE(program.is_object());
    for (const nlohmann::json& ours : program["attachments"])
      found = found || (ours.value("link_id", 0U) == link.value("id", 0U) &&
                        ours.value("link_type", "") == link.value("type", "-"));
    CHECK(found);
  }
  bool is_pinned = false;
  for (const nlohmann::json& program : list)
    for (const nlohmann::json& pin : program["pins"])
      if (pin.dump().starts_with("\"/sys/fs/bpf/links/")) {
        is_pinned = true;
        CHECK(program.value("attach", "").starts_with("fentry/"));
        CHECK(program["attachments"].size() == 1);
        CHECK(program["attachments"].front().value("attach", "") == program.value("attach", "-"));
      }
  CHECK(is_pinned);
  run("rm -rf /sys/fs/bpf/links");
}

}  // namespace bpfwarden::vm
