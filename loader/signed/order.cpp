#include "loader/signed/order.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "bpf-lsm/abi/program.h"
#include "loader/kernel/own_objects.h"
#include "loader/kernel/syscall.h"
#include "loader/policies/publish.h"

namespace bpfwarden::loader {
namespace {

// One decides, and there is one: beside it the one before, one that is staged, and the one of the
// order under way.
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
    {BW_ORDER_OLDER, "its version is not above that of the active policy, or was taken back",
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
    {BW_ORDER_NOT_ALLOWED, "the active policy names nobody who may sign",
     "until the next boot it stays as it is"},
};

constexpr const char* kAskAnew = "write another one, have it signed, and give that";

// Of a signed request, as far as it is another thing.
constexpr Refusal kRefusedRequests[] = {
    {BW_ORDER_UNSIGNED, "too few of those have signed it who may sign policies",
     "`bpfwarden order sign FILE --key KEY --cert CERTIFICATE` adds a signature; `bpfwarden "
     "status` says how many are needed"},
    {BW_ORDER_REJECTED, "a signature is not over this order",
     "sign the very file that `bpfwarden order` has written"},
    {BW_ORDER_OTHER_NAME, "it is about a policy of another name than the active one", kAskAnew},
    {BW_ORDER_OTHER_ABI, "it is for another kernel part than the active one", kAskAnew},
    {BW_ORDER_EXPIRED, "it is of another host or another boot, or has been used", kAskAnew},
    {BW_ORDER_OTHER_VERSION, "it is about another version than the active one, or the one before",
     kAskAnew},
    {BW_ORDER_BELOW_SEAL,
     "the policy before is from before the host was sealed, and no sealed host goes back below "
     "that",
     "compile and sign a newer version of what it said, and apply that"},
    {BW_ORDER_NOTHING_BEFORE, "there is no policy to go back to",
     "`bpfwarden status` shows what is active"},
};

std::unexpected<Error> refused(int code, std::span<const Refusal> refusals) {
  const auto known = std::ranges::find(refusals, code, &Refusal::code);
  if (known == refusals.end()) return fail_errno(code, "the kernel part refused the order");
  return fail(std::string("the kernel part refused it: ") + known->message, known->hint);
}

std::unexpected<Error> refused(int code, uint32_t kind) {
  const bool is_known =
      std::ranges::find(kRefusedRequests, code, &Refusal::code) != std::end(kRefusedRequests);
  if (kind == BW_ORDER_REQUEST && is_known) return refused(code, kRefusedRequests);
  return refused(code, std::span<const Refusal>(kRefusals));
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
  return refused(code, order.kind);
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
  given.kind = order.kind;
  given.image = as_u64(order.image);
  given.request = as_u64(order.request);
  for (const auto& signature : order.signatures) {
    given.signatures[given.signature_count] = as_u64(signature.data());
    given.signature_sizes[given.signature_count++] = static_cast<uint32_t>(signature.size());
  }
  given.ring = order.ring;
  given.sealed = order.sealed;
  return give(given);
}

Status send_confirmation() { return send_order({.kind = BW_ORDER_CONFIRM}); }

}  // namespace bpfwarden::loader
