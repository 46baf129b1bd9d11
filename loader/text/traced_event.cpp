#include "loader/text/traced_event.h"

#include <array>
#include <cstdio>
#include <filesystem>

namespace bpfwarden::loader {
namespace {

constexpr const char* kTracepoints = "/sys/kernel/tracing/events";

// The kernel tells the event, policies its group as well.
std::string tracepoint(const std::string& event) {
  std::error_code error;
  for (const auto& group : std::filesystem::directory_iterator(kTracepoints, error))
    if (std::filesystem::exists(group.path() / event, error))
      return "tp/" + group.path().filename().string() + "/" + event;
  return "tp/" + event;
}

std::string hexadecimal(uint64_t number) {
  std::array<char, 20> text = {};
  (void)std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(number));
  return text.data();
}

std::string function(const TracedEvent& event) {
  if (event.name.empty()) return hexadecimal(event.address);
  return event.name + (event.offset != 0 ? "+" + hexadecimal(event.offset) : "");
}

}  // namespace

std::string event_text(const TracedEvent& event) {
  switch (event.kind) {
    case TracedEvent::Kind::kprobe:
      return "kprobe/" + function(event);
    case TracedEvent::Kind::kretprobe:
      return "kretprobe/" + function(event);
    case TracedEvent::Kind::uprobe:
      return "uprobe/" + event.name + ":" + hexadecimal(event.offset);
    case TracedEvent::Kind::uretprobe:
      return "uretprobe/" + event.name + ":" + hexadecimal(event.offset);
    case TracedEvent::Kind::tracepoint:
      return tracepoint(event.name);
    case TracedEvent::Kind::other:
      break;
  }
  return "perf_event";
}

}  // namespace bpfwarden::loader
