#include "daemon/history/frame_codec.h"

#include "gtest/gtest.h"
#include "tests/daemon/history/compare.h"
#include "tests/daemon/history/samples.h"

namespace muster::history {
namespace {

// Numbers sets of facts in the order in which they come.
class FrameCodecTest : public ::testing::Test {
 protected:
  FactNumber number() {
    return [this](const std::shared_ptr<const frames::FactSet>& facts) {
      sets_.push_back(facts);
      return sets_.size();
    };
  }
  FactLookup lookup() {
    return [this](uint64_t number) {
      return number == 0 ? nullptr : sets_.at(number - 1);
    };
  }
  static frames::Frame Head(const frames::Frame& frame) {
    frames::Frame head = frame;
    head.reports.clear();
    return head;
  }

  std::vector<std::shared_ptr<const frames::FactSet>> sets_;
};

TEST_F(FrameCodecTest, GivesBackAFrameAndItsMeasures) {
  const Judged judged = SampleFrame(3);
  const FrameColumns columns = EncodeFrame(judged, number());
  auto back = DecodeFrame(columns, Head(*judged.frame), lookup());
  ASSERT_TRUE(back.ok()) << back.status();
  auto frame = std::make_shared<frames::Frame>(*back->frame);
  ASSERT_TRUE(DecodeSketches(EncodeSketches(*judged.frame), *frame).ok());
  ExpectSame(judged, {frame, back->measures});
}

TEST_F(FrameCodecTest, MeasuresNeedNotFollowFromTheReports) {
  Judged judged = SampleFrame(3);
  auto measures = std::make_shared<consistency::Measures>(*judged.measures);
  measures->ranks.resize(2);
  measures->ranks[0].loss = std::nullopt;
  measures->ranks[1].nonfinite_count = 0;
  measures->ranks[1].loss_nonfinite = true;
  judged.measures = measures;
  const FrameColumns columns = EncodeFrame(judged, number());
  const auto back = DecodeFrame(columns, Head(*judged.frame), lookup());
  ASSERT_TRUE(back.ok()) << back.status();
  ExpectSame(*measures, *back->measures);
}

TEST_F(FrameCodecTest, AFrameOfNobodyIsOne) {
  const Judged judged = {std::make_shared<frames::Frame>(),
                         std::make_shared<consistency::Measures>()};
  const FrameColumns columns = EncodeFrame(judged, number());
  const auto back = DecodeFrame(columns, Head(*judged.frame), lookup());
  ASSERT_TRUE(back.ok()) << back.status();
  ExpectSame(judged, *back);
}

TEST_F(FrameCodecTest, HealthyFramesAreSmall) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 1024; ++rank) {
    reports.push_back(testing::MakeReport(rank, 10, 2.0 + 1e-3 * rank));
    reports.back().gradient_norm = 1.0 + 1e-4 * rank;
    reports.back().elements_observed = 1'000'000;
  }
  auto frame = std::make_shared<frames::Frame>(testing::MakeFrame(10, reports));
  consistency::Baseline baseline;
  const Judged judged = {
      frame, std::make_shared<consistency::Measures>(baseline.Measure(*frame))};
  const auto one = [](const auto& facts) { return uint64_t{1}; };
  const FrameColumns columns = EncodeFrame(judged, one);
  // Rank, loss and norm: 20 bytes a rank; the rest is equal for all.
  EXPECT_EQ(
      columns.ranks.size() + columns.loss.size() + columns.gradient_norm.size(),
      20u * 1024);
  EXPECT_EQ(columns.weight, "");
  EXPECT_LT(columns.more.size(), 300u);
}

TEST_F(FrameCodecTest, DamageIsAnError) {
  const Judged judged = SampleFrame(3);
  const FrameColumns good = EncodeFrame(judged, number());
  const auto fails = [&](FrameColumns columns) {
    return absl::IsDataLoss(
        DecodeFrame(columns, Head(*judged.frame), lookup()).status());
  };
  EXPECT_FALSE(fails(good));
  FrameColumns bad = good;
  bad.ranks.pop_back();
  EXPECT_TRUE(fails(bad));
  bad = good;
  bad.ranks = good.ranks.substr(4) + good.ranks.substr(0, 4);
  EXPECT_TRUE(fails(bad));
  bad = good;
  bad.loss.resize(16);
  EXPECT_TRUE(fails(bad));
  bad = good;
  bad.more.pop_back();
  EXPECT_TRUE(fails(bad));
  frames::Frame frame = *judged.frame;
  EXPECT_FALSE(DecodeSketches("\x7F", frame).ok());
}

TEST_F(FrameCodecTest, GivesBackAnOpenReport) {
  const Judged judged = SampleFrame(3);
  for (const frames::Report& report : judged.frame->reports) {
    const std::string bytes = EncodeOpenReport({77, report}, number());
    const auto back = DecodeOpenReport(bytes, lookup());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->incarnation, 77u);
    ExpectSame(report, back->report);
    EXPECT_FALSE(
        DecodeOpenReport(bytes.substr(0, bytes.size() / 2), lookup()).ok());
  }
}

}  // namespace
}  // namespace muster::history
