// A sealed host, and what is tried on it: attacks as rows of tables. A sealed guest stays sealed,
// so many share one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/vm/attack/seal/victim.h"
#include "tests/vm/helpers/scene.h"

namespace bpfwarden::vm {

// Tries it; returns errno, 0: it worked.
using TryOn = std::function<int(Victim&)>;

enum class On : uint8_t {
  both,    // the same attempt must work on the decoy, while there is no bpfwarden
  sealed,  // there is nothing like it without bpfwarden
};

struct SealAttack {
  const char* name;
  const char* stands_for;  // the row of docs/threat-model.md
  int expected;            // errno; 0: it works, and changes nothing
  TryOn attempt;
  On on = On::both;
};

using SealAttacks = std::vector<SealAttack>;

// By what is attacked.
[[nodiscard]] SealAttacks attacks_on_maps();           // maps.cpp
[[nodiscard]] SealAttacks attacks_through_programs();  // bound.cpp
[[nodiscard]] SealAttacks attacks_on_programs();       // programs.cpp
[[nodiscard]] SealAttacks attacks_on_the_guard();      // floor.cpp
[[nodiscard]] SealAttacks attacks_on_pins();           // pins.cpp
[[nodiscard]] SealAttacks attacks_on_verbs();          // verbs.cpp
[[nodiscard]] SealAttacks attacks_on_keys();           // keys.cpp

// One that writes each value once it is read. Where.
[[nodiscard]] std::string pin_iterator_over(const Fd& map);

[[nodiscard]] Fd reading_iterator(const Fd& map);  // likewise, open
[[nodiscard]] Fd binding_program(const Fd& map);

// Each on a decoy of its own, as far as that is possible: all must work.
void control_attacks(const SealAttacks& attacks);

// errno, or 0, of a load that nothing interrupts.
[[nodiscard]] int error_of_load(const Load& request);

class SealedHost {
 public:
  // Applies a policy with `seal = true`, and what follows its rules, in a guest without hooks.
  // Before it is confirmed, and with that the host sealed, `prepare` is called, and descriptors of
  // its objects are opened.
  explicit SealedHost(const std::function<void(Warden&)>& prepare = {},
                      const std::string& more = "");

  // All that is checked: the attempt's errno, and after it that unsigned loads are refused and
  // signed ones admitted. Prints a line about each.
  void must_withstand(const SealAttacks& attacks);

  // 0, or errno.
  [[nodiscard]] int load_unsigned() const { return error_of_load(Load{}); }
  [[nodiscard]] int load_signed() const { return error_of_load(signed_); }

  [[nodiscard]] const Load& signed_load() const { return signed_; }

  [[nodiscard]] Warden& warden() { return warden_; }
  [[nodiscard]] Victim& own() { return *own_; }

 private:
  Warden warden_;
  Load signed_;
  std::unique_ptr<Victim> own_;
};

// "attempt | result | unsigned load: … | signed load: …". `well`: where there is no error.
void print_result(const std::string& attempt, int error, int unsigned_load, int signed_load,
                  const char* well = "works, and changes nothing");

// What a command says, as a number: 0, or EPERM if it fails.
[[nodiscard]] int verdict_of(const std::string& command);

}  // namespace bpfwarden::vm
