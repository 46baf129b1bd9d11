// The first half of a case of this folder: without bpfwarden the attack works, or the case could
// not fail. The second half is the case's own: with bpfwarden it does not, and its allowed twin
// still does. Cases are named attack_…, tagged [attack], and stand in docs/threat-model.md, which
// tests/lint/attacks holds to them; those that are tagged [not-held] try what is not held. All are
// [bare]: the first policy of a case loads the hooks.
#pragma once

#include <functional>

namespace bpfwarden::vm {

class Control {
 public:
  // `attack` tries it and says whether it worked.
  explicit Control(std::function<bool()> attack) : attack_(std::move(attack)) {}

  // Requires that it does. Before there is a Warden.
  void must_have_worked() const;

 private:
  std::function<bool()> attack_;
};

}  // namespace bpfwarden::vm
