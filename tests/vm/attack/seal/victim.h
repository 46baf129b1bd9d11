// What the attacks on the seal are made on: bpfwarden's own objects, and, in the control, somebody
// else's that are like them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "keyring/kernel_keyring.h"

namespace bpfwarden::vm {

// All descriptors were opened while it was allowed, and write where there is something to write.
struct Victim {
  std::string pins;  // the folder, with a slash at its end
  keyring::KeySerial ring = 0;

  Fd control, programs, generations, notes;  // maps
  Fd image;                                  // in `generations`
  Fd link, program, guard, types;            // link and program of `warden_prog`; its BTF
  uint32_t slot = 0;                         // of `generations`, where the image is
  uint32_t function = 0;                     // the program's, in its BTF
  uint32_t replaceable = 0;                  // a global one of it

  Victim(const std::string& folder, keyring::KeySerial keyring);

  [[nodiscard]] std::string map_pin(const std::string& map) const { return pins + "map_" + map; }
  [[nodiscard]] std::string link_pin() const { return pins + "link_warden_prog"; }
};

// Loads, attaches and pins decoy.bpf.c; all of it goes with the object.
class Decoy {
 public:
  Decoy();
  Decoy(const Decoy&) = delete;
  Decoy& operator=(const Decoy&) = delete;
  ~Decoy();

  [[nodiscard]] Victim& victim() { return *victim_; }

 private:
  std::unique_ptr<Victim> victim_;
};

[[nodiscard]] Fd root_cgroup();

uint32_t function_of(int program, const char* name);  // in its BTF, which must be had by number

uint32_t id_of_map(const Fd& map);
[[nodiscard]] Fd map_by_number(uint32_t id, uint32_t flags);
[[nodiscard]] Fd map_by_pin(const std::string& pin, uint32_t flags);

}  // namespace bpfwarden::vm
