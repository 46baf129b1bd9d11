// The first half of a case of this folder: without bpfwarden the attack works, or the case could
// not fail. The second half is the case's own: with bpfwarden it does not, and its allowed twin
// still does. Cases are named attack_…, tagged [attack], and stand in docs/threat-model.md, which
// tests/lint/attacks holds to them; those that are tagged [not-held] try what is not held. Those
// that are tagged [control] run twice (tests/vm/case): in a guest without hooks up to their first
// Warden, and in one that has them, without the control. So no case has to load the hooks.
#pragma once

#include <functional>

namespace bpfwarden::vm {

class Control {
 public:
  // `attack` tries it and says whether it worked.
  explicit Control(std::function<bool()> attack) : attack_(std::move(attack)) {}

  // Requires that it does, and that there is no Warden yet. Does nothing in the second run.
  void must_have_worked() const;

 private:
  std::function<bool()> attack_;
};

}  // namespace bpfwarden::vm
