#include "scenario.hpp"

#include <gtest/gtest.h>

namespace jamsocket::scenario {
namespace {

Step only_step(std::string_view line) {
  const auto scenario = parse_scenario("t", "service s\n" + std::string(line));
  if (!scenario || scenario->steps.size() != 1) {
    ADD_FAILURE() << line << ": " << (scenario ? "not one step" : scenario.error().message);
    return {};
  }
  return scenario->steps.front();
}

TEST(Scenario, ReadsServiceOptionsAndComments) {
  const auto scenario = parse_scenario(
      "t",
      "# a comment\nservice counter # and one behind\nonly module\noption shutdown_policy 0sec\n\n  bob connects\n");
  ASSERT_TRUE(scenario.has_value()) << scenario.error().message;
  EXPECT_EQ(scenario->service, "counter");
  EXPECT_EQ(scenario->only, Only::Module);
  ASSERT_EQ(scenario->options.size(), 1U);
  EXPECT_EQ(scenario->options[0].value, "0sec");
  EXPECT_EQ(scenario->steps.at(0).line, 6);
}

TEST(Scenario, ReadsEachStep) {
  EXPECT_EQ(only_step("a connects").room, "room");
  const Step where = only_step(R"(a connects to x/y with query "name=A&b")");
  EXPECT_EQ(where.room, "x/y");
  EXPECT_EQ(where.query, "name=A&b");
  EXPECT_EQ(only_step(R"(a sends "# \"\\\n\x00")").text, std::string("# \"\\\n\0", 6));
  EXPECT_EQ(only_step("a sends bytes 00Ff").text, std::string("\x00\xff", 2));
  EXPECT_EQ(only_step("a gets bytes").text, "");
  EXPECT_EQ(only_step("a gets bytes of length 16").number, 16U);
  EXPECT_EQ(only_step(R"(a gets matching "x+")").kind, StepKind::GetsMatching);
  EXPECT_EQ(only_step("a gets nothing").kind, StepKind::GetsNothing);
  EXPECT_EQ(only_step("a is closed 1011").number, 1011U);
  EXPECT_TRUE(only_step(R"(a is closed 4000 "bye")").has_text);
  EXPECT_EQ(only_step(R"(a is refused 403 with query "q")").query, "q");
  EXPECT_EQ(only_step("a vanishes").kind, StepKind::Vanishes);
  EXPECT_EQ(only_step("after 2min").delay, std::chrono::milliseconds(120'000));
}

TEST(Scenario, SaysWhatIsWrongAndWhere) {
  for (const std::string_view line :
       {"a", "a jumps", "a sends", "a sends hello", "a gets", "a gets \"x", "a gets \"\\q\"", "a sends bytes 0",
        "a sends bytes zz", "after 30", "after s", "after -1s", "a is", "a is closed", "a is closed x",
        "a connects now", "only both", "option x", "a sends \"\\x0\""}) {
    const auto scenario = parse_scenario("t", "service s\n" + std::string(line));
    ASSERT_FALSE(scenario.has_value()) << line;
    EXPECT_TRUE(scenario.error().message.starts_with("t:2: ")) << scenario.error().message;
  }
  EXPECT_FALSE(parse_scenario("t", "").has_value());
  EXPECT_FALSE(parse_scenario("t", "service s\n").has_value());
  EXPECT_FALSE(parse_scenario("t", "a connects\n").has_value());
}

}  // namespace
}  // namespace jamsocket::scenario
