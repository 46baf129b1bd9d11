#include "loader/events/recorded_event.h"

#include <limits>

#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/language/syntax_reader.h"
#include "policy/language/words.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

using nlohmann::json;

constexpr const char* kOneEvent = "it must be one line of `bpfwarden events --json`";

// No rule can ask for the last two, so the language has no words for them.
constexpr auto kRecordedOrigins = std::to_array<std::pair<std::string_view, policy::Origin>>({
    {"user", policy::Origin::user},
    {"loader", policy::Origin::loader},
    {"kernel", static_cast<policy::Origin>(BW_ORIGIN_KERNEL)},
    {"resident", static_cast<policy::Origin>(BW_ORIGIN_RESIDENT)},
});

template <class T>
std::optional<T> member(const json& event, const char* name) {
  const auto found = event.find(name);
  if (found == event.end() || found->is_null()) return std::nullopt;
  return found->get<T>();
}

// The first word stands for a member that is not there. One that is unknown is not guessed at.
template <class T, size_t size>
Status read_word(const json& event, const char* name,
                 const std::array<std::pair<std::string_view, T>, size>& words, T& value) {
  const auto text = member<std::string>(event, name);
  if (!text) {
    value = words.front().second;
    return {};
  }
  for (const auto& [spelling, meaning] : words) {
    if (spelling != *text) continue;
    value = meaning;
    return {};
  }
  return fail("the event's `" + std::string(name) + "` is unknown: `" + *text + "`", kOneEvent);
}

Status read_uid(const json& event, std::optional<uint32_t>& uid) {
  const auto number = member<int64_t>(event, "uid");
  if (number && (*number < 0 || *number > std::numeric_limits<uint32_t>::max()))
    return fail("the event's `uid` is no user id: " + std::to_string(*number), kOneEvent);
  uid.reset();
  if (number) uid = static_cast<uint32_t>(*number);
  return {};
}

Status read_digest(const json& event, std::optional<policy::ProgramDigest>& digest) {
  const auto text = member<std::string>(event, "digest");
  if (!text) return {};
  digest = policy::parse_digest("sha256:" + *text);
  if (digest) return {};
  return fail("the event's `digest` is none: `" + *text + "`", "it has 64 hexadecimal digits");
}

Status read_signer(const json& event, const policy::Policy& policy, const bw_image& image,
                   uint32_t& signer) {
  const auto key = member<std::string>(event, "signer");
  if (!key) return {};
  const auto slot = policy::signer_slot(image, policy, *key);
  if (!slot) return std::unexpected(slot.error());
  signer = *slot;
  return {};
}

// What no fact of the event would bring back: the kernel part refused before any rule. Of the
// other causes, each follows from the policy and the facts, or is not about a program.
bool is_guard(bw_cause cause) {
  switch (cause) {
    case BW_CAUSE_MISSING_FACT:
    case BW_CAUSE_UNSIGNED_PARTS:
    case BW_CAUSE_LSM_BYPASS:
    case BW_CAUSE_DIGEST_CHANGED:
    case BW_CAUSE_TARGET_CHANGED:
    case BW_CAUSE_KERNEL_LOAD:
    case BW_CAUSE_NO_PROVENANCE:
    case BW_CAUSE_SHARED_FILES:
    case BW_CAUSE_TOO_MANY_TARGETS:
    case BW_CAUSE_ATTACH_RACE:
    case BW_CAUSE_PROBE_GROWS:
    case BW_CAUSE_REFUSED_BEFORE:
    case BW_CAUSE_FOREIGN_MAP:
    case BW_CAUSE_TABLE_FULL:
    case BW_CAUSE_UNJUDGED_ROUTE:
      return true;
    default:
      return false;
  }
}

Status read_guard(const json& event, bw_cause& guard) {
  const auto text = member<std::string>(event, "cause");
  if (!text) return {};
  const auto cause = policy::cause_named(*text);
  if (cause && is_guard(*cause)) guard = *cause;
  if (cause) return {};
  return fail("the event's `cause` is unknown: `" + *text + "`", kOneEvent);
}

// Events of loads say `kprobe/…` where only the attachment names a target, those of attachments
// where that could not be found out.
Status read_program(const json& event, policy::Situation& situation) {
  const auto text = member<std::string>(event, "attach");
  if (!text) return fail("the event is not about a program", "its `attach` says where it would go");
  auto point = policy::parse_attach_point(*text);
  if (!point) return std::unexpected(std::move(point).error());
  situation.attach = std::move(*point);
  situation.is_only_load = member<std::string>(event, "hook") != "attach";
  situation.is_target_unknown = situation.attach.target == policy::kUnknownTarget;
  if (Status read = read_word(event, "signature", policy::kSignatureWords, situation.signature);
      !read)
    return read;
  situation.sleepable = member<bool>(event, "sleepable").value_or(false);
  situation.delegated = member<bool>(event, "delegated").value_or(false);
  situation.license = member<bool>(event, "gpl_compatible").value_or(true)
                          ? policy::License::gpl_compatible
                          : policy::License::proprietary;
  return read_digest(event, situation.digest);
}

Status read_subject(const json& event, policy::Situation& situation) {
  situation.exe = member<std::string>(event, "exe");
  situation.cgroup = member<std::string>(event, "cgroup");
  if (Status read = read_word(event, "origin", kRecordedOrigins, situation.origin); !read)
    return read;
  return read_uid(event, situation.uid);
}

Result<policy::Situation> read(const json& event, const policy::Policy& policy,
                               const bw_image& image, int64_t now) {
  policy::Situation situation;
  if (Status program = read_program(event, situation); !program)
    return std::unexpected(std::move(program).error());
  if (Status subject = read_subject(event, situation); !subject)
    return std::unexpected(std::move(subject).error());
  if (Status signer = read_signer(event, policy, image, situation.signer); !signer)
    return std::unexpected(std::move(signer).error());
  if (Status guard = read_guard(event, situation.guard); !guard)
    return std::unexpected(std::move(guard).error());
  situation.time = member<int64_t>(event, "wall_time").value_or(now);
  return situation;
}

}  // namespace

Result<json> read_event(const std::filesystem::path& path) {
  auto text = policy::read_text(path);
  if (!text) return std::unexpected(std::move(text).error().within(path.string()));
  json event = json::parse(*text, nullptr, false);
  if (event.is_object()) return event;
  const auto first = json::parse(text->substr(0, text->find('\n')), nullptr, false);
  if (first.is_object())
    return fail(path.string() + " holds more than one event",
                "take the line that you ask about, such as `sed -n 1p`");
  return fail(path.string() + " holds no event", "record one with `bpfwarden events --json`");
}

Result<policy::Situation> situation_of_event(const json& event, const policy::Policy& policy,
                                             const bw_image& image, int64_t now) {
  try {
    return read(event, policy, image, now);
  } catch (const json::exception& error) {
    return fail(std::string("the event cannot be read: ") + error.what(), kOneEvent);
  }
}

}  // namespace bpfwarden::loader
