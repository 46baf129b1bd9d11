#include "tests/vm/helpers/places.h"

#include <bpf/bpf.h>

#include <catch2/catch_test_macros.hpp>

#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {
namespace {

void clear() {
  run("ip link del places0; ip netns del blue; ip link set dev lo xdpgeneric off");
  run("rmdir /sys/fs/cgroup/places/inner /sys/fs/cgroup/places");
  run(std::string("rm -rf ") + kPinned + " " + kMaps);
}

}  // namespace

std::string must(const std::string& command) {
  const Ran ran = run(command);
  INFO(command << "\n" << ran.output);
  REQUIRE(ran.status == 0);
  return ran.output;
}

nlohmann::json json_of(const std::string& command) {
  const std::string output = must(command);
  INFO(command << "\n" << output);
  auto parsed = nlohmann::json::parse(output, nullptr, false);
  REQUIRE_FALSE(parsed.is_discarded());
  return parsed;
}

std::string inside(const std::string& network) {
  return network.empty() ? "" : "busybox nsenter --net=/run/netns/" + network + " ";
}

void attach(const std::string& kind, const std::string& program, const std::string& rest,
            const std::string& network) {
  must(inside(network) + "bpftool net attach " + kind + " pinned " + kPinned + "/" + program + " " +
       rest);
}

Places::Places() {
  clear();
  must(std::string("bpftool prog loadall ") + kOwnObjects + "/places.bpf.o " + kPinned +
       " pinmaps " + kMaps);
}

Places::~Places() { clear(); }

void Places::look() { list_ = json_of("bpfwarden inventory --json")["programs"]; }

nlohmann::json Places::program(const std::string& name) const {
  for (const nlohmann::json& one : list_)
    if (one["program"] == name) return one;
  FAIL("the inventory has no program " << name);
  return {};
}

nlohmann::json Places::id(const std::string& name) const { return program(name)["program_id"]; }

nlohmann::json Places::at(const std::string& name) const { return program(name)["attachments"]; }

std::vector<nlohmann::json> Places::of_type(const std::string& type) const {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& one : list_)
    for (nlohmann::json attachment : one["attachments"])
      if (attachment["link_type"] == type) {
        attachment["id"] = one["program_id"];
        found.push_back(attachment);
      }
  return found;
}

Fd Places::open(const std::string& program) const {
  Fd fd(bpf_obj_get((std::string(kPinned) + "/" + program).c_str()));
  REQUIRE(fd);
  return fd;
}

Fd Places::open_map(const std::string& map) const {
  Fd fd(bpf_obj_get((std::string(kMaps) + "/" + map).c_str()));
  REQUIRE(fd);
  return fd;
}

}  // namespace bpfwarden::vm
