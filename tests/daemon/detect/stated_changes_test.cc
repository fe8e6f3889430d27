#include "daemon/detect/stated_changes.h"

#include <cmath>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

frames::Frame WithRate(uint64_t step, double rate) {
  frames::Report report = testing::MakeReport(0, step);
  report.learning_rate = rate;
  return testing::MakeFrame(step, {report});
}

frames::Frame WithFact(const std::string& name, const std::string& value) {
  frames::Report report = testing::MakeReport(0, 1);
  report.facts = std::make_shared<const frames::FactSet>(
      frames::FactSet{{name, {value, false}}});
  return testing::MakeFrame(1, {report});
}

TEST(StatedChangesTest, AStepOfTheLearningRateIsNewsFor32Frames) {
  StatedChanges changes;
  for (uint64_t step = 0; step < 100; ++step) {
    EXPECT_FALSE(changes.Take(WithRate(step, 0.1), 0)) << step;
  }
  for (uint64_t step = 100; step < 200; ++step) {
    EXPECT_EQ(changes.Take(WithRate(step, 0.01), 0), step < 132) << step;
  }
}

// A cosine over 10,000 steps is drift until near its end; a linear warm-up is
// news for as long as 32 frames are more than a tenth of it.
TEST(StatedChangesTest, SlowSchedulesAreNoNews) {
  StatedChanges cosine;
  for (uint64_t step = 0; step < 9000; ++step) {
    EXPECT_FALSE(cosine.Take(
        WithRate(step, 1 + std::cos(M_PI * static_cast<double>(step) / 10000)),
        0))
        << step;
  }
  StatedChanges warmup;
  for (uint64_t step = 1; step < 2000; ++step) {
    const bool news = warmup.Take(WithRate(step, static_cast<double>(step)), 0);
    // step > 1.1 (step − 32) while step < 352.
    EXPECT_EQ(news, step > 1 && step < 352) << step;
  }
}

TEST(StatedChangesTest, ALastingChangeOfTheBatchIsNewsOnce) {
  StatedChanges changes;
  int news = 0;
  for (uint64_t step = 0; step < 100; ++step) {
    // Batches of 90 to 110 %, then twice as many.
    const double weight = (step < 50 ? 1 : 2) * (0.9 + 0.02 * (step * 7 % 11));
    const bool changed =
        changes.Take(testing::MakeFrame(step, {}), std::log(weight));
    if (changed) {
      EXPECT_EQ(step, 53u);  // the fourth frame of the new batch
      ++news;
    }
  }
  EXPECT_EQ(news, 1);
}

TEST(StatedChangesTest, FactsOfTheBatchAndRatesStatedAsFacts) {
  StatedChanges changes;
  EXPECT_FALSE(changes.Take(WithFact("batch_size", "8"), 0));
  EXPECT_FALSE(changes.Take(WithFact("batch_size", "8"), 0));
  EXPECT_TRUE(changes.Take(WithFact("batch_size", "16"), 0));
  StatedChanges others;
  EXPECT_FALSE(others.Take(WithFact("epoch", "1"), 0));
  EXPECT_FALSE(others.Take(WithFact("epoch", "2"), 0));
  StatedChanges rates;
  EXPECT_FALSE(rates.Take(WithFact("lr", "0.1"), 0));
  EXPECT_TRUE(rates.Take(WithFact("lr", "0.02"), 0));
}

}  // namespace
}  // namespace muster::detect
