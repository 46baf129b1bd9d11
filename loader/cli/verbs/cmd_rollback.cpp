// bpfwarden rollback: bring back the policy that was active before.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/cli/options.h"
#include "loader/rollout/by_order.h"
#include "loader/rollout/rollout.h"
#include "loader/signed/request.h"

namespace bpfwarden::loader {
namespace {

struct RollbackArguments {
  ApplyOptions apply;
  std::string order;
};

Result<Promoted> roll_back(const RollbackArguments& options) {
  if (options.order.empty()) return rollback(options.apply);
  const auto signed_one = read_signed_request(options.order, BW_REQUEST_ROLLBACK);
  return signed_one ? rollback_by_order(*signed_one) : std::unexpected(signed_one.error());
}

int run_rollback(const RollbackArguments& options) {
  const auto back = roll_back(options);
  if (!back) return print_error(back.error());
  answer_applied(*back->policy.compiled, back->applied);
  return 0;
}

}  // namespace

void add_rollback(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<RollbackArguments>();
  CLI::App* verb =
      app.add_subcommand("rollback", "Bring back the policy that was active before this one");
  add_confirm_within(*verb, options->apply);
  add_order_file(*verb, options->order)->excludes("--confirm-within");
  verb->footer("example: bpfwarden rollback");
  verb->callback([options, &chosen] { chosen = [options] { return run_rollback(*options); }; });
}

}  // namespace bpfwarden::loader
