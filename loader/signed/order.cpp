#include "loader/signed/order.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "base/fd.h"
#include "bpf-lsm/abi/order.h"
#include "bpf-lsm/abi/program.h"
#include "loader/kernel/own_objects.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/publish.h"

namespace bpfwarden::loader {
namespace {

// One decides, one is the fallback, one waits for its turn; and one more of each order under way.
constexpr uint32_t kSpareSlots = 3;

Result<uint32_t> add_slot(int generations, uint32_t slot) {
  const auto map = make_empty_slot();
  if (!map) return std::unexpected(map.error());
  const int fd = map->get();
  uint32_t id = 0;
  if (bpf_map_update_elem(generations, &slot, &fd, BPF_ANY) != 0 ||
      bpf_map_lookup_elem(generations, &slot, &id) != 0)
    return fail_errno(errno, "cannot put an empty policy into its slot");
  return id;
}

struct Refusal {
  int code;
  const char* message;
  const char* hint;
};

constexpr Refusal kRefusals[] = {
    {BW_ORDER_UNSIGNED, "too few of those have signed it who may sign policies",
     "`bpfwarden verify FOLDER` says who has, and how many are needed; `bpfwarden compile FOLDER "
     "--key KEY --cert CERTIFICATE` adds a signature"},
    {BW_ORDER_REJECTED, "a signature is not over this policy",
     "`bpfwarden verify FOLDER` says which; fetch the folder again from who signed it"},
    {BW_ORDER_OLDER, "its version is not above that of the active policy",
     "raise `version`, compile and sign it again"},
    {BW_ORDER_OTHER_NAME, "it has another name than the active policy",
     "give it the same `name`, compile and sign it again"},
    {BW_ORDER_OTHER_ABI, "it is for another kernel part than the active one",
     "compile it with the version of bpfwarden that `bpfwarden status` names"},
    {BW_ORDER_BUSY, "another order is under way, or the active policy awaits its confirmation",
     "`bpfwarden status` says which; try again"},
    {BW_ORDER_NO_ROOM, "no slot is free for another policy",
     "try again once the active one is confirmed, or after a reboot"},
    {BW_ORDER_NOT_RESIDENT, "its memory was not there", "try again"},
    {BW_ORDER_NOT_ALLOWED, "the active policy names nobody who may sign its successor",
     "until the next boot it stays as it is"},
};

std::unexpected<Error> refused(int code) {
  const auto* known = std::ranges::find(kRefusals, code, &Refusal::code);
  if (known == std::end(kRefusals)) return fail_errno(code, "the kernel part refused the order");
  return fail(std::string("the kernel part refused it: ") + known->message, known->hint);
}

// The call means nothing to the kernel: EBADFD says that nothing of ours refused it.
Status give(const bw_order& order) {
  constexpr int most = 10;  // pages may be gone again before it looks
  int code = 0;
  for (int tries = 0; tries < most; tries++) {
    bpf_attr attr = {};
    attr.info.bpf_fd = UINT32_MAX;
    attr.info.info_len = sizeof(order);
    attr.info.info = as_u64(&order);
    (void)sys_bpf(BPF_OBJ_GET_INFO_BY_FD, attr);
    code = errno;
    if (code == EBADFD) return {};
    if (code != BW_ORDER_NOT_RESIDENT) break;
  }
  return refused(code);
}

}  // namespace

Status prepare_slots(int generations) {
  uint32_t spare = 0;
  for (uint32_t slot = 0; slot < BW_SLOTS; slot++) {
    uint32_t id = 0;
    if (bpf_map_lookup_elem(generations, &slot, &id) != 0) {
      if (errno != ENOENT) return fail_errno(errno, "cannot look into the slots of policies");
      if (spare++ >= kSpareSlots) continue;
      const auto added = add_slot(generations, slot);
      if (!added) return std::unexpected(added.error());
      id = *added;
    }
    if (auto noted = note_own_map(id, "map of a policy"); !noted) return noted;
  }
  return {};
}

Status send_order(const Order& order) {
  if (order.signatures.size() > BW_MAX_ORDER_SIGNATURES)
    return fail("it has more than " + std::to_string(BW_MAX_ORDER_SIGNATURES) + " signatures",
                "take out some of them");
  bw_order given = {};
  given.magic = BW_ORDER_MAGIC;
  given.image = as_u64(order.image);
  for (const auto& signature : order.signatures) {
    given.signatures[given.signature_count] = as_u64(signature.data());
    given.signature_sizes[given.signature_count++] = static_cast<uint32_t>(signature.size());
  }
  given.ring = order.ring;
  given.sealed = order.sealed;
  return give(given);
}

Status send_confirmation() {
  bw_order given = {};
  given.magic = BW_ORDER_MAGIC;
  return give(given);
}

}  // namespace bpfwarden::loader
