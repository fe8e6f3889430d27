#include "daemon/detect/detector.h"

#include <limits>
#include <set>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

TEST(DetectorTest, KindsHaveDistinctNames) {
  std::set<std::string> names;
  for (int kind = 0; kind < kKindCount; ++kind) {
    names.insert(KindName(static_cast<Kind>(kind)));
  }
  EXPECT_EQ(names,
            (std::set<std::string>{
                "NonFinite", "FactMismatch", "DuplicateShard", "RankOutlier",
                "DispersionShift", "DirectionShift", "RankMissing",
                "RankLagging", "RunStalled", "ShardOverlap", "ReplicaDrift"}));
}

TEST(DetectorTest, DefaultsAreValid) {
  EXPECT_EQ(Validate(DetectOptions{}), "");
}

TEST(DetectorTest, ValidateNamesFieldValueAndRange) {
  DetectOptions options;
  options.target_frames = 3;
  EXPECT_EQ(Validate(options), "target_frames is 3, allowed are 10 … 1e+12");
  options = {};
  options.rank_outlier.margin = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Validate(options),
            "rank_outlier.margin is nan, allowed are 0 … 10");
  options = {};
  options.rank_outlier.warmup_frames = 300;
  EXPECT_EQ(Validate(options),
            "rank_outlier.warmup_frames is 300, allowed are 1 … 256");
  options = {};
  options.duplicate_frames = 0;
  EXPECT_EQ(Validate(options),
            "duplicate_shard.frames is 0, allowed are 1 … 1000");
  options = {};
  options.rank_missing_after = absl::Seconds(-1);
  EXPECT_EQ(Validate(options),
            "rank_missing.after (seconds) is -1, allowed are 0.001 … 86400");
}

TEST(DetectorTest, KindsThatAreOffHaveNoDetector) {
  DetectOptions options;
  for (KindSetting& setting : options.kinds) setting.mode = Mode::kOff;
  EXPECT_TRUE(MakeDetectors(options).empty());
  options.kinds[static_cast<size_t>(Kind::kFactMismatch)].mode = Mode::kObserve;
  EXPECT_EQ(MakeDetectors(options).size(), 3u);
}

TEST(DetectorTest, MakesDetectorsThatTakeEmptyFramesAndAllEvents) {
  const auto detectors = MakeDetectors(DetectOptions{});
  // FactMismatch has three and DuplicateShard two.
  EXPECT_EQ(detectors.size(), static_cast<size_t>(kKindCount) + 3);
  const frames::Frame frame;
  const consistency::Measures measures;
  const std::vector<frames::Event> events = {
      frames::SourceUp{},      frames::SourceDown{},   frames::RankContested{},
      frames::SketchRefused{}, frames::AttemptBegan{}, frames::RunEnded{},
      frames::Tick{}};
  std::vector<Finding> findings;
  for (const auto& detector : detectors) {
    detector->OnFrame({frame, measures}, findings);
    for (const frames::Event& event : events) {
      detector->OnEvent(event, findings);
    }
    detector->OnFrame({frame, measures}, findings);
  }
  // The contested rank and the refused sketch, raised and cleared.
  EXPECT_EQ(findings.size(), 4u);
}

}  // namespace
}  // namespace muster::detect
