#include "server/static_files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "http/target.hpp"

namespace jamsocket::server {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class StaticFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "jamsocket-static-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / "public/sub");
    write("public/index.html", "<h1>home</h1>");
    write("public/app.js", "let a = 1;");
    write("public/sub/index.html", "sub");
    write("public/empty.txt", "");
    write("public/.env", "SECRET=1");
    fs::create_directories(root_ / "public/.git");
    write("public/.git/config", "secret");
    write("secret.txt", "secret");
    auto files = StaticFiles::open((root_ / "public").string(), {.held_bytes_max = 100});
    ASSERT_TRUE(files.has_value());
    files_.emplace(std::move(*files));
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& content) {
    std::ofstream(root_ / name, std::ios::binary) << content;
  }

  static http::Request request(std::string path, std::vector<http::Header> headers = {},
                               http::Method method = http::Method::Get) {
    http::Request request;
    request.method = method;
    request.path = std::move(path);
    request.headers = std::move(headers);
    return request;
  }

  // As the server does: decode, then get; a path that does not decode is a 400.
  StaticResponse get(const http::Request& request) const {
    const auto path = http::decode_file_path(request.path);
    if (!path) {
      return {.response = http::text_response(400, path.error().message), .body_bytes = 0, .file = std::nullopt};
    }
    return files_->get(request, *path);
  }
  StaticResponse get(const std::string& path, std::vector<http::Header> headers = {}) const {
    return get(request(path, std::move(headers)));
  }

  fs::path root_;
  std::optional<StaticFiles> files_;
};

TEST_F(StaticFilesTest, ServesAFileWithItsTypeAndValidators) {
  const StaticResponse result = get("/app.js");
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.response.body, "let a = 1;");
  EXPECT_EQ(result.body_bytes, 10U);
  EXPECT_EQ(result.response.header("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(result.response.header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(std::string(result.response.header("ETag")), ::testing::MatchesRegex("\"[0-9a-f-]+\""));
  EXPECT_THAT(std::string(result.response.header("Last-Modified")), HasSubstr("GMT"));
}

TEST_F(StaticFilesTest, ServesTheIndexOfADirectory) {
  EXPECT_EQ(get("/").response.body, "<h1>home</h1>");
  EXPECT_EQ(get("/sub/").response.body, "sub");
  http::Request no_slash = request("/sub");
  no_slash.query = "a=b";
  const StaticResponse redirect = get(no_slash);
  EXPECT_EQ(redirect.response.status, 308);
  EXPECT_EQ(redirect.response.header("Location"), "/sub/?a=b");
}

TEST_F(StaticFilesTest, AnswersHeadWithTheLengthOnly) {
  const StaticResponse result = get(request("/app.js", {}, http::Method::Head));
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.response.body, "");
  EXPECT_EQ(result.body_bytes, 10U);
}

TEST_F(StaticFilesTest, ServesAnEmptyFile) {
  const StaticResponse result = get("/empty.txt");
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.body_bytes, 0U);
  EXPECT_EQ(get("/empty.txt", {{"Range", "bytes=0-"}}).response.status, 416);
}

TEST_F(StaticFilesTest, NeverLeavesItsDirectory) {
  for (const auto* path :
       {"/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/..%2fsecret.txt",
        "/..%5csecret.txt", "/%252e%252e%252fsecret.txt", "/%252e%252e/secret.txt", "//etc/passwd", "/./app.js",
        "/sub/./index.html", "/app.js/", "/app.js/x", "/%c0%ae%c0%ae/secret.txt", "/app.js%00.txt", "/nothing"}) {
    const StaticResponse result = get(path);
    EXPECT_TRUE(result.response.status == 400 || result.response.status == 404)
        << path << ' ' << result.response.status;
    EXPECT_EQ(result.response.body.find("SECRET"), std::string::npos);
    EXPECT_NE(result.response.body, "secret") << path;
  }
  // Past the decoder, the kernel holds the line.
  EXPECT_EQ(files_->get(request("/"), "/../secret.txt").response.status, 404);
  EXPECT_EQ(files_->get(request("/"), "/sub/../../secret.txt").response.status, 404);
  EXPECT_EQ(files_->get(request("/"), "//etc/passwd").response.status, 404);
  EXPECT_EQ(files_->get(request("/"), "secret.txt").response.status, 404);
}

TEST_F(StaticFilesTest, HidesDotFiles) {
  EXPECT_EQ(get("/.env").response.status, 404);
  EXPECT_EQ(get("/.git/config").response.status, 404);
  EXPECT_EQ(get("/.git/").response.status, 404);
  EXPECT_EQ(get("/%2eenv").response.status, 404);
}

TEST_F(StaticFilesTest, FollowsLinksInsideOnly) {
  fs::create_symlink(root_ / "secret.txt", root_ / "public/out.txt");
  fs::create_symlink("../secret.txt", root_ / "public/relative.txt");
  fs::create_symlink("app.js", root_ / "public/inside.js");
  fs::create_symlink("/etc", root_ / "public/etc");
  fs::create_symlink("/proc/self/root", root_ / "public/magic");
  fs::create_symlink("loop", root_ / "public/loop");
  for (const auto* path : {"/out.txt", "/relative.txt", "/etc/passwd", "/magic/etc/passwd", "/loop"}) {
    EXPECT_EQ(get(path).response.status, 404) << path;
  }
  EXPECT_EQ(get("/inside.js").response.body, "let a = 1;");
}

TEST_F(StaticFilesTest, ServesRegularFilesOnly) {
  ASSERT_EQ(::mkfifo((root_ / "public/pipe").c_str(), 0600), 0);
  EXPECT_EQ(get("/pipe").response.status, 404);  // And does not wait for a writer.
  fs::create_directories(root_ / "public/index.d/index.html");
  EXPECT_EQ(get("/index.d/").response.status, 308);
}

TEST_F(StaticFilesTest, RefusesOtherMethods) {
  for (const auto method : {http::Method::Post, http::Method::Put, http::Method::Delete, http::Method::Other}) {
    const StaticResponse result = get(request("/app.js", {}, method));
    EXPECT_EQ(result.response.status, 405);
    EXPECT_EQ(result.response.header("Allow"), "GET, HEAD");
  }
}

TEST_F(StaticFilesTest, HonoursConditions) {
  const std::string etag(get("/app.js").response.header("ETag"));
  const std::string date(get("/app.js").response.header("Last-Modified"));
  const StaticResponse same = get("/app.js", {{"If-None-Match", etag}});
  EXPECT_EQ(same.response.status, 304);
  EXPECT_EQ(same.response.header("ETag"), etag);
  EXPECT_EQ(same.response.body, "");
  EXPECT_EQ(get("/app.js", {{"If-Modified-Since", date}}).response.status, 304);
  EXPECT_EQ(get("/app.js", {{"If-Modified-Since", "garbage"}}).response.status, 200);
  EXPECT_EQ(get("/app.js", {{"If-Match", "\"other\""}}).response.status, 412);
  write("public/app.js", "let a = 22;");
  EXPECT_EQ(get("/app.js", {{"If-None-Match", etag}}).response.status, 200);
}

TEST_F(StaticFilesTest, ServesARange) {
  const StaticResponse part = get("/app.js", {{"Range", "bytes=4-6"}});
  EXPECT_EQ(part.response.status, 206);
  EXPECT_EQ(part.response.body, "a =");
  EXPECT_EQ(part.response.header("Content-Range"), "bytes 4-6/10");
  const StaticResponse beyond = get("/app.js", {{"Range", "bytes=10-"}});
  EXPECT_EQ(beyond.response.status, 416);
  EXPECT_EQ(beyond.response.header("Content-Range"), "bytes */10");
  std::string thousand = "bytes=0-";
  for (int i = 0; i < 1000; ++i) {
    thousand += ",0-";
  }
  EXPECT_EQ(get("/app.js", {{"Range", thousand}}).response.status, 200);
}

TEST_F(StaticFilesTest, HandsOutBigFilesToBeStreamed) {
  write("public/big.bin", std::string(101, 'x'));
  const StaticResponse whole = get("/big.bin");
  ASSERT_TRUE(whole.file.has_value());
  EXPECT_EQ(whole.response.body, "");
  EXPECT_EQ(whole.body_bytes, 101U);
  EXPECT_EQ(whole.file->bytes, 101U);
  EXPECT_GE(whole.file->file.fd(), 0);
  const StaticResponse part = get("/big.bin", {{"Range", "bytes=1-100"}});
  EXPECT_EQ(part.response.body, std::string(100, 'x'));
  EXPECT_FALSE(part.file.has_value());
}

TEST_F(StaticFilesTest, PrefersAPackedFormThatTheClientTakes) {
  write("public/app.js.gz", "packed");
  const StaticResponse packed = get("/app.js", {{"Accept-Encoding", "gzip, br"}});
  EXPECT_EQ(packed.response.body, "packed");
  EXPECT_EQ(packed.response.header("Content-Encoding"), "gzip");
  EXPECT_EQ(packed.response.header("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(packed.response.header("Vary"), "Accept-Encoding");
  const StaticResponse plain = get("/app.js");
  EXPECT_EQ(plain.response.body, "let a = 1;");
  EXPECT_EQ(plain.response.header("Vary"), "Accept-Encoding");
  EXPECT_NE(plain.response.header("ETag"), packed.response.header("ETag"));
  // One that is older than the file it stands for is stale.
  fs::last_write_time(root_ / "public/app.js.gz", fs::last_write_time(root_ / "public/app.js") - std::chrono::hours(1));
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "gzip"}}).response.body, "let a = 1;");
}

TEST(StaticFiles, SayWhichDirectoryCannotBeOpened) {
  const auto files = StaticFiles::open("/nonexistent/dir");
  ASSERT_FALSE(files.has_value());
  EXPECT_THAT(files.error().message, HasSubstr("/nonexistent/dir"));
  EXPECT_THAT(files.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace jamsocket::server
