#include "loader/rollout/initramfs.h"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

namespace bpfwarden::loader {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOld = "7.2.12";
constexpr const char* kNew = "7.3.4";

InitramfsFacts two_kernels(const std::string& confirmed, const std::string& old_one,
                           const std::string& new_one) {
  return {.confirmed = confirmed,
          .tool = "update-initramfs",
          .images = {{kOld, {.noted = old_one}}, {kNew, {.noted = new_one}}}};
}

// A host in a folder, with a policy that was confirmed and two kernels.
class Host {
 public:
  Host() : root_(fs::temp_directory_path() / ("bw_host_" + std::to_string(::getpid()))) {
    write("var/lib/bpfwarden/policies/boot", "aa enforce\n");
    write("usr/sbin/update-initramfs", "");
    write("usr/share/initramfs-tools/hooks/bpfwarden", "");
    for (const char* release : {kOld, kNew}) {
      fs::create_directories(root_ / "usr/lib/modules" / release);
      note(release, "aa enforce\n");
      write(std::string("boot/initrd.img-") + release, "");
    }
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void note(const std::string& release, const std::string& text) const {
    write("var/lib/bpfwarden/initramfs/" + release, text);
  }
  void remove(const std::string& path) const { fs::remove(root_ / path); }
  [[nodiscard]] fs::path path(const std::string& below) const { return root_ / below; }
  [[nodiscard]] std::optional<StaleInitramfs> stale() const {
    return stale_initramfs(read_initramfs_facts(root_));
  }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("an initramfs with the confirmed policy is no news", "[initramfs]") {
  CHECK_FALSE(stale_initramfs(two_kernels("aa enforce", "aa enforce", "aa enforce")));
  CHECK_FALSE(stale_initramfs(two_kernels("", "", "")));
  CHECK_FALSE(stale_initramfs({}));
}

TEST_CASE("an initramfs from before the confirmed policy is told of, by kernel", "[initramfs]") {
  const auto one = stale_initramfs(two_kernels("bb enforce", "aa enforce", "bb enforce"));
  REQUIRE(one);
  CHECK(stale_initramfs_text(*one) == "older than the confirmed policy: 7.2.12");
  CHECK(one->command == "update-initramfs -u -k 7.2.12");
  const auto both = stale_initramfs(two_kernels("bb enforce", "", "bb audit"));
  REQUIRE(both);
  CHECK(stale_initramfs_text(*both) == "older than the confirmed policy: 7.2.12, 7.3.4");
  CHECK(both->command == "update-initramfs -u -k all");
}

TEST_CASE("an initramfs that has a policy after all were forgotten is told of", "[initramfs]") {
  const auto stale = stale_initramfs(two_kernels("", "", "aa enforce"));
  REQUIRE(stale);
  CHECK(stale_initramfs_text(*stale) == "still has a policy: 7.3.4");
}

TEST_CASE("the command is the one of the tool that is there", "[initramfs]") {
  InitramfsFacts facts = two_kernels("bb enforce", "bb enforce", "aa enforce");
  facts.tool = "dracut";
  CHECK(stale_initramfs(facts)->command == "dracut --force --kver 7.3.4");
  facts.images.at(kOld).noted.clear();
  CHECK(stale_initramfs(facts)->command == "dracut --force --regenerate-all");
  facts.tool.clear();
  CHECK_FALSE(stale_initramfs(facts));
}

TEST_CASE("what a host's initramfs has is read from the notes of the hooks", "[initramfs]") {
  const Host host;
  CHECK_FALSE(host.stale());
  host.note(kNew, "aa audit\n");
  CHECK(host.stale()->kernels == std::vector<std::string>{kNew});
  host.remove("var/lib/bpfwarden/initramfs/" + std::string(kNew));
  CHECK(host.stale()->kernels == std::vector<std::string>{kNew});
  host.remove("boot/initrd.img-" + std::string(kNew));  // a kernel that boots without one
  CHECK_FALSE(host.stale());
  host.note("6.12.1", "aa audit\n");  // of a kernel that is gone
  CHECK_FALSE(host.stale());
}

TEST_CASE("a note is worth nothing where the image was never finished", "[initramfs]") {
  const Host host;
  const fs::path image = host.path("boot/initrd.img-" + std::string(kNew));
  fs::last_write_time(image, fs::last_write_time(image) - std::chrono::hours(1));
  CHECK(host.stale()->kernels == std::vector<std::string>{kNew});
}

TEST_CASE("a host whose initramfs has no hook of ours is not told to use it", "[initramfs]") {
  const Host host;
  host.note(kNew, "aa audit\n");
  host.remove("usr/share/initramfs-tools/hooks/bpfwarden");
  CHECK_FALSE(host.stale());
  host.write("usr/bin/dracut", "");
  host.write("usr/lib/dracut/modules.d/90bpfwarden/module-setup.sh", "");
  CHECK(host.stale()->command == "dracut --force --kver 7.3.4");
}

}  // namespace bpfwarden::loader
