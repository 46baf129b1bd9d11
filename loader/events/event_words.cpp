// The words of events: those of a policy where it has them.
#include <array>
#include <utility>

#include "loader/events/event.h"
#include "policy/text/wording.h"

namespace bpfwarden::loader {
namespace {

std::string_view name_of(bw_hook hook) {
  switch (hook) {
    case BW_HOOK_PROG_LOAD:
      return "bpf_prog_load";
    case BW_HOOK_PROG:
      return "bpf_prog";
    case BW_HOOK_MAP_CREATE:
      return "bpf_map_create";
    case BW_HOOK_KEY:
      return "key_permission";
    case BW_HOOK_STAGED:
      return "staged";
    case BW_HOOK_ATTACH:
      return "attach";
    case BW_HOOK_TOKEN_CREATE:
      return "token-create";
    case BW_HOOK_SUM:
      return "sum";
    case BW_HOOK_OWN:
      return "own-object";
    case BW_HOOK_HARDEN:
      return "harden";
    default:
      return "observed";
  }
}

std::string_view name_of(Decision decision) {
  return decision == Decision::allow ? "allow" : "deny";
}
std::string_view name_of(bw_mode mode) { return policy::mode_name(mode); }
std::string_view name_of(bw_cause cause) { return policy::cause_name(cause); }
std::string_view name_of(bw_signature signature) { return policy::signature_name(signature); }
std::string_view name_of(bw_origin origin) { return policy::origin_name(origin); }
std::string_view name_of(bw_route route) { return policy::route_name(route); }

// The first and the last of each.
constexpr std::pair<bw_hook, bw_hook> range_of(bw_hook) {
  return {BW_HOOK_PROG_LOAD, BW_HOOK_HARDEN};
}
constexpr std::pair<Decision, Decision> range_of(Decision) {
  return {Decision::deny, Decision::allow};
}
constexpr std::pair<bw_mode, bw_mode> range_of(bw_mode) { return {BW_MODE_AUDIT, BW_MODE_ENFORCE}; }
constexpr std::pair<bw_cause, bw_cause> range_of(bw_cause) {
  return {bw_cause(0), bw_cause(BW_CAUSES - 1)};
}
constexpr std::pair<bw_signature, bw_signature> range_of(bw_signature) {
  return {BW_SIGNATURE_UNSIGNED, BW_SIGNATURE_PROG_USED_MAPS};
}
constexpr std::pair<bw_origin, bw_origin> range_of(bw_origin) {
  return {BW_ORIGIN_USER, BW_ORIGIN_RESIDENT};
}
constexpr std::pair<bw_route, bw_route> range_of(bw_route) {
  return {BW_ROUTE_NONE, bw_route(BW_ROUTES - 1)};
}

}  // namespace

template <class T>
Word<T> word_of(T value) {
  return {value, std::string(name_of(value))};
}

template <class T>
Word<T> word_named(std::string text) {
  const auto [first, last] = range_of(T());
  for (int value = static_cast<int>(first); value <= static_cast<int>(last); value++)
    if (const auto one = static_cast<T>(value); name_of(one) == text) return {one, std::move(text)};
  return {std::nullopt, std::move(text)};
}

template Word<bw_hook> word_of(bw_hook);
template Word<Decision> word_of(Decision);
template Word<bw_mode> word_of(bw_mode);
template Word<bw_cause> word_of(bw_cause);
template Word<bw_signature> word_of(bw_signature);
template Word<bw_origin> word_of(bw_origin);
template Word<bw_route> word_of(bw_route);
template Word<bw_hook> word_named(std::string);
template Word<Decision> word_named(std::string);
template Word<bw_mode> word_named(std::string);
template Word<bw_cause> word_named(std::string);
template Word<bw_signature> word_named(std::string);
template Word<bw_origin> word_named(std::string);
template Word<bw_route> word_named(std::string);

}  // namespace bpfwarden::loader
