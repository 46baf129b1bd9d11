// What the tests of attachments share: the programs of places.bpf.c, loaded and pinned, and what
// the inventory says of each.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.h"

namespace bpfwarden::vm {

// Loads on construction; takes programs, maps, cgroups, devices and namespaces away on destruction.
// Keeps the last inventory.
class Places {
 public:
  Places();
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;
  ~Places();

  void look();  // again
  [[nodiscard]] const nlohmann::json& list() const { return list_; }

  // By the program's name: its id, its entry in the inventory, its attachments.
  [[nodiscard]] nlohmann::json id(const std::string& name) const;
  [[nodiscard]] nlohmann::json program(const std::string& name) const;
  [[nodiscard]] nlohmann::json at(const std::string& name) const;

  // Of all programs, those of this type ("xdp"), with the member "id" of their program.
  [[nodiscard]] std::vector<nlohmann::json> of_type(const std::string& type) const;

  [[nodiscard]] Fd open(const std::string& program) const;
  [[nodiscard]] Fd open_map(const std::string& map) const;

 private:
  nlohmann::json list_;
};

inline constexpr const char* kPinned = "/sys/fs/bpf/places";     // programs
inline constexpr const char* kMaps = "/sys/fs/bpf/places_maps";  // and maps of places.bpf.c
inline constexpr const char* kOwnObjects = "/opt/bpfwarden/places";

// Fails the test, with the output, if the command does.
std::string must(const std::string& command);

// What it prints, as JSON.
nlohmann::json json_of(const std::string& command);

// What goes before a command that is to run there; nothing for an empty name. `ip netns exec` would
// hide the pins: it mounts /sys anew.
std::string inside(const std::string& network);

// "bpftool net attach KIND pinned …/PROGRAM REST", in that network namespace, if one is given.
void attach(const std::string& kind, const std::string& program, const std::string& rest,
            const std::string& network = "");

}  // namespace bpfwarden::vm
