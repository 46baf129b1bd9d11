// A decision as the manager knows it: with names where the kernel's record has numbers, whether it
// comes from a ring buffer or from a recording. What each member means: docs/events.md. Owns all
// that it holds; plain data.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf-lsm/abi/event.h"
#include "loader/text/moment.h"
#include "policy/answers/rule_text.h"

namespace bpfwarden::loader {

// A word of a list to which later versions may add: one that this version does not know stays as it
// was written.
template <class T>
struct Word {
  std::optional<T> known;
  std::string text;  // empty: not told

  [[nodiscard]] bool operator==(T value) const { return known == value; }
  [[nodiscard]] bool is_unknown() const { return !known && !text.empty(); }
};

enum class Decision : uint8_t { deny, allow };

// Of Decision, bw_hook, bw_mode, bw_cause, bw_signature, bw_origin and bw_route. A number that this
// version does not know is called unknown.
template <class T>
[[nodiscard]] Word<T> word_of(T value);
// Likewise, as events are written.
template <class T>
[[nodiscard]] Word<T> word_named(std::string text);

// Empty texts: none, or not known.
struct Event {
  uint64_t sequence = 0;  // 0: a sum of denials
  uint64_t count = 1;     // at least 1
  std::optional<Micros> time;
  uint64_t time_ns = 0;              // CLOCK_BOOTTIME
  std::optional<int64_t> wall_time;  // Unix seconds

  Word<bw_hook> hook;
  Word<Decision> decision;
  Word<Decision> active_decision;      // hook staged
  std::optional<bool> active_refused;  // hook staged; no recording tells it
  bool refused = false;
  int32_t error = 0;  // errno
  Word<bw_mode> mode;
  std::string rule;  // its name, or "#5"
  std::optional<uint32_t> rule_line;
  Word<bw_cause> cause;
  std::vector<std::string> almost;

  Word<bw_signature> signature;
  std::string signer;
  int32_t key_serial = 0;
  std::string wanted_key;  // hexadecimal
  std::string verified_by;
  Word<bw_origin> origin;
  std::string attach;  // "xdp@eth0"
  Word<bw_route> route;
  std::string system_call;
  std::string object;  // of bpfwarden's own: "map control"
  std::string program;
  uint32_t program_id = 0;
  uint32_t loader_id = 0;
  std::string digest, loader_digest;  // hexadecimal
  bool sleepable = false;
  bool delegated = false;
  bool gpl_compatible = true;

  uint32_t pid = 0;
  uint32_t tgid = 0;
  std::optional<uint32_t> uid;
  std::string comm, exe, cgroup;
  uint64_t cgroup_id = 0;

  uint64_t generation = 0;
  uint64_t policy_version = 0;
  std::string policy_digest;  // hexadecimal
};

using EventHandler = std::function<void(const Event&)>;

// `image`: of the event's generation; null: rules and signers are then numbers.
[[nodiscard]] Event from_record(const bw_event& record, const bw_image* image);

// Something that was refused, or let through in audit mode only. What a staged policy would do is
// neither.
[[nodiscard]] bool is_refusal(const Event& event);
// An attachment or a run, or what a staged policy would do about one.
[[nodiscard]] bool is_attachment(const Event& event);
// The load of a feature probe (policy/answers/probes.h): what its tool wanted is another load.
[[nodiscard]] bool is_feature_probe(const Event& event);
// Somebody reached for one of bpfwarden's own objects.
[[nodiscard]] bool is_touch(const Event& event);
// Likewise, and was let look: as who lists all programs of a host does.
[[nodiscard]] bool is_look(const Event& event);
// Of a program that was attached before: something was done to its device.
[[nodiscard]] bool is_after_move(const Event& event);

// As rules and suggestions ask about it.
[[nodiscard]] policy::RecordedLoad recorded_load_of(const Event& event);

// By the wall clock; of recordings of earlier versions to the second.
[[nodiscard]] std::optional<Micros> event_time(const Event& event);

}  // namespace bpfwarden::loader
