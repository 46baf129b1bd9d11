#include "policy/image/situation.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "policy/image/family_table.h"
#include "policy/text/wording.h"

namespace bpfwarden::policy {
namespace {

// What does not fit is not known: the kernel part cannot read it either.
void set_name(bw_name& name, const void* bytes, size_t size) {
  if (size >= BW_NAME_SIZE) return;
  std::memcpy(name.bytes, bytes, size);
  name.length = static_cast<uint8_t>(size);
  name.known = 1;
}

void set_name(bw_name& name, const std::optional<std::string>& text) {
  if (text) set_name(name, text->data(), text->size());
}

// As read_cgroup_path() of bpf-lsm/subject.bpf.h.
bool is_too_deep(std::string_view cgroup) {
  return cgroup != "/" && std::ranges::count(cgroup, '/') > BW_MAX_COMPONENTS;
}

void set_names(const Situation& situation, const AttachPoint& attach, bw_stage stage,
               bw_facts& facts) {
  const AttachFamily& family = attach_families()[attach.family];
  const bool tells_target = stage == BW_STAGE_ATTACH || family.target == Target::load;
  if (tells_target && !situation.is_target_unknown)
    set_name(facts.names[BW_NAME_TARGET], target_in_facts(attach.family, attach.target));
  const bool is_cgroup = family.place == Place::cgroup;
  if (stage == BW_STAGE_ATTACH && !attach.place.empty() &&
      !(is_cgroup && is_too_deep(attach.place)))
    set_name(facts.names[BW_NAME_PLACE], attach.place);
  set_name(facts.names[BW_NAME_EXE], situation.exe);
  if (situation.cgroup && !is_too_deep(*situation.cgroup))
    set_name(facts.names[BW_NAME_CGROUP], situation.cgroup);
  if (situation.uid) set_name(facts.names[BW_NAME_UID], &*situation.uid, sizeof(*situation.uid));
  if (situation.digest)
    set_name(facts.names[BW_NAME_DIGEST], situation.digest->data(), situation.digest->size());
}

bool is_guard_at(bw_stage stage, bw_cause guard) {
  return stage == BW_STAGE_ATTACH || cause_class(guard) != CauseClass::attach_guard;
}

}  // namespace

// As gather_target() of bpf-lsm/facts.bpf.h.
bw_cause guard_of(const AttachPoint& attach) {
  const bool is_bypass =
      attach_families()[attach.family].name == "fmod_ret" && attach.target.starts_with("security_");
  return is_bypass ? BW_CAUSE_LSM_BYPASS : BW_CAUSE_RULE;
}

std::vector<Situation> as_seen(const Situation& situation) {
  std::vector<Situation> ways;
  for (AttachPoint& attach : as_seen(situation.attach))
    ways.emplace_back(situation).attach = std::move(attach);
  return ways;
}

bw_facts facts_of(const Situation& situation, bw_stage stage) {
  const AttachPoint attach = as_seen(situation.attach).front();
  const AttachFamily& family = attach_families()[attach.family];
  bw_facts facts = {};
  facts.prog_type = family.prog_type;
  facts.attach_type = family.attach_type;
  facts.signer = situation.signer;
  facts.signature = static_cast<uint8_t>(situation.signature);
  if (is_guard_at(stage, situation.guard)) facts.guard = static_cast<uint8_t>(situation.guard);
  facts.origin = static_cast<uint8_t>(situation.origin);
  facts.stage = stage;
  facts.traits[BW_TRAIT_SLEEPABLE] = situation.sleepable;
  facts.traits[BW_TRAIT_DELEGATED] = situation.delegated;
  facts.traits[BW_TRAIT_GPL_COMPATIBLE] = situation.license == License::gpl_compatible;
  facts.family = static_cast<uint8_t>(attach.family);
  facts.time = situation.time;
  set_names(situation, attach, stage, facts);
  return facts;
}

LoadOutcome decide_on(const bw_image& image, const Situation& situation) {
  LoadOutcome outcome = {};
  outcome.load_facts = facts_of(situation, BW_STAGE_LOAD);
  outcome.load = bw_decide(&image, &outcome.load_facts);
  if (situation.is_only_load || (image.flags & BW_IMAGE_ATTACH) == 0 || outcome.load.allow == 0)
    return outcome;
  outcome.attach_facts = facts_of(situation, BW_STAGE_ATTACH);
  outcome.attach = bw_decide(&image, &outcome.attach_facts);
  return outcome;
}

}  // namespace bpfwarden::policy
