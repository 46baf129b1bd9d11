#include "loader/rollout/takeover.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "loader/handover/carry.h"
#include "loader/handover/running_part.h"
#include "loader/kernel/guard.h"
#include "loader/kernel/hooks.h"
#include "loader/kernel/pins.h"
#include "loader/kernel/warden.h"
#include "loader/policies/active_policy.h"
#include "loader/policies/host_names.h"
#include "loader/policies/policy_store.h"
#include "loader/policies/publish.h"
#include "loader/rollout/apply.h"
#include "loader/rollout/boot.h"
#include "loader/rollout/rings.h"
#include "loader/rollout/seal.h"

namespace bpfwarden::loader {
namespace {

// What the next kernel part decides by: what the active one does, where its image can be read; else
// what is confirmed.
struct Brought {
  std::optional<ActivePolicy> active;
  std::optional<CheckedPolicy> confirmed;
  std::optional<PolicyRing> ring;  // of the confirmed one

  [[nodiscard]] const bw_image& image() const {
    return active ? *active->generation.image : *confirmed->compiled->image;
  }
};

Result<Brought> bring_confirmed() {
  const auto word = word_of_this_boot();
  if (!word) return std::unexpected(word.error());
  auto confirmed = load_for_boot();
  if (!confirmed) return std::unexpected(std::move(confirmed).error());
  // As at a boot: what the host or its kernel does not have is no reason.
  (void)find_on_host(*confirmed->compiled);
  if (*word == BootWord::audit)
    confirmed->compiled->image = in_audit_mode(*confirmed->compiled->image);
  auto ring = adopt_or_make_ring(*confirmed->compiled);
  if (!ring) return std::unexpected(std::move(ring).error());
  confirmed->compiled->image->sealed = ring->keys;
  return Brought{.active = {}, .confirmed = std::move(*confirmed), .ring = *ring};
}

Result<Brought> bring_policy(const RunningPart& running) {
  if (running.part().abi != part_of_this_binary().abi) return bring_confirmed();
  auto active = require_active_policy();
  if (!active) return std::unexpected(std::move(active).error());
  return Brought{.active = std::move(*active), .confirmed = {}, .ring = {}};
}

// All that the word names, each by its number.
Status carry_policy(const ActivePolicy& active, const Warden& next) {
  const bw_control& word = active.word;
  for (const uint64_t number : {word.generation, word.fallback, word.staged, word.previous,
                                word.ring_owner, word.unconfirmed}) {
    const auto one = read_generation(active.pins.generations.get(), number);
    if (!one) return std::unexpected(one.error());
    if (!*one) continue;
    if (auto carried = carry_generation(next.generations(), **one); !carried) return carried;
  }
  return write_control(next.control(), word);
}

// Its numbers go on from those of the other one, whose records name them.
Status publish_confirmed(const Brought& brought, const RunningPart& running, const Warden& next) {
  const auto before = read_as_here<bw_control>(running, next, "control");
  if (!before) return std::unexpected(before.error());
  if (awaits_confirmation(*before, boot_time_ns()))
    return fail("the active policy awaits confirmation",
                "confirm it with the version that loaded it, or wait until it has ended");
  bw_control word = {};
  word.attached_ns = before->attached_ns;
  word.last = std::max(before->last, before->generation);
  if (auto written = write_control(next.control(), word); !written) return written;
  const auto number = publish(next.control(), next.generations(), brought.image());
  return number ? Status() : std::unexpected(number.error());
}

class Takeover {
 public:
  [[nodiscard]] static Result<Takeover> begin(const RunningPart& running, const Brought& brought,
                                              bool with_guard) {
    auto next = Warden::load(with_guard || seals(brought.image()));
    if (!next) return std::unexpected(std::move(next).error());
    if (auto slept = set_asleep(next->map("successor"), true); !slept)
      return std::unexpected(std::move(slept).error());
    auto given = brought.active ? carry_policy(*brought.active, *next)
                                : publish_confirmed(brought, running, *next);
    if (!given) return std::unexpected(std::move(given).error());
    Takeover takeover(running, brought, std::move(*next));
    if (auto noted = takeover.note_old_hooks(); !noted)
      return std::unexpected(std::move(noted).error());
    return takeover;
  }

  // Asleep it notes what it will need; the one before decides.
  [[nodiscard]] Status attach() {
    auto attached = next_.attach(old_guard_);
    return attached ? next_.pin_beside() : attached;
  }

  // Calls that had begun before are over then. What it does not know of one that is not it refuses.
  [[nodiscard]] Status learn() const {
    constexpr auto calls_take = std::chrono::seconds(1);
    if (auto carried = carry_records(*running_, next_); !carried) return carried;
    std::this_thread::sleep_for(calls_take);
    if (auto carried = carry_records(*running_, next_); !carried) return carried;
    if (auto ended = await_loaders(*running_, next_); !ended) return ended;
    if (auto carried = carry_records(*running_, next_); !carried) return carried;
    if (auto forgotten = forget_gone(*running_, next_); !forgotten) return forgotten;
    return carry_counts(*running_, next_);
  }

  // From here on both decide, until the one before has gone to sleep.
  [[nodiscard]] Status wake() const {
    if (brought_->active)
      if (auto same = require_same_word(); !same) return same;
    auto word = read_control(next_.control());
    if (!word) return std::unexpected(word.error());
    word->active_since_ns = boot_time_ns();
    if (!brought_->active) word->previous = 0;  // it has the image of nothing else
    if (auto written = write_control(next_.control(), *word); !written) return written;
    return set_asleep(next_.map("successor"), false);
  }

  // If the exchange fails both go on.
  [[nodiscard]] Status replace() {
    if (auto exchanged = exchange_pins(); !exchanged) return exchanged;
    next_.settle();
    if (auto asleep = running_->put_to_sleep(); !asleep) return asleep;
    if (brought_->ring)
      if (auto published = publish_policy_ring(brought_->ring->serial); !published)
        return published;
    return remove_beside(old_hooks_);
  }

  [[nodiscard]] Status end_old_guard() const {
    if (old_guard_.empty()) return {};
    const auto pins = open_pins();
    if (!pins) return std::unexpected(pins.error());
    if (!*pins) return fail("the pins are gone");
    const auto guard = noted_guard(**pins);
    return guard ? detach_guard(*guard) : std::unexpected(guard.error());
  }

 private:
  Takeover(const RunningPart& running, const Brought& brought, Warden next)
      : running_(&running), brought_(&brought), next_(std::move(next)) {}

  [[nodiscard]] Status note_old_hooks() {
    for (uint32_t i = 0; i < BW_MAX_HOOKS; i++) {
      const auto hook = read_as_here<bw_attached_hook>(*running_, next_, "hooks", i);
      if (!hook) return std::unexpected(hook.error());
      if (hook->program_id == 0) break;
      (hook->link_id == 0 ? old_guard_ : old_hooks_).push_back(hook->program_id);
    }
    return {};
  }

  // By a signed order, for which nobody needs the Lock.
  [[nodiscard]] Status require_same_word() const {
    const auto now = read_control(brought_->active->pins.control.get());
    if (!now) return std::unexpected(now.error());
    if (std::memcmp(&*now, &brought_->active->word, sizeof(*now)) == 0) return {};
    return fail("another policy has become active meanwhile", "try again");
  }

  const RunningPart* running_;
  const Brought* brought_;
  Warden next_;
  std::vector<uint32_t> old_hooks_, old_guard_;
};

void tell_progress(const Progress& progress, const char* what) {
  if (progress) progress(what);
}

// Until both decide.
Result<Takeover> stand_beside(const RunningPart& running, const Brought& brought, bool with_guard,
                              const Progress& progress) {
  tell_progress(progress, "loading the hooks: the kernel verifies them, which may take a minute");
  auto takeover = Takeover::begin(running, brought, with_guard);
  if (!takeover) return takeover;
  tell_progress(progress, "attaching them beside those that decide");
  Status done = takeover->attach();
  tell_progress(progress, "carrying over what is known of the programs that are there");
  if (done) done = takeover->learn();
  if (done) done = takeover->wake();
  if (!done) return std::unexpected(std::move(done).error());
  return takeover;
}

Status take_over_from(const RunningPart& running, bool with_guard, const Progress& progress) {
  const auto brought = bring_policy(running);
  if (!brought) return std::unexpected(brought.error());
  if (auto admitted = running.admit(); !admitted) return admitted;
  auto takeover = stand_beside(running, *brought, with_guard, progress);
  if (!takeover) {
    (void)running.dismiss();
    return std::unexpected(std::move(takeover).error());
  }
  auto replaced = takeover->replace();
  if (replaced) replaced = takeover->end_old_guard();
  if (replaced) return {};
  return std::unexpected(std::move(replaced).error().within("the new hooks decide"));
}

Result<RunningPart> require_running() {
  auto running = RunningPart::open();
  if (!running) return std::unexpected(std::move(running).error());
  if (!*running) return fail("no policy is active", "run `bpfwarden apply POLICY` first");
  return std::move(**running);
}

}  // namespace

Status take_over(bool with_guard, const Progress& progress) {
  const auto running = require_running();
  return running ? take_over_from(*running, with_guard, progress)
                 : std::unexpected(running.error());
}

Result<Upgraded> upgrade(const Progress& progress) {
  auto lock = Lock::take();
  if (!lock) return std::unexpected(std::move(lock).error());
  const auto before = read_active_part();
  if (!before) return std::unexpected(before.error());
  if (*before && **before == part_of_this_binary()) return Upgraded{**before, true};
  const auto running = require_running();
  if (!running) return std::unexpected(running.error());
  if (auto done = take_over_from(*running, false, progress); !done)
    return std::unexpected(std::move(done).error());
  return Upgraded{running->part(), false};
}

}  // namespace bpfwarden::loader
