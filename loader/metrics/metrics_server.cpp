#include "loader/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <future>
#include <mutex>
#include <thread>

namespace bpfwarden::loader {
namespace {

constexpr size_t kThreads = 4;
constexpr time_t kSeconds = 5;  // for a client that dawdles
constexpr const char* kHow = "give an address such as 127.0.0.1:9560 or [::1]:9560";

std::string_view without_brackets(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) return host.substr(1, host.size() - 2);
  return host;
}

bool is_ipv6(const std::string& host) {
  in6_addr address = {};
  return ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_ipv4(const std::string& host) {
  in_addr address = {};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1;
}

// SO_REUSEADDR alone: with SO_REUSEPORT, the library's default, a second one would take half of the
// requests, and no error would tell.
void set_options(int socket) {
  const int yes = 1;
  (void)::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

Exposition preferred(const httplib::Request& request) {
  const bool wants_open =
      request.get_header_value("Accept").find("application/openmetrics-text") != std::string::npos;
  return wants_open ? Exposition::openmetrics : Exposition::prometheus;
}

void answer(const Result<std::string>& scraped, Exposition exposition,
            httplib::Response& response) {
  if (scraped) {
    response.set_content(*scraped, media_type(exposition));
    return;
  }
  const Error& error = scraped.error();
  response.status = 503;
  response.set_content(error.message + "\n" + error.hint + "\n", "text/plain; charset=utf-8");
}

void configure(httplib::Server& server) {
  server.set_socket_options(set_options);
  server.set_read_timeout(kSeconds);
  server.set_write_timeout(kSeconds);
  server.set_payload_max_length(0);
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // the server's own
}

// Blocked in every thread from here on, and waited for by one.
sigset_t block_signals() {
  sigset_t signals = {};
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Until a signal comes, or the server ends by itself: that is an error.
Status run_until_told(httplib::Server& server, const sigset_t& signals) {
  constexpr timespec pause = {.tv_sec = 0, .tv_nsec = 200'000'000};
  auto ended = std::async(std::launch::async, [&server] { return server.listen_after_bind(); });
  bool is_told = false;
  while (ended.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    is_told = ::sigtimedwait(&signals, nullptr, &pause) > 0 || is_told;
    if (is_told) server.stop();  // of no effect before it runs, so it is repeated
  }
  if (is_told) return {};
  return fail("the server ended by itself", "see whether the process is out of file descriptors");
}

}  // namespace

bool ListenAddress::is_loopback() const {
  in_addr address = {};
  if (host == "::1") return true;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24) == IN_LOOPBACKNET;
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  ListenAddress address;
  if (colon == std::string_view::npos)
    return fail("'" + std::string(text) + "' names no port", kHow);
  const std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  address.host = without_brackets(host);
  if (!(host.starts_with('[') ? is_ipv6(address.host) : is_ipv4(address.host)))
    return fail("'" + std::string(host) + "' is no numeric address", kHow);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size() || address.port == 0)
    return fail("'" + std::string(port) + "' is no port", kHow);
  return address;
}

Status serve_metrics(const ListenAddress& address, const Scrape& scrape,
                     const std::function<void()>& on_ready) {
  const sigset_t signals = block_signals();
  httplib::Server server;
  std::mutex one_at_a_time;
  configure(server);
  server.Get("/metrics", [&](const httplib::Request& request, httplib::Response& response) {
    const std::scoped_lock lock(one_at_a_time);
    const Exposition exposition = preferred(request);
    answer(scrape(exposition), exposition, response);
  });
  if (!server.bind_to_port(address.host, address.port))
    return fail_errno(errno,
                      "cannot listen on " + address.host + ":" + std::to_string(address.port),
                      "see what listens there with `ss -ltnp`, or choose another port");
  on_ready();
  return run_until_told(server, signals);
}

}  // namespace bpfwarden::loader
