#include "daemon/sinks/remote_write/sender.h"

#include <snappy.h>

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus_write/write_request.pb.h"
#include "tests/daemon/hand_built_run.h"

namespace muster::sinks::remote_write {
namespace {

using muster::testing::MeasuresOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Stores as Prometheus 2.42 does: a request that has a sample older than the
// newest of its series, or another one of the same time, is refused as a whole;
// an identical newest one is taken and stored once.
class Receiver {
 public:
  absl::StatusOr<HttpResponse> Post(std::string_view body) {
    ++posts;
    if (!answers.empty()) {
      const int status = answers.front();
      answers.erase(answers.begin());
      if (status == kStoreAndBreakOff) {
        (void)Store(body);
        return absl::UnavailableError("broken off");
      }
      if (status == kStop) return absl::CancelledError("cancelled");
      if (status == 0) return absl::UnavailableError("not reached");
      if (status != 200) return HttpResponse{status, "no", retry_after};
    }
    return Store(body);
  }

  static constexpr int kStoreAndBreakOff = -1;
  static constexpr int kStop = -2;
  std::vector<int> answers;    // to the next posts, in place of storing
  absl::Duration retry_after;  // that they ask for
  int posts = 0;
  // Values of muster_step by time.
  std::map<int64_t, double> stored;

 private:
  HttpResponse Store(std::string_view body) {
    std::string plain;
    EXPECT_TRUE(snappy::Uncompress(body.data(), body.size(), &plain));
    prometheus_write::WriteRequest request;
    EXPECT_TRUE(request.ParseFromString(plain));
    auto changed = stored;
    for (const auto& series : request.timeseries()) {
      if (series.labels(0).value() != "muster_step") continue;
      for (const auto& sample : series.samples()) {
        const auto newest = changed.rbegin();
        if (newest != changed.rend() && (sample.timestamp() < newest->first ||
                                         (sample.timestamp() == newest->first &&
                                          sample.value() != newest->second))) {
          return {400, "out of order sample"};
        }
        changed[sample.timestamp()] = sample.value();
      }
    }
    stored = changed;
    return {204, ""};
  }
};

class SenderTest : public ::testing::Test {
 protected:
  SenderTest()
      : sender_(
            options_,
            {.post = [this](std::string_view b) { return receiver_.Post(b); },
             .wait =
                 [this](absl::Duration time) {
                   waits_.push_back(time);
                   return static_cast<int>(waits_.size()) < max_waits_;
                 },
             .random = [] { return 0.0; },
             .tell =
                 [this](bool failing, const std::string& line) {
                   lines_.push_back((failing ? "! " : "") + line);
                 },
             .count = [this](Fate fate,
                             int64_t samples) { counts_[fate] += samples; },
             .count_retry = [this] { ++retries_; }}) {}

  // Steps first … last at 1,000 + 50·step milliseconds; four samples each.
  static std::vector<Step> Steps(uint64_t first, uint64_t last) {
    std::vector<Step> steps;
    for (uint64_t i = first; i <= last; ++i) {
      consistency::Measures measures;
      measures.step = i;
      steps.push_back(MakeStep(
          {1, i}, absl::FromUnixMillis(1000 + 50 * static_cast<int64_t>(i)),
          &measures, 0));
    }
    return steps;
  }
  bool Deliver(const std::vector<Step>& steps, bool uncertain = false) {
    return sender_.Deliver("r", steps, {}, uncertain);
  }
  std::vector<double> StoredSteps() const {
    std::vector<double> steps;
    for (const auto& [time, value] : receiver_.stored) steps.push_back(value);
    return steps;
  }

  Options options_;
  Receiver receiver_;
  std::vector<absl::Duration> waits_;
  int max_waits_ = 100;
  std::vector<std::string> lines_;
  std::map<Fate, int64_t> counts_;
  int retries_ = 0;
  Sender sender_;
};

TEST_F(SenderTest, SendsABatchAtOnce) {
  EXPECT_TRUE(Deliver(Steps(1, 5)));
  EXPECT_THAT(StoredSteps(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(receiver_.posts, 1);
  EXPECT_EQ(counts_[Fate::kSent], 20);
  EXPECT_FALSE(sender_.TakeOutage());
}

TEST_F(SenderTest, RetriesWhatMayPassWithBackoff) {
  receiver_.answers = {503, 429, 0, 500};
  EXPECT_TRUE(Deliver(Steps(1, 3)));
  EXPECT_THAT(StoredSteps(), ElementsAre(1, 2, 3));
  EXPECT_THAT(waits_,
              ElementsAre(absl::Milliseconds(250), absl::Milliseconds(500),
                          absl::Seconds(1), absl::Seconds(2)));
  EXPECT_EQ(retries_, 4);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("status 503: no"),
                                  HasSubstr("answers again")));
  EXPECT_TRUE(sender_.TakeOutage());
  EXPECT_FALSE(sender_.TakeOutage());
}

TEST_F(SenderTest, TooManyRequestsAreNoOutage) {
  receiver_.answers = {429};
  EXPECT_TRUE(Deliver(Steps(1, 1)));
  EXPECT_FALSE(sender_.TakeOutage());
}

TEST(BackoffAfterTest, IsBoundedAndJittered) {
  EXPECT_EQ(BackoffAfter(100, 0), absl::Seconds(30));
  EXPECT_EQ(BackoffAfter(100, 1), absl::Seconds(15));
  EXPECT_EQ(BackoffAfter(1, 1), absl::Milliseconds(125));
}

TEST_F(SenderTest, StopsWhenItIsTime) {
  receiver_.answers = {0, 0, 0, 0};
  max_waits_ = 2;
  EXPECT_FALSE(Deliver(Steps(1, 3)));
  EXPECT_EQ(receiver_.posts, 2);
  EXPECT_TRUE(counts_.empty());
}

TEST_F(SenderTest, OtherRefusalsAreDroppedAndToldOnce) {
  receiver_.answers = {401, 404};
  EXPECT_TRUE(Deliver(Steps(1, 3)));
  EXPECT_TRUE(Deliver(Steps(4, 6)));
  EXPECT_TRUE(Deliver(Steps(7, 9)));
  EXPECT_THAT(StoredSteps(), ElementsAre(7, 8, 9));
  EXPECT_EQ(counts_[Fate::kRefused], 24);
  EXPECT_EQ(counts_[Fate::kSent], 12);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("run 'r': status 401: no")));
  EXPECT_TRUE(waits_.empty());
}

// The answer was lost, but the samples were not.
TEST_F(SenderTest, WhatWasStoredWithoutAnAnswerIsStoredOnce) {
  receiver_.answers = {Receiver::kStoreAndBreakOff};
  EXPECT_TRUE(Deliver(Steps(1, 5)));
  EXPECT_THAT(StoredSteps(), ElementsAre(1, 2, 3, 4, 5));
  // The newest is taken again, the others are refused.
  EXPECT_EQ(counts_[Fate::kPresent], 16);
  EXPECT_EQ(counts_[Fate::kSent], 4);
  EXPECT_EQ(counts_[Fate::kRefused], 0);
  EXPECT_TRUE(Deliver(Steps(6, 7)));
  EXPECT_THAT(StoredSteps(), SizeIs(7));
}

// A daemon before this one has sent a part, and more than its mark says.
TEST_F(SenderTest, WhatASmallerRequestLeftIsAdded) {
  ASSERT_TRUE(Deliver(Steps(1, 3)));
  counts_.clear();
  EXPECT_TRUE(Deliver(Steps(2, 9), /*uncertain=*/true));
  EXPECT_THAT(StoredSteps(), SizeIs(9));
  EXPECT_EQ(counts_[Fate::kSent] + counts_[Fate::kPresent], 32);
  EXPECT_EQ(counts_[Fate::kRefused], 0);
}

// One bad step costs itself, not its request.
TEST_F(SenderTest, OneRefusedStepDoesNotTakeOthersWithIt) {
  ASSERT_TRUE(Deliver(Steps(4, 4)));
  counts_.clear();
  EXPECT_TRUE(Deliver(Steps(3, 8)));
  EXPECT_THAT(StoredSteps(), ElementsAre(4, 5, 6, 7, 8));
  EXPECT_EQ(counts_[Fate::kRefused], 4);
  EXPECT_EQ(counts_[Fate::kSent], 20);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("out of order sample")));
}

TEST_F(SenderTest, StopIsNoFailureOfTheReceiver) {
  receiver_.answers = {Receiver::kStop};
  EXPECT_FALSE(Deliver(Steps(0, 3)));
  EXPECT_TRUE(lines_.empty());
  EXPECT_TRUE(waits_.empty());
  EXPECT_EQ(retries_, 0);
  EXPECT_FALSE(sender_.TakeOutage());
}

TEST_F(SenderTest, WaitsAsLongAsTheReceiverAsksIfThatIsLonger) {
  receiver_.answers = {429, 503};
  receiver_.retry_after = absl::Seconds(90);
  EXPECT_TRUE(Deliver(Steps(0, 0)));
  EXPECT_THAT(waits_, ElementsAre(absl::Seconds(90), absl::Seconds(90)));
  waits_.clear();
  receiver_.answers = {429};
  receiver_.retry_after = absl::Milliseconds(1);
  EXPECT_TRUE(Deliver(Steps(1, 1)));
  EXPECT_THAT(waits_, ElementsAre(absl::Milliseconds(250)));
}

}  // namespace
}  // namespace muster::sinks::remote_write
