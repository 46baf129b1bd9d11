// The library's macros would name this file as the place of each event.
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "loader/events/journal.h"

#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "loader/events/event_json.h"
#include "loader/events/event_text.h"

namespace bpfwarden::loader {
namespace {

constexpr const char* kSocket = "/run/systemd/journal/socket";

int priority_of(const Event& event) {
  if (event.refused) return LOG_WARNING;
  return event.decision == Decision::allow && event.hook != BW_HOOK_STAGED ? LOG_INFO : LOG_NOTICE;
}

std::string field_name(std::string_view member) {
  std::string name = "BPFWARDEN_";
  for (const char c : member)
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void add_field(const std::string& name, const nlohmann::json& value,
               std::vector<std::string>& fields) {
  if (value.is_null()) return;
  if (value.is_array()) {
    for (const auto& element : value) add_field(name, element, fields);
    return;
  }
  fields.push_back(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump()));
}

}  // namespace

std::vector<std::string> journal_fields(const Event& event) {
  std::vector<std::string> fields = {
      "MESSAGE=" + event_sentence(event), std::string("MESSAGE_ID=") + kEventMessageId,
      "PRIORITY=" + std::to_string(priority_of(event)), "SYSLOG_IDENTIFIER=bpfwarden"};
  const nlohmann::json json = event_to_json(event);
  for (const auto& [member, value] : json.items()) add_field(field_name(member), value, fields);
  return fields;
}

Status find_journal() {
  if (::access(kSocket, F_OK) == 0) return {};
  return fail_errno(errno, std::string("no journal takes events at ") + kSocket,
                    "start systemd-journald, or keep them with `events --output FILE`");
}

Status send_to_journal(const std::vector<std::string>& fields) {
  if (Status there = find_journal(); !there) return there;
  std::vector<iovec> parts;
  for (const std::string& field : fields)
    parts.push_back({const_cast<char*>(field.data()), field.size()});
  const int error = ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  if (error < 0) return fail_errno(-error, "cannot write to the journal");
  return {};
}

}  // namespace bpfwarden::loader
