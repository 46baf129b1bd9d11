// The metrics over HTTP/1.1, for a Prometheus that scrapes: GET /metrics, in the format that the
// request's Accept prefers. Nothing else is served, and nothing of a request but its path and
// Accept is looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/metrics/exposition.h"

namespace bpfwarden::loader {

struct ListenAddress {
  std::string host;  // numeric, IPv4 or IPv6
  uint16_t port = 0;

  [[nodiscard]] bool is_loopback() const;
};

// "127.0.0.1:9560" or "[::1]:9560". Names are refused: what they mean is not up to this host alone.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

// Called for each request, one at a time.
using Scrape = std::function<Result<std::string>(Exposition)>;

// Serves until SIGINT or SIGTERM; `on_ready` is called once connections are accepted. A failed
// scrape is answered with 503 and its error. Errors: errno of bind(2) or listen(2).
[[nodiscard]] Status serve_metrics(const ListenAddress& address, const Scrape& scrape,
                                   const std::function<void()>& on_ready);

}  // namespace bpfwarden::loader
