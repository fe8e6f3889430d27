#include "daemon/web/export_steps.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::MeasuresOf;
using muster::testing::SourceFrom;
using ::testing::ElementsAre;

std::shared_ptr<const consistency::Measures> Frame(uint32_t attempt,
                                                   uint64_t step) {
  auto measures =
      std::make_shared<consistency::Measures>(MeasuresOf(step, 2, 2));
  measures->attempt = attempt;
  return measures;
}

// All pages of an export; fails if one has no end.
std::vector<v1::Step> ExportAll(const Source& source,
                                v1::ExportStepsRequest request) {
  request.set_run("r");
  std::vector<v1::Step> steps;
  for (int pages = 0; pages < 100; ++pages) {
    const auto page = ExportSteps(source, request);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return steps;
    steps.insert(steps.end(), page->steps().begin(), page->steps().end());
    if (page->done()) return steps;
    *request.mutable_place() = page->place();
  }
  ADD_FAILURE() << "no end";
  return steps;
}

std::vector<uint64_t> StepsOf(const std::vector<v1::Step>& steps) {
  std::vector<uint64_t> numbers;
  for (const v1::Step& step : steps) numbers.push_back(step.step());
  return numbers;
}

// 1,200 stored frames of attempt 1, and of attempt 2 steps 600 and 601 in
// memory, of which 600 is stored.
class ExportStepsTest : public ::testing::Test {
 protected:
  ExportStepsTest() {
    for (uint64_t step = 0; step < 1200; ++step) Store(Frame(1, step));
    Store(Frame(2, 600));
    runs::RunSnapshot run = HandBuiltRun("r");
    run.history_run = 3;
    auto store =
        std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
    store->Append({Frame(1, 1199), nullptr, false});
    store->Append({Frame(2, 600), nullptr, false});
    store->Append({Frame(2, 601), nullptr, false});
    run.store = std::move(store);
    source_ = SourceFrom({run});
    source_.stored_entries =
        [this](int64_t number, uint64_t position,
               const std::function<absl::Status(const history::Entry&)>& take)
        -> absl::Status {
      EXPECT_EQ(number, 3);
      for (const history::Entry& entry : stored_) {
        if (entry.position < position) continue;
        absl::Status status = take(entry);
        if (!status.ok()) return status;
      }
      return absl::OkStatus();
    };
  }
  void Store(std::shared_ptr<const consistency::Measures> measures) {
    // Positions in between are those of events.
    const uint64_t position = 3 * (stored_.size() + 1);
    stored_.push_back({position, absl::FromUnixNanos(position),
                       history::Judged{std::make_shared<frames::Frame>(),
                                       std::move(measures)}});
  }

  std::vector<history::Entry> stored_;
  Source source_;
};

TEST_F(ExportStepsTest, GivesEachFrameOnceInTheOrderOfJudging) {
  const auto steps = ExportAll(source_, {});
  ASSERT_EQ(steps.size(), 1202u);
  for (uint64_t i = 0; i < 1200; ++i) {
    EXPECT_EQ(steps[i].step(), i);
    EXPECT_EQ(steps[i].attempt(), 1u);
    EXPECT_EQ(steps[i].unix_nanos(), static_cast<int64_t>(3 * (i + 1)));
    EXPECT_EQ(steps[i].ranks_size(), 0);
  }
  EXPECT_EQ(steps[1200].step(), 600u);
  EXPECT_EQ(steps[1200].attempt(), 2u);
  EXPECT_EQ(steps[1201].step(), 601u);
}

TEST_F(ExportStepsTest, WhatIsStoredMeanwhileIsNotGivenAgain) {
  // Full after 512 frames: the last page ends in memory, then 601 is stored.
  v1::ExportStepsRequest request;
  request.set_run("r");
  auto page = ExportSteps(source_, request);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->steps_size(), 512);
  EXPECT_FALSE(page->done());
  request.mutable_place()->set_position(page->place().position());
  request.mutable_place()->set_attempt(2);
  request.mutable_place()->set_step(601);
  Store(Frame(2, 601));
  EXPECT_EQ(ExportAll(source_, request).size(), 0u);
}

TEST_F(ExportStepsTest, RangeAndRanksAsAsked) {
  v1::ExportStepsRequest request;
  request.set_from(599);
  request.set_to(600);
  request.set_with_ranks(true);
  const auto steps = ExportAll(source_, request);
  EXPECT_THAT(StepsOf(steps), ElementsAre(599, 600, 600));
  EXPECT_EQ(steps[0].ranks_size(), 2);
  request.set_from(601);
  request.set_run("r");
  EXPECT_TRUE(absl::IsInvalidArgument(ExportSteps(source_, request).status()));
}

TEST_F(ExportStepsTest, WithoutAHistoryGivesWhatIsInMemory) {
  source_.stored_entries = nullptr;
  EXPECT_THAT(StepsOf(ExportAll(source_, {})), ElementsAre(1199, 600, 601));
  v1::ExportStepsRequest request;
  request.set_run("other");
  EXPECT_TRUE(absl::IsNotFound(ExportSteps(source_, request).status()));
}

TEST_F(ExportStepsTest, ErrorsOfTheHistoryAreTold) {
  source_.stored_entries = [](int64_t, uint64_t, const auto&) {
    return absl::DataLossError("h.db: damaged");
  };
  v1::ExportStepsRequest request;
  request.set_run("r");
  EXPECT_EQ(ExportSteps(source_, request).status().message(), "h.db: damaged");
}

}  // namespace
}  // namespace muster::web
