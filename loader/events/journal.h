// Events in the journal of systemd, with native fields (sd_journal_sendv(3)).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "loader/events/event.h"

namespace bpfwarden::loader {

// MESSAGE_ID of every event: `journalctl MESSAGE_ID=…` finds them whatever the unit. Never changes.
inline constexpr const char* kEventMessageId = "0b658fd86a0b4af8b66ddd8f86dc399b";

// "NAME=value": MESSAGE, MESSAGE_ID, PRIORITY, and each member of the event in JSON
// (docs/events.md) as BPFWARDEN_ with its name in upper case; an array is a field for each element,
// null is none.
[[nodiscard]] std::vector<std::string> journal_fields(const Event& event);

// Errors: no journal runs here.
[[nodiscard]] Status find_journal();

// One entry. Errors: no journal runs (the library would call that a success), errno of sendmsg(2).
[[nodiscard]] Status send_to_journal(const std::vector<std::string>& fields);

}  // namespace bpfwarden::loader
