#include "loader/recorded_event.h"

#include "policy/read_conditions.h"
#include "policy/words.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

template <class T>
std::optional<T> member(const json& event, const char* name) {
  const auto found = event.find(name);
  if (found == event.end() || found->is_null()) return std::nullopt;
  return found->get<T>();
}

template <class T, size_t size>
T word(const json& event, const char* name,
       const std::array<std::pair<std::string_view, T>, size>& words) {
  const auto text = member<std::string>(event, name);
  for (const auto& [spelling, value] : words)
    if (text == spelling) return value;
  return words.front().second;
}

// Events of loads say `kprobe/…` where only the attachment names a target.
Result<policy::AttachPoint> attach_point(const json& event) {
  const auto text = member<std::string>(event, "attach");
  if (!text) return fail("the event is not about a program's load");
  return policy::parse_attach_point(*text);
}

Result<policy::Situation> read(const json& event, const policy::Policy& policy,
                               const bw_image& image) {
  policy::Situation situation;
  auto point = attach_point(event);
  if (!point) return std::unexpected(std::move(point).error());
  situation.attach = std::move(*point);
  situation.signature = word(event, "signature", policy::kSignatureWords);
  situation.origin = word(event, "origin", policy::kOriginWords);
  if (const auto key = member<std::string>(event, "signer")) {
    const auto slot = policy::signer_slot(image, policy, *key);
    if (!slot) return std::unexpected(slot.error());
    situation.signer = *slot;
  }
  situation.uid = member<uint32_t>(event, "uid");
  situation.exe = member<std::string>(event, "exe");
  situation.cgroup = member<std::string>(event, "cgroup");
  if (const auto digest = member<std::string>(event, "digest"))
    situation.digest = policy::parse_digest("sha256:" + *digest);
  situation.sleepable = member<bool>(event, "sleepable").value_or(false);
  situation.delegated = member<bool>(event, "delegated").value_or(false);
  if (!member<bool>(event, "gpl_compatible").value_or(true))
    situation.license = policy::License::proprietary;
  situation.time = member<int64_t>(event, "wall_time").value_or(0);
  return situation;
}

}  // namespace

Result<policy::Situation> situation_of_event(const json& event, const policy::Policy& policy,
                                             const bw_image& image) {
  try {
    return read(event, policy, image);
  } catch (const json::exception& error) {
    return fail(std::string("the event cannot be read: ") + error.what(),
                "it must be one line of `bpfwarden events --json`");
  }
}

}  // namespace bpfwarden::loader
