#include "wasm/compiled_cache.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "wasm/engine_impl.hpp"
#include "wasm/module.hpp"
#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using ::testing::HasSubstr;

class Cache : public ::testing::Test {
 protected:
  Cache() {
    std::string pattern = (std::filesystem::temp_directory_path() / "jamsocket-cache-XXXXXX").string();
    top_ = ::mkdtemp(pattern.data());
    folder_ = top_ / "compiled";
    bytes_ = testing::guest_bytes("reactor");
  }
  ~Cache() override { std::filesystem::remove_all(top_); }

  [[nodiscard]] std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      all.push_back(entry.path());
    }
    return all;
  }
  [[nodiscard]] ModuleHandle load() {
    const auto cache = CompiledCache::open(folder_);
    EXPECT_TRUE(cache.has_value()) << cache.error().message;
    return cache->load(engine_.impl().engine.get(), CompiledCache::key_of(bytes_, engine_.impl().configuration));
  }

  Engine engine_;
  std::filesystem::path top_;
  std::filesystem::path folder_;
  std::string bytes_;
};

TEST_F(Cache, KeepsWhatWasCompiled) {
  ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
  ASSERT_EQ(files().size(), 1U);
  struct stat status{};
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  EXPECT_NE(load(), nullptr);
  ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(Cache, HasAnotherKeyForAnotherConfigurationOrModule) {
  EXPECT_NE(CompiledCache::key_of("a", "x"), CompiledCache::key_of("a", "y"));
  EXPECT_NE(CompiledCache::key_of("a", "x"), CompiledCache::key_of("b", "x"));
  EXPECT_NE(CompiledCache::key_of("ab", "x"), CompiledCache::key_of("b", "xa"));
}

TEST_F(Cache, CompilesAgainWhateverBecameOfTheFile) {
  ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
  const std::filesystem::path file = files().front();
  const std::string whole = testing::read_file(file.string());
  const auto put = [&](std::string_view content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
  };
  std::string bent = whole;
  bent[whole.size() / 2] = static_cast<char>(bent[whole.size() / 2] ^ 1);
  for (const std::string_view content :
       {std::string_view(""), std::string_view("x"), std::string_view(whole).substr(0, whole.size() - 1),
        std::string_view(bent), std::string_view(whole).substr(64)}) {
    put(content);
    EXPECT_EQ(load(), nullptr);
    ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
    EXPECT_NE(load(), nullptr);
  }
}

TEST_F(Cache, DoesNotTakeAFileThatOthersCouldWriteOrThatIsALink) {
  ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
  const std::filesystem::path file = files().front();
  ASSERT_EQ(::chmod(file.c_str(), 0622), 0);
  EXPECT_EQ(load(), nullptr);
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  EXPECT_NE(load(), nullptr);
  std::filesystem::rename(file, top_ / "elsewhere");
  std::filesystem::create_symlink(top_ / "elsewhere", file);
  EXPECT_EQ(load(), nullptr);
}

TEST_F(Cache, DoesNotTakeAFileUnderAnotherName) {
  ASSERT_TRUE(engine_.load_bytes(bytes_, folder_).has_value());
  const std::filesystem::path file = files().front();
  const auto cache = CompiledCache::open(folder_);
  std::filesystem::copy_file(file, cache->path_of("planted"));
  EXPECT_EQ(cache->load(engine_.impl().engine.get(), "planted"), nullptr);
}

TEST_F(Cache, RefusesFoldersThatAreNotOursAlone) {
  std::filesystem::create_directory(folder_);
  ASSERT_EQ(::chmod(folder_.c_str(), 0750), 0);
  EXPECT_THAT(CompiledCache::open(folder_).error().message, HasSubstr("open to other users"));
  ASSERT_EQ(::chmod(folder_.c_str(), 0700), 0);
  std::filesystem::create_symlink(folder_, top_ / "link");
  EXPECT_THAT(CompiledCache::open(top_ / "link").error().message, HasSubstr("symbolic link"));
  std::ofstream(top_ / "file") << "x";
  EXPECT_THAT(CompiledCache::open(top_ / "file").error().message, HasSubstr("not a folder"));
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(folder_.c_str(), 12345, 12345), 0);
    EXPECT_THAT(CompiledCache::open(folder_).error().message, HasSubstr("another user"));
  }
  EXPECT_FALSE(engine_.load_bytes(bytes_, top_ / "link").has_value());
}

}  // namespace
}  // namespace jamsocket::wasm
