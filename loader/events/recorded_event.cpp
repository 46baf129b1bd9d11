#include "loader/events/recorded_event.h"

#include <optional>
#include <string>

#include "policy/image/signers.h"
#include "policy/language/read_conditions.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

// One that is unknown is not guessed at.
template <class T>
Status require_known(const char* name, const Word<T>& word) {
  if (!word.is_unknown()) return {};
  return fail("the event's `" + std::string(name) + "` is unknown: `" + word.text + "`",
              "it must be of this version: a line of `bpfwarden events --json`");
}

std::optional<std::string> if_known(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

Status read_digest(const Event& event, std::optional<policy::ProgramDigest>& digest) {
  if (event.digest.empty()) return {};
  digest = policy::parse_digest("sha256:" + event.digest);
  if (digest) return {};
  return fail("the event's `digest` is none: `" + event.digest + "`",
              "it has 64 hexadecimal digits");
}

// Events of loads say `kprobe/…` where only the attachment names a target, those of attachments
// where that could not be found out.
Status read_program(const Event& event, policy::Situation& situation) {
  if (event.attach.empty())
    return fail("the event is not about a program", "its `attach` says where it would go");
  auto point = policy::parse_attach_point(event.attach);
  if (!point) return std::unexpected(std::move(point).error());
  situation.attach = std::move(*point);
  situation.is_only_load = event.hook != BW_HOOK_ATTACH;
  situation.is_target_unknown = situation.attach.target == policy::kUnknownTarget;
  if (Status known = require_known("signature", event.signature); !known) return known;
  situation.signature =
      static_cast<policy::Signature>(event.signature.known.value_or(BW_SIGNATURE_UNSIGNED));
  situation.sleepable = event.sleepable;
  situation.delegated = event.delegated;
  situation.license =
      event.gpl_compatible ? policy::License::gpl_compatible : policy::License::proprietary;
  return read_digest(event, situation.digest);
}

// No rule can ask for the kernel's own origins and for residents, so policies have no words for
// them; the numbers are the same.
Status read_subject(const Event& event, policy::Situation& situation) {
  if (event.exe.starts_with('/')) situation.exe = event.exe;  // else no path: see bw_event.exe
  situation.cgroup = if_known(event.cgroup);
  situation.uid = event.uid;
  if (Status known = require_known("origin", event.origin); !known) return known;
  situation.origin = static_cast<policy::Origin>(event.origin.known.value_or(BW_ORIGIN_USER));
  return {};
}

}  // namespace

Result<policy::Situation> situation_of_event(const Event& event, const policy::Policy& policy,
                                             const bw_image& image, int64_t now) {
  policy::Situation situation;
  if (Status program = read_program(event, situation); !program)
    return std::unexpected(std::move(program).error());
  if (Status subject = read_subject(event, situation); !subject)
    return std::unexpected(std::move(subject).error());
  if (!event.signer.empty()) {
    const auto slot = policy::signer_slot(image, policy, event.signer);
    if (!slot) return std::unexpected(slot.error());
    situation.signer = *slot;
  }
  if (Status known = require_known("cause", event.cause); !known)
    return std::unexpected(std::move(known).error());
  if (event.cause.known && policy::is_guard(*event.cause.known))
    situation.guard = *event.cause.known;
  situation.time = event.wall_time.value_or(now);
  return situation;
}

}  // namespace bpfwarden::loader
