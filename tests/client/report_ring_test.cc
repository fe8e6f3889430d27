#include "client/src/report_ring.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace muster {
namespace {

void Push(ReportRing& ring, std::string bytes,
          std::shared_ptr<const Facts> facts = nullptr) {
  std::unique_ptr<Report> report = ring.Borrow();
  report->bytes = std::move(bytes);
  report->facts = std::move(facts);
  ring.Push(std::move(report));
}

std::vector<std::string> Texts(const std::vector<const Report*>& reports) {
  std::vector<std::string> texts;
  for (const Report* report : reports) texts.push_back(report->bytes);
  return texts;
}

TEST(ReportRingTest, DropsTheOldestWhenFull) {
  ReportRing ring(3, 16);
  for (const char* text : {"1", "2", "3", "4", "5"}) Push(ring, text);
  const ReportRing::Counts counts = ring.counts();
  EXPECT_EQ(counts.made, 5u);
  EXPECT_EQ(counts.dropped, 2u);
  EXPECT_EQ(counts.queued, 3u);
  uint64_t from = 1;
  EXPECT_EQ(Texts(ring.Pin(&from)), (std::vector<std::string>{"3", "4", "5"}));
  EXPECT_EQ(from, 3u);
}

TEST(ReportRingTest, SettlesUpToASequenceAndNotBeyondTheLast) {
  ReportRing ring(4, 16);
  for (const char* text : {"1", "2", "3"}) Push(ring, text);
  ring.Settle(2);
  EXPECT_EQ(ring.counts().acknowledged, 2u);
  ring.Settle(1);
  EXPECT_EQ(ring.counts().acknowledged, 2u);
  ring.Settle(1000);
  EXPECT_EQ(ring.counts().acknowledged, 3u);
  EXPECT_EQ(ring.counts().queued, 0u);
  EXPECT_EQ(ring.next_sequence(), 4u);
}

TEST(ReportRingTest, PinnedReportsSurviveBeingDropped) {
  ReportRing ring(2, 16);
  Push(ring, "1");
  Push(ring, "2");
  uint64_t from = 1;
  const std::vector<const Report*> pinned = ring.Pin(&from);
  for (const char* text : {"3", "4", "5", "6"}) Push(ring, text);
  EXPECT_EQ(Texts(pinned), (std::vector<std::string>{"1", "2"}));
  ring.Unpin();
  from = 1;
  EXPECT_EQ(Texts(ring.Pin(&from)), (std::vector<std::string>{"5", "6"}));
}

TEST(ReportRingTest, BatchEndsWhereFactsChange) {
  const auto first = std::make_shared<const Facts>();
  const auto second = std::make_shared<const Facts>();
  ReportRing ring(8, 16);
  Push(ring, "1", first);
  Push(ring, "2", first);
  Push(ring, "3", second);
  uint64_t from = 1;
  EXPECT_EQ(Texts(ring.Pin(&from)), (std::vector<std::string>{"1", "2"}));
  from = 3;
  EXPECT_EQ(Texts(ring.Pin(&from)), (std::vector<std::string>{"3"}));
  EXPECT_EQ(ring.OldestFacts(), first);
  ring.Settle(2);
  EXPECT_EQ(ring.OldestFacts(), second);
}

TEST(ReportRingTest, BatchIsBoundedInReportsAndBytes) {
  ReportRing many(200, 16);
  for (int i = 0; i < 100; ++i) Push(many, "x");
  uint64_t from = 1;
  EXPECT_EQ(many.Pin(&from).size(), ReportRing::kMaxBatchReports);

  ReportRing large(8, 16);
  const std::string third(ReportRing::kMaxBatchBytes / 3, 'x');
  for (int i = 0; i < 5; ++i) Push(large, third);
  from = 1;
  EXPECT_EQ(large.Pin(&from).size(), 3u);

  ReportRing huge(8, 16);
  for (int i = 0; i < 2; ++i) {
    Push(huge, std::string(2 * ReportRing::kMaxBatchBytes, 'x'));
  }
  from = 1;
  EXPECT_EQ(huge.Pin(&from).size(), 1u);
}

TEST(ReportRingTest, CloseDropsAllAndWhateverComes) {
  ReportRing ring(4, 16);
  Push(ring, "1");
  Push(ring, "2");
  ring.Close();
  Push(ring, "3");
  const ReportRing::Counts counts = ring.counts();
  EXPECT_EQ(counts.made, 3u);
  EXPECT_EQ(counts.dropped, 3u);
  EXPECT_EQ(counts.queued, 0u);
}

}  // namespace
}  // namespace muster
