#include "client/src/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace muster {
namespace {

TEST(CoverageTest, CountsDisjointChunksInAnyOrder) {
  // [0, 1000) in chunks of 10.
  std::vector<uint64_t> begins;
  for (uint64_t begin = 0; begin < 1000; begin += 10) begins.push_back(begin);
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(begins.begin(), begins.end(), random);
    Coverage coverage;
    for (const uint64_t begin : begins) coverage.Add(begin, begin + 10);
    EXPECT_EQ(coverage.element_count(), 1000u);
    EXPECT_FALSE(coverage.overlapped());
    EXPECT_EQ(coverage.interval_count(), 1u);
  }
}

TEST(CoverageTest, TouchingIsNotOverlapping) {
  Coverage coverage;
  coverage.Add(10, 20);
  coverage.Add(20, 30);
  coverage.Add(0, 10);
  EXPECT_FALSE(coverage.overlapped());
  coverage.Add(29, 30);
  EXPECT_TRUE(coverage.overlapped());
  EXPECT_EQ(coverage.element_count(), 30u);
}

TEST(CoverageTest, AgreesWithASetOfElements) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    Coverage coverage;
    std::set<uint64_t> elements;
    bool overlapped = false;
    for (int chunk = 0; chunk < 12; ++chunk) {
      const uint64_t begin = random() % 100;
      const uint64_t end = begin + random() % 12;
      coverage.Add(begin, end);
      for (uint64_t i = begin; i < end; ++i) {
        overlapped = !elements.insert(i).second || overlapped;
      }
      ASSERT_EQ(coverage.element_count(), elements.size());
      ASSERT_EQ(coverage.overlapped(), overlapped);
    }
  }
}

TEST(CoverageTest, ResetForgets) {
  Coverage coverage;
  coverage.Add(0, 5);
  coverage.Add(0, 5);
  coverage.Reset();
  EXPECT_EQ(coverage.element_count(), 0u);
  coverage.Add(0, 5);
  EXPECT_FALSE(coverage.overlapped());
  EXPECT_EQ(coverage.element_count(), 5u);
}

TEST(CoverageTest, StaysBoundedAndStillCounts) {
  Coverage coverage;
  const uint64_t chunks = Coverage::kMaxIntervals + 1000;
  for (uint64_t i = 0; i < chunks; ++i) coverage.Add(2 * i, 2 * i + 1);
  EXPECT_EQ(coverage.interval_count(), Coverage::kMaxIntervals);
  EXPECT_EQ(coverage.element_count(), chunks);
}

}  // namespace
}  // namespace muster
