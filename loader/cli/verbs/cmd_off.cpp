// bpfwarden off: no policy any more.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/applied_output.h"
#include "loader/rollout/apply.h"
#include "loader/signed/request.h"
#include "loader/text/json_members.h"

namespace bpfwarden::loader {
namespace {

struct OffArguments {
  std::string order;
};

Result<bool> switch_off_by(const std::string& order) {
  if (order.empty()) return switch_off(nullptr);
  const auto signed_one = read_signed_request(order, BW_REQUEST_OFF);
  return signed_one ? switch_off(&*signed_one) : std::unexpected(signed_one.error());
}

int run_off(const OffArguments& options) {
  auto dropped = switch_off_by(options.order);
  if (!dropped) return print_error(dropped.error());
  if (in_json()) return put_answer(object_of({{"was_active", *dropped}})), 0;
  std::puts(*dropped ? "off: the hooks are detached, the policy and its keyring are gone"
                     : "off: there was nothing to detach");
  print_stale_initramfs();
  return 0;
}

}  // namespace

void add_off(CLI::App& app, Command& chosen) {
  CLI::App* verb = app.add_subcommand("off", "Detach the hooks and forget the policy");
  auto options = std::make_shared<OffArguments>();
  add_order_file(*verb, options->order);
  verb->footer("example: bpfwarden off");
  verb->callback([options, &chosen] { chosen = [options] { return run_off(*options); }; });
}

}  // namespace bpfwarden::loader
