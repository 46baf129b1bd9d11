// What systemd is told and given (sd_notify(3)), by a socket as it has one.
#include "loader/text/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/keyring/test_keys.h"

namespace bpfwarden::loader {
namespace {

struct Told {
  std::string text;
  size_t descriptors = 0;
};

// As systemd does: what comes is read, and a barrier's descriptor closed.
Told receive(int socket) {
  std::array<char, 512> text = {};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 8)> control = {};
  iovec part = {text.data(), text.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  Told told = {std::string(text.data(), size < 0 ? 0 : static_cast<size_t>(size))};
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> numbers((one->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(numbers.data(), CMSG_DATA(one), numbers.size() * sizeof(int));
    for (const int number : numbers) ::close(number);
    told.descriptors = numbers.size();
  }
  return told;
}

}  // namespace

TEST_CASE("systemd is given descriptors in the place of those that it has by their name") {
  const test::TempDir folder;
  const std::string path = folder.path() / "notify";
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  std::array<Told, 3> told;
  std::thread manager([&] {
    for (Told& one : told) one = receive(socket.get());
  });
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  std::vector<Fd> links;
  for (int i = 0; i < 3; i++) links.emplace_back(::dup(socket.get()));
  have_service_manager_keep("hook", links);
  manager.join();
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(told[0].text == "FDSTOREREMOVE=1\nFDNAME=hook");
  CHECK(told[1].text == "FDSTORE=1\nFDNAME=hook");
  CHECK(told[1].descriptors == 3);
  CHECK(told[2].text == "BARRIER=1");
}

TEST_CASE("nothing is told to systemd where no unit runs this process") {
  ::unsetenv("NOTIFY_SOCKET");
  have_service_manager_keep("hook", {});
  tell_service_manager("as ever");
}

}  // namespace bpfwarden::loader
