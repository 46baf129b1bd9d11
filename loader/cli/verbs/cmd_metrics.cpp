// bpfwarden metrics: for Prometheus, as text, in a file, or over HTTP.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "loader/cli/answer.h"
#include "loader/cli/cmd.h"
#include "loader/metrics/metrics.h"
#include "loader/metrics/metrics_server.h"

namespace bpfwarden::loader {
namespace {

struct MetricsArguments {
  bool openmetrics = false;
  std::string output;
  std::optional<std::string> listen;
  bool beyond_loopback = false;
};

int misuse_of_metrics(const Error& error) {
  print_error(error);
  return kWrongUse;
}

Result<std::string> scrape(Exposition exposition) {
  const auto metrics = read_metrics();
  if (!metrics) return std::unexpected(metrics.error());
  return expose(*metrics, exposition);
}

int listen(const std::string& text, bool beyond_loopback) {
  const auto address = parse_listen_address(text);
  if (!address) return misuse_of_metrics(address.error());
  if (!address->is_loopback() && !beyond_loopback)
    return misuse_of_metrics(
        {0, text + " can be reached from other hosts, with names of your rules",
         "listen on 127.0.0.1, or say --beyond-loopback: there is no TLS and no password"});
  const auto say = [&text] {
    std::fprintf(stderr, "serving http://%s/metrics until SIGTERM\n", text.c_str());
  };
  const Status done = serve_metrics(*address, scrape, say);
  return done ? 0 : print_error(done.error());
}

// Readable for node_exporter, which is not root.
int write(const std::string& text, const std::string& file) {
  const Status done = write_output(file, text);
  if (done) return 0;
  const Error& error = done.error();
  return print_error(
      {error.code, error.message, "see whether its folder is there and can be written"});
}

// Into the file where one is named.
int answer_metrics(const std::string& file) {
  const auto metrics = read_metrics();
  if (!metrics) return print_error(metrics.error());
  nlohmann::json all = metrics_to_json(*metrics);
  if (file.empty()) return put_answer(std::move(all)), 0;
  return write(all.dump(2) + "\n", file);
}

int run_metrics(const MetricsArguments& options) {
  if (in_json() && (options.listen || options.openmetrics))
    return misuse_of_metrics(
        {0, "--json is a form of its own", "leave --listen and --openmetrics out"});
  if (options.listen) return listen(*options.listen, options.beyond_loopback);
  if (in_json()) return answer_metrics(options.output);
  const auto text = scrape(options.openmetrics ? Exposition::openmetrics : Exposition::prometheus);
  if (!text) return print_error(text.error());
  if (!options.output.empty()) return write(*text, options.output);
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace

void add_metrics(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<MetricsArguments>();
  CLI::App* verb = app.add_subcommand(
      "metrics", "Print metrics for Prometheus; the exit code is 0 when no policy is active, too");
  auto* open = verb->add_flag("--openmetrics", options->openmetrics,
                              "as OpenMetrics 1.0 instead of Prometheus's own format");
  auto* output = verb->add_option(
      "-o,--output", options->output,
      "into this file, replaced as a whole: for node_exporter's textfile collector");
  auto* serve =
      verb->add_option("--listen", options->listen, "serve /metrics on ADDRESS:PORT until SIGTERM")
          ->excludes(output)
          ->excludes(open);
  verb->add_flag("--beyond-loopback", options->beyond_loopback,
                 "let --listen take an address that other hosts reach")
      ->needs(serve);
  verb->footer(
      "example: bpfwarden metrics --output /var/lib/prometheus/node-exporter/bpfwarden.prom");
  verb->callback([options, &chosen] { chosen = [options] { return run_metrics(*options); }; });
}

}  // namespace bpfwarden::loader
