#include "config/file.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace jamsocket::config {
namespace {

std::string problems_of(std::string_view text) {
  Settings settings;
  std::string lines;
  for (const FileProblem& problem : apply_toml(text, "/nowhere", settings).problems) {
    lines += fmt::format("{}:{}: {}\n", problem.place.line, problem.place.column, problem.text);
  }
  return lines;
}

TEST(File, ReadsServices) {
  Settings settings;
  const FileContents contents = apply_toml(R"([services.chat]
module = "chat.wasm"
room_strategy = "api"
event_cpu_ms_max = 7
[services.board-2]
module = "/b.wasm"
)",
                                           "/folder", settings);
  ASSERT_TRUE(contents.problems.empty()) << contents.problems[0].text;
  ASSERT_EQ(contents.services.size(), 2U);
  EXPECT_EQ(contents.services[0].name, "board-2");
  EXPECT_EQ(contents.services[0].values.service.module, "/b.wasm");
  EXPECT_EQ(contents.services[1].name, "chat");
  EXPECT_EQ(contents.services[1].place, (Place{1, 11}));
  EXPECT_EQ(contents.services[1].values.service.module, "/folder/chat.wasm");
  EXPECT_EQ(contents.services[1].values.module_limits.event_cpu_max, std::chrono::milliseconds(7));
  EXPECT_EQ(contents.services[1].keys.size(), 3U);
  EXPECT_EQ(settings.module_limits.event_cpu_max, std::chrono::milliseconds(100)) << "the whole's own";
}

TEST(File, SaysWhatIsWrongWithServices) {
  EXPECT_EQ(problems_of("services = 3\n"), "1:1: 'services' holds sections; write [services.NAME], then its keys\n");
  EXPECT_EQ(problems_of("[services]\nchat = 3\n"), "2:1: 'chat' is a service; write [services.chat], then its keys\n");
  EXPECT_EQ(
      problems_of("[services.Chat]\n"),
      "1:11: 'Chat' cannot be a service's name; allowed: 1 to 63 of a-z, 0-9, - and _, beginning with a letter or "
      "a digit\n");
  EXPECT_EQ(problems_of("[services.a]\nmodul = \"x\"\n"),
            "2:1: unknown key 'modul' in [services.a]; did you mean 'module'?\n");
  EXPECT_EQ(problems_of("[services.a]\nroom_strategy = \"x\"\n"),
            "2:17: services.a.room_strategy is 'x'; allowed: implicit, api, uuid, short, or short3 to short12\n");
  EXPECT_TRUE(
      problems_of("[services.a]\nport = 1\n").starts_with("2:1: unknown key 'port' in [services.a]; allowed: "));
}

TEST(File, SetsWhatItSays) {
  Settings settings;
  const FileContents contents = apply_toml(R"(static_files = "public"
[server]
port = 0
host = "::"
heartbeat_interval_seconds = 2
log_level = "debug"
[service]
package = "service"
room_strategy = "short5"
shutdown_policy = "0sec"
client_headers = ["origin", "x-name"]
[client]
optimization_level = 4
[limits]
message_bytes_max = "64KiB"
outbound_bytes_max = 2048
event_cpu_ms_max = 7
)",
                                           std::filesystem::temp_directory_path().string(), settings);
  // The folder of static files does not exist; everything else is set all the same.
  ASSERT_EQ(contents.problems.size(), 1U);
  EXPECT_EQ(contents.problems[0].place, (Place{1, 16}));
  EXPECT_EQ(settings.server.port, 0);
  EXPECT_EQ(settings.server.host, "::");
  EXPECT_EQ(settings.server.heartbeat_interval, std::chrono::seconds(2));
  EXPECT_EQ(settings.server.log_level, "debug");
  EXPECT_EQ(settings.service.package, (std::filesystem::temp_directory_path() / "service").string());
  EXPECT_EQ(settings.server.room_strategy, "short5");
  EXPECT_EQ(settings.server.shutdown_policy, "0sec");
  EXPECT_EQ(settings.server.client_headers, (std::vector<std::string>{"origin", "x-name"}));
  EXPECT_EQ(settings.client.optimization_level, "4");
  EXPECT_EQ(settings.server.limits.message_bytes_max, 65'536U);
  EXPECT_EQ(settings.server.limits.outbound_bytes_max, 2048U);
  EXPECT_EQ(settings.module_limits.event_cpu_max, std::chrono::milliseconds(7));
  EXPECT_EQ(contents.keys.size(), 12U);
}

TEST(File, AnEmptyFileIsFine) {
  EXPECT_EQ(problems_of(""), "");
  EXPECT_EQ(problems_of("\n# nothing\r\n\n"), "");
  EXPECT_EQ(problems_of("[server]\n[limits]\n"), "");
}

struct Refusal {
  std::string_view text;
  std::string_view lines;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << testing::PrintToString(refusal.text); }

class Refused : public testing::TestWithParam<Refusal> {};

// Goal: each mistake has its own line, with its place, what was wrong and what is allowed.
TEST_P(Refused, WithExactlyThisLine) { EXPECT_EQ(problems_of(GetParam().text), GetParam().lines); }

constexpr std::string_view kPortAllowed = "0 to 65535, a whole number";

INSTANTIATE_TEST_SUITE_P(
    Keys, Refused,
    testing::Values(
        Refusal{"[server]\nprot = 1\n", "2:1: unknown key 'prot' in [server]; did you mean 'port'?\n"},
        Refusal{"[server]\nheartbeat_interval = 1\n",
                "2:1: unknown key 'heartbeat_interval' in [server]; did you mean 'heartbeat_interval_seconds'?\n"},
        Refusal{"[client]\nzzz = 1\n", "2:1: unknown key 'zzz' in [client]; allowed: package, optimization_level\n"},
        Refusal{"port = 1\n", "1:1: unknown key 'port' at the top level; it belongs in [server]\n"},
        Refusal{"[server]\nstatic_files = \"x\"\n",
                "2:1: unknown key 'static_files' in [server]; it belongs at the top level\n"},
        Refusal{"[sever]\nport = 1\n", "1:2: unknown section [sever]; did you mean [server]?\n"},
        Refusal{
            "[zzz]\n",
            "1:2: unknown section [zzz]; allowed: [server], [tls], [service], [auth], [modules], [proxies], [admin], "
            "[client], [limits], "
            "[services.NAME]\n"},
        Refusal{"server = 1\n", "1:1: 'server' is a section; write [server], then its keys\n"},
        Refusal{"[[server]]\nport = 1\n", "1:3: 'server' is a section; write [server], then its keys\n"},
        Refusal{"\"server.port\" = 1\n", "1:1: unknown key 'server.port' at the top level; allowed: static_files\n"},
        Refusal{"[server]\n\"\\u001b[2J\" = 1\n",
                "2:1: unknown key '\\u001b[2J' in [server]; allowed: host, port, listen, unix_mode, unsent_bytes_max, "
                "shards, scheduling, "
                "heartbeat_interval_seconds, "
                "heartbeat_timeout_seconds, drain_timeout_seconds, compression, "
                "compression_window_bits, data, history, verify, log_level, log_format, sandbox\n"},
        Refusal{"[server.port]\nx = 1\n", "1:1: server.port is a section; allowed: 0 to 65535, a whole number\n"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Refused,
    testing::Values(
        Refusal{"[server]\nport = 65536", "2:8: server.port is 65536; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = -1", "2:8: server.port is -1; allowed: 0 to 65535, a whole number\n"},
        Refusal{"server.port = \"8080\"",
                "1:15: server.port is the text '8080'; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = 1e9",
                "2:8: server.port is a number with a fraction or an exponent; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = nan",
                "2:8: server.port is a number with a fraction or an exponent; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = true", "2:8: server.port is true or false; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = 2026-01-01",
                "2:8: server.port is a date or time; allowed: 0 to 65535, a whole number\n"},
        Refusal{"[server]\nport = [1]",
                "2:8: server.port is a list of something else than texts; allowed: 0 to 65535, "
                "a whole number\n"},
        Refusal{"[server]\nheartbeat_interval_seconds = 0",
                "2:30: server.heartbeat_interval_seconds is 0; allowed: 1 to 86400, a whole number of seconds\n"},
        Refusal{"[server]\nheartbeat_interval_seconds = \"5m\"",
                "2:30: server.heartbeat_interval_seconds is the text '5m'; allowed: 1 to 86400, a whole number of "
                "seconds\n"},
        Refusal{"[server]\nlog_level = \"loud\"",
                "2:13: server.log_level is 'loud'; allowed: debug, info, warn, error or off\n"},
        Refusal{"[server]\nlog_level = 3",
                "2:13: server.log_level is the number 3; allowed: debug, info, warn, error or off\n"},
        Refusal{"[server]\nhost = \"${HOST}\"",
                "2:8: server.host is '${HOST}'; variables are not replaced, write the value itself\n"},
        Refusal{"[server]\nhost = \"\"", "2:8: server.host is ''; allowed: an IP address or a host name\n"},
        Refusal{"[service]\nroom_strategy = \"short2\"",
                "2:17: service.room_strategy is 'short2'; allowed: implicit, api, uuid, short, or short3 to short12\n"},
        Refusal{
            "[service]\nshutdown_policy = \"0.5sec\"",
            "2:19: service.shutdown_policy is '0.5sec'; allowed: never, immediate, or <n>sec with a whole number n, "
            "like 300sec\n"},
        Refusal{"[service]\nclient_headers = [\"a b\"]",
                "2:18: service.client_headers has 'a b'; allowed: a list of names of HTTP headers\n"},
        Refusal{"[service]\nclient_headers = \"origin\"",
                "2:18: service.client_headers is the text 'origin'; allowed: a list of names of HTTP headers\n"},
        Refusal{"[limits]\nroom_memory_bytes_max = \"64 MiB\"",
                "2:25: limits.room_memory_bytes_max is '64 MiB'; allowed: 64KiB to 4GiB, a whole number of bytes or a "
                "text like \"64KiB\", a multiple of 64KiB\n"},
        Refusal{"[limits]\nroom_memory_bytes_max = 65537",
                "2:25: limits.room_memory_bytes_max is 65537; allowed: 64KiB to 4GiB, a whole number of bytes or a "
                "text like \"64KiB\", a multiple of 64KiB\n"},
        Refusal{"static_files = \"missing\"",
                "1:16: static_files is '/nowhere/missing', which is not a folder; allowed: a folder that exists\n"}));

INSTANTIATE_TEST_SUITE_P(
    Syntax, Refused,
    testing::Values(Refusal{"[server]\nport = 1\nport = 2\n", "3:8: server.port is set twice; allowed: once\n"},
                    Refusal{"\xEF\xBB\xBF[server]\n",
                            "1:1: the file begins with a byte order mark; allowed: UTF-8 without one\n"},
                    Refusal{std::string_view("\xFF\xFE[\0", 4),
                            "1:1: the file begins with a byte order mark; allowed: UTF-8 without one\n"}));

// Goal: what the TOML parser itself refuses still says where, and what the key allows.
TEST(File, SyntaxErrorsNameThePlaceAndWhatTheKeyAllows) {
  const std::string unit = problems_of("[server]\nheartbeat_interval_seconds = 10 s\n");
  EXPECT_TRUE(unit.starts_with("2:33: ")) << unit;
  EXPECT_TRUE(
      unit.ends_with("; allowed for server.heartbeat_interval_seconds: 1 to 86400, a whole number of seconds\n"))
      << unit;
  const std::string minutes = problems_of("[server]\nheartbeat_interval_seconds = 5m");
  EXPECT_TRUE(minutes.starts_with("2:31: ")) << minutes;
  const std::string huge = problems_of("[server]\n\n  port=18446744073709551616\n");
  EXPECT_TRUE(huge.starts_with("3:28: ")) << huge;
  EXPECT_TRUE(huge.ends_with(fmt::format("; allowed for server.port: {}\n", kPortAllowed))) << huge;
}

// Goal: any bytes give one problem, on one line. Method: bytes that are no TOML in many ways.
TEST(File, AnyBytesGiveProblemsOfOneLine) {
  const std::string deep_list = "x = " + std::string(10'000, '[');
  for (const std::string& text :
       {std::string("\0\0\0", 3), std::string("\x80"), std::string("a"), std::string("="), std::string("[server"),
        std::string("[server]]"), std::string("x = \"\n\""), std::string("x = '\x1b[2J'"),
        std::string("[server]\n[server]\n"), deep_list, std::string("x = \"\"\""), std::string("\xED\xA0\x80 = 1")}) {
    const std::string lines = problems_of(text);
    EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << lines;
    EXPECT_EQ(lines.find('\x1b'), std::string::npos);
  }
}

TEST(File, TellsAllProblemsInTheOrderOfTheFile) {
  EXPECT_EQ(problems_of("[server]\nzzz = 1\nport = -1\n[limits]\nrooms_max = 0\n[client]\nqqq = 1\n"),
            "2:1: unknown key 'zzz' in [server]; allowed: host, port, listen, unix_mode, unsent_bytes_max, shards, "
            "scheduling, "
            "heartbeat_interval_seconds, "
            "heartbeat_timeout_seconds, drain_timeout_seconds, compression, "
            "compression_window_bits, data, history, verify, log_level, log_format, sandbox\n"
            "3:8: server.port is -1; allowed: 0 to 65535, a whole number\n"
            "5:13: limits.rooms_max is 0; allowed: 1 to 100000000, a whole number\n"
            "7:1: unknown key 'qqq' in [client]; allowed: package, optimization_level\n");
}

}  // namespace
}  // namespace jamsocket::config
