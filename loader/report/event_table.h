// The events of a recording in little room: each text once, what events have in common (their
// shape) once, and of each event only what is its own. A report counts over it and carries it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loader/events/event.h"
#include "loader/inventory/link_target.h"
#include "loader/text/moment.h"

namespace bpfwarden::loader {

enum class EventOutcome : uint8_t {
  allowed,
  would_deny,  // let through: audit mode, or attached before
  refused,     // the caller got an errno
  rejected,    // by the kernel itself, before any policy
  staged,      // no decision: the staged policy would decide otherwise
};
inline constexpr size_t kOutcomes = 5;
[[nodiscard]] std::string_view outcome_name(EventOutcome outcome);  // "would_deny"

// What a shape tells, as text; numbers too. The names in the page are those of field_name().
enum class Field : uint8_t {
  outcome,
  hook,
  active_decision,
  decision,
  error,
  wanted_key,
  mode,
  rule,
  rule_line,
  cause,
  almost,  // lines
  signature,
  vouch,  // "key:netops", "unknown-key" or "unsigned"
  origin,
  attach,
  family,  // of the attach point: "fentry"
  route,   // by which way it was to be attached; empty for a load
  program,
  digest,
  loader_digest,
  unit,       // systemd's name, else the executable, else the command
  unit_kind,  // "unit", "exe" or "comm"
  exe,
  comm,
  uid,
  cgroup,
  policy_version,
  policy_digest,
};
inline constexpr size_t kFields = 28;
[[nodiscard]] std::string_view field_name(Field field);

using Shape = std::array<uint32_t, kFields>;  // numbers of texts

struct TableEntry {
  Micros time = 0;
  uint64_t time_ns = 0;  // CLOCK_BOOTTIME
  uint64_t sequence = 0;
  uint32_t shape = 0;
  uint32_t program_id = 0;
  uint32_t tgid = 0;
  uint64_t count = 1;  // more than one: a sum of denials
};

// How a program's signer is called in a report. `signer` may be empty.
[[nodiscard]] std::string vouch_of(std::string_view signature, std::string_view signer);
// "cgroup" of "cgroup/connect4@/a"
[[nodiscard]] std::string family_of(std::string_view attach);

class EventTable {
 public:
  // Names cgroups whose path an event lacks; only for events of this machine.
  explicit EventTable(CgroupPaths cgroups = {});

  // False, and nothing is added: it has no hook, or no time.
  [[nodiscard]] bool add(const Event& event);
  // By time; of equal times the order stays.
  void sort();

  [[nodiscard]] const std::vector<std::string>& texts() const { return texts_; }
  [[nodiscard]] const std::vector<Shape>& shapes() const { return shapes_; }
  [[nodiscard]] const std::vector<TableEntry>& entries() const { return entries_; }
  [[nodiscard]] const std::string& text(const TableEntry& entry, Field field) const {
    return texts_[shapes_[entry.shape][static_cast<size_t>(field)]];
  }
  [[nodiscard]] EventOutcome outcome(const TableEntry& entry) const {
    return outcomes_[entry.shape];
  }

 private:
  struct HashOfShape {
    size_t operator()(const Shape& shape) const;
  };
  [[nodiscard]] uint32_t number_of(std::string text);
  [[nodiscard]] std::string cgroup_of(const Event& event) const;
  [[nodiscard]] uint32_t shape_of(const Event& event, EventOutcome outcome);
  [[nodiscard]] uint32_t number_of_shape(const Shape& shape, EventOutcome outcome);

  CgroupPaths cgroups_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<Shape> shapes_;
  std::vector<EventOutcome> outcomes_;  // by shape
  std::unordered_map<Shape, uint32_t, HashOfShape> shape_numbers_;
  std::vector<TableEntry> entries_;
};

// How many events the numbers of these show to be missing: a gap is as many dropped. Numbers begin
// anew after a boot, and after `bpfwarden off`.
[[nodiscard]] uint64_t missing_between(std::vector<TableEntry> entries);

}  // namespace bpfwarden::loader
