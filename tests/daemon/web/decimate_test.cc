#include "daemon/web/decimate.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::web {
namespace {

using history::FrameNumber;
using history::FrameNumbers;
using history::kAbsent;
using history::RankNumber;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::IsNan;

// Mean loss, and the loss of each rank; absent ones are NaN.
FrameNumbers FrameOf(uint64_t step, double mean,
                     const std::vector<double>& losses = {},
                     uint32_t attempt = 1) {
  FrameNumbers frame;
  frame.attempt = attempt;
  frame.step = step;
  frame.values[static_cast<size_t>(FrameNumber::kLossMean)] = mean;
  for (uint32_t rank = 0; rank < losses.size(); ++rank) {
    frame.ranks.push_back({rank, {losses[rank], kAbsent, kAbsent}});
  }
  return frame;
}

std::vector<uint64_t> StepsOf(
    const std::vector<history::FrameNumbers>& frames) {
  std::vector<uint64_t> steps;
  for (const FrameNumbers& frame : frames) steps.push_back(frame.step);
  return steps;
}

TEST(BucketsTest, DifferInSizeByAtMostOneAndCoverAll) {
  for (const size_t count : {1, 7, 599, 600, 601, 10'000}) {
    for (const size_t most : {1, 2, 7, 600}) {
      const auto buckets = Buckets(count, most);
      EXPECT_EQ(buckets.size(), std::min(count, most));
      size_t next = 0;
      for (const Bucket& bucket : buckets) {
        EXPECT_EQ(bucket.begin, next);
        EXPECT_GE(bucket.end - bucket.begin, count / buckets.size());
        EXPECT_LE(bucket.end - bucket.begin, count / buckets.size() + 1);
        next = bucket.end;
      }
      EXPECT_EQ(next, count);
    }
  }
  EXPECT_TRUE(Buckets(0, 600).empty());
}

TEST(EnvelopeTest, KeepsEachExtremeOfManyFrames) {
  std::vector<history::FrameNumbers> frames;
  for (uint64_t step = 0; step < 10'000; ++step) {
    frames.push_back(FrameOf(step, 1));
  }
  frames[4321].values[0] = 50;
  frames[9999].values[0] = -3;
  const auto buckets = Buckets(frames.size(), 600);
  const Envelope envelope = EnvelopeOf(frames, buckets, FrameNumber::kLossMean);
  size_t off = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const bool high = buckets[i].begin <= 4321 && 4321 < buckets[i].end;
    EXPECT_EQ(envelope.max[i], high ? 50 : 1);
    EXPECT_EQ(envelope.min[i], i + 1 == buckets.size() ? -3 : 1);
    off += envelope.mean[i] != 1;
  }
  EXPECT_EQ(off, 2u);
}

TEST(EnvelopeTest, OneBucketHasTheMeanOfWhatIsThere) {
  const std::vector<history::FrameNumbers> frames = {
      FrameOf(0, 1), FrameOf(1, kAbsent), FrameOf(2, 4)};
  const Envelope envelope =
      EnvelopeOf(frames, Buckets(3, 1), FrameNumber::kLossMean);
  EXPECT_THAT(envelope.min, ElementsAre(1));
  EXPECT_THAT(envelope.max, ElementsAre(4));
  EXPECT_THAT(envelope.mean, ElementsAre(2.5));
}

TEST(EnvelopeTest, BucketsWithoutAValueAreAbsent) {
  const std::vector<history::FrameNumbers> frames = {
      FrameOf(0, 1), FrameOf(1, kAbsent), FrameOf(2, 4)};
  // More buckets than frames: each frame is one.
  const Envelope envelope =
      EnvelopeOf(frames, Buckets(3, 100), FrameNumber::kLossMean);
  for (const auto* column : {&envelope.min, &envelope.max, &envelope.mean}) {
    EXPECT_THAT(*column, ElementsAre(1, IsNan(), 4));
  }
}

TEST(EnvelopeTest, BandAndRankAreOfTheRanksValues) {
  const std::vector<history::FrameNumbers> frames = {
      FrameOf(0, 9, {1, 2, 6}), FrameOf(1, 9, {kAbsent, 5, 3}), FrameOf(2, 9)};
  const auto one = Buckets(3, 1);
  const Envelope band = BandOf(frames, one, RankNumber::kLoss);
  EXPECT_THAT(band.min, ElementsAre(1));
  EXPECT_THAT(band.max, ElementsAre(6));
  EXPECT_THAT(band.mean, ElementsAre(17 / 5.0));
  const Envelope rank =
      EnvelopeOfRank(frames, Buckets(3, 3), RankNumber::kLoss, 0);
  EXPECT_THAT(rank.max, ElementsAre(1, IsNan(), IsNan()));
  EXPECT_THAT(EnvelopeOfRank(frames, one, RankNumber::kLoss, 2).mean,
              ElementsAre(4.5));
  EXPECT_THAT(EnvelopeOfRank(frames, one, RankNumber::kLoss, 3).mean,
              ElementsAre(IsNan()));
  EXPECT_THAT(BandOf(frames, one, RankNumber::kCosine).max,
              ElementsAre(IsNan()));
}

TEST(KeepCurrentTest, NewerAttemptTakesThePlaceOfAllFromItsFirstStepOn) {
  std::vector<history::FrameNumbers> frames;
  for (uint64_t step = 0; step <= 6; ++step) {
    frames.push_back(FrameOf(step, 1, {}, 1));
  }
  for (uint64_t step = 3; step <= 4; ++step) {
    frames.push_back(FrameOf(step, 2, {}, 2));
  }
  KeepCurrent(frames);
  EXPECT_THAT(StepsOf(frames), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(frames[2].attempt, 1u);
  EXPECT_EQ(frames[3].attempt, 2u);
  EXPECT_EQ(frames[4].values[0], 2);
  // Back to before everything.
  frames.push_back(FrameOf(0, 3, {1, 2}, 3));
  KeepCurrent(frames);
  EXPECT_THAT(StepsOf(frames), ElementsAre(0));
  EXPECT_EQ(frames[0].ranks.size(), 2u);
}

TEST(DeviationsTest, AreRobustDeviationsFromTheMedianOfEachFrame) {
  // Distances from the medians 3 and 30: −2, −1, 0, 1, 7 and −1, −1, 0, 1, 1;
  // the median of their magnitudes is 1.
  const std::vector<history::FrameNumbers> frames = {
      FrameOf(0, 0, {1, 2, 3, 4, 10}), FrameOf(1, 0, {29, 29, 30, 31, 31})};
  const Deviations all =
      DeviationsOf(frames, Buckets(2, 2), RankNumber::kLoss, 64);
  EXPECT_THAT(all.ranks, ElementsAre(0, 1, 2, 3, 4));
  const auto near = [](double value) {
    return FloatNear(static_cast<float>(value / 1.4826), 1e-6F);
  };
  EXPECT_THAT(all.values,
              ElementsAre(near(-2), near(-1), near(-1), near(-1), near(0),
                          near(0), near(1), near(1), near(7), near(1)));
  // Of a bucket the largest magnitude, with its sign.
  const Deviations one =
      DeviationsOf(frames, Buckets(2, 1), RankNumber::kLoss, 64);
  EXPECT_THAT(one.values,
              ElementsAre(near(-2), near(-1), near(0), near(1), near(7)));
}

TEST(DeviationsTest, NormsAreComparedByTheirLogarithms) {
  FrameNumbers frame;
  const double norms[] = {1, 2, 4, 0, kAbsent};
  for (uint32_t rank = 0; rank < 5; ++rank) {
    frame.ranks.push_back({rank, {kAbsent, norms[rank], kAbsent}});
  }
  // log 2 below and above the median; the median magnitude is log 2.
  const Deviations all = DeviationsOf(std::vector{frame}, Buckets(1, 1),
                                      RankNumber::kGradientNorm, 64);
  EXPECT_THAT(all.values,
              ElementsAre(FloatNear(-1 / 1.4826F, 1e-6F), 0.0F,
                          FloatNear(1 / 1.4826F, 1e-6F), IsNan(), IsNan()));
}

TEST(DeviationsTest, MostRanksEqualStillShowsWhoIsNot) {
  // Distances 0, 0, 0, 4: their median is 0, their mean 1.
  const Deviations all = DeviationsOf(std::vector{FrameOf(0, 0, {5, 5, 5, 9})},
                                      Buckets(1, 1), RankNumber::kLoss, 64);
  EXPECT_THAT(all.values,
              ElementsAre(0, 0, 0, FloatNear(4 / 1.2533141F, 1e-6F)));
  const Deviations equal = DeviationsOf(std::vector{FrameOf(0, 0, {5, 5, 5})},
                                        Buckets(1, 1), RankNumber::kLoss, 64);
  EXPECT_THAT(equal.values, ElementsAre(0, 0, 0));
}

TEST(DeviationsTest, KeepsTheMostDeviantRanksInTheirOrder) {
  // Rank 1 is missing in the first frame, rank 3 far off once, rank 0 always.
  FrameNumbers first = FrameOf(0, 0, {-9, 1, 2, 3, 4});
  first.ranks.erase(first.ranks.begin() + 1);
  const std::vector<history::FrameNumbers> frames = {
      first, FrameOf(1, 0, {-5, 1, 2, 30, 3})};
  const Deviations most =
      DeviationsOf(frames, Buckets(2, 2), RankNumber::kLoss, 2);
  EXPECT_THAT(most.ranks, ElementsAre(0, 3));
  ASSERT_EQ(most.values.size(), 4u);
  EXPECT_LT(most.values[0], most.values[1]);  // rank 0: −11.5, −7
  EXPECT_GT(most.values[3], 10);              // rank 3: 28
  const Deviations all =
      DeviationsOf(frames, Buckets(2, 2), RankNumber::kLoss, 64);
  EXPECT_THAT(all.ranks, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_TRUE(std::isnan(all.values[2]));
  EXPECT_TRUE(DeviationsOf({}, {}, RankNumber::kLoss, 64).ranks.empty());
}

}  // namespace
}  // namespace muster::web
