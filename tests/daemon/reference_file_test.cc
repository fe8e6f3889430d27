#include "daemon/reference_file.h"

#include <cmath>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temporary_folder.h"

namespace muster {
namespace {

using detect::GroupMetric;
using ::testing::StartsWith;

std::string ErrorOf(const std::string& lines) {
  const auto curve =
      ParseReference(std::string(kReferenceHeader) + "\n" + lines, "ref.txt");
  return std::string(curve.status().message());
}

TEST(ReferenceFileTest, ReadsBackWhatItWrote) {
  std::map<uint64_t, detect::GroupValues> steps;
  for (uint64_t step = 3; step < 8; ++step) {
    detect::GroupValues group;
    group.values[0] = std::log(0.1);
    group.values[2] = -1.0 / 3;
    group.log_weight = std::log(32.0);
    steps[step] = group;
  }
  const auto curve = ParseReference(ReferenceText(steps), "ref.txt");
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_EQ((*curve)->At(GroupMetric::kLoss, 5), std::log(0.1));
  EXPECT_EQ((*curve)->At(GroupMetric::kDirection, 5), -1.0 / 3);
  EXPECT_FALSE((*curve)->At(GroupMetric::kGradientNorm, 5).has_value());
}

TEST(ReferenceFileTest, ErrorsNameFileAndLine) {
  EXPECT_EQ(ErrorOf("1 0.5 - 0.25 0\n# a note\n2 - - - 0\n"), "");
  EXPECT_THAT(ErrorOf("1 0.5 - 0.25 0\n2 0.5 - 0.25\n"),
              StartsWith("ref.txt:3: expected a step"));
  EXPECT_THAT(ErrorOf("1 0.5 nan 0.25 0\n"), StartsWith("ref.txt:2: "));
  EXPECT_THAT(ErrorOf("-1 0.5 - 0.25 0\n"), StartsWith("ref.txt:2: "));
  EXPECT_EQ(ErrorOf("7 0.5 - 0.25 0\n7 0.5 - 0.25 0\n"),
            "ref.txt:3: step 7 after step 7");
  EXPECT_EQ(ErrorOf(""), "ref.txt:2: it has no step");
  EXPECT_THAT(
      std::string(ParseReference("step loss\n", "x").status().message()),
      StartsWith("x:1: not a reference; it begins with '# muster"));
}

TEST(ReferenceFileTest, TheConfigurationNamesTheFile) {
  TemporaryFolder folder;
  const std::string path = folder.File("base.ref");
  Config config;
  ASSERT_TRUE(
      ApplyYaml("detect: {reference: " + path + "}\n", "a", config).ok());
  EXPECT_THAT(std::string(LoadReference(config).message()),
              StartsWith(path + ": cannot read detect.reference: No such"));
  std::ofstream(path) << kReferenceHeader << "\n";
  EXPECT_EQ(LoadReference(config).message(), path + ":2: it has no step");
  std::ofstream(path) << kReferenceHeader << "\n1 0.5 - 0.25 0\n";
  ASSERT_TRUE(LoadReference(config).ok());
  EXPECT_NE(config.detect.reference, nullptr);
  config.reference_file = "";
  ASSERT_TRUE(LoadReference(config).ok());
  EXPECT_EQ(config.detect.reference, nullptr);
}

}  // namespace
}  // namespace muster
