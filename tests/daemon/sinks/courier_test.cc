#include "daemon/sinks/courier.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/sinks/alertmanager.h"
#include "daemon/sinks/sinks.h"
#include "daemon/sinks/webhook.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/sinks/an_alert.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/http_receiver.h"

namespace muster::sinks {
namespace {

using alert::State;
using muster::testing::FakeClock;
using muster::testing::HttpReceiver;
using muster::testing::PostAnswer;
using muster::testing::ReceivedPost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(BackoffTest, DoublesUpToAMinuteAndIsScattered) {
  for (const auto& [failures, seconds] : std::vector<std::pair<int, int>>{
           {1, 1}, {2, 2}, {3, 4}, {6, 32}, {7, 60}, {8, 60}, {1000000, 60}}) {
    EXPECT_EQ(Backoff(failures, 0), absl::Seconds(seconds)) << failures;
    EXPECT_EQ(Backoff(failures, 1), absl::Seconds(seconds) / 2) << failures;
    EXPECT_EQ(Backoff(failures, 0.5), absl::Seconds(seconds) * 0.75);
  }
}

// A courier of a webhook, turned by hand.
class CourierTest : public ::testing::Test {
 protected:
  CourierWorld World() {
    return {.post = [this](std::string_view body,
                           const HttpHeaders&) -> absl::StatusOr<HttpResponse> {
              bodies_.emplace_back(body);
              if (answers_.empty()) return HttpResponse{.status = 200};
              auto answer = std::move(answers_.front());
              answers_.pop_front();
              return answer;
            },
            .cancel = [] {},
            .clock = clock_.clock(),
            .random = [] { return 0.0; },
            .tell =
                [this](bool failing, const std::string& line) {
                  told_.push_back((failing ? "failing: " : "") + line);
                }};
  }
  void Change(uint64_t id) {
    courier_.Take("gpt", AnAlert(id, State::kFiring, absl::UnixEpoch()));
  }

  FakeClock clock_;
  SinkOptions options_;
  WebhookOptions webhook_;
  std::deque<absl::StatusOr<HttpResponse>> answers_;
  std::vector<std::string> bodies_;
  std::vector<std::string> told_;
  Courier courier_{"webhook", "chat",
                   std::make_unique<WebhookOutbox>(options_, webhook_),
                   World()};
};

TEST_F(CourierTest, DeliversAtOnceAndThenWaitsForNews) {
  EXPECT_EQ(courier_.Turn(), absl::InfiniteDuration());
  Change(1);
  Change(2);
  EXPECT_EQ(courier_.Turn(), absl::ZeroDuration());
  EXPECT_EQ(courier_.Turn(), absl::InfiniteDuration());
  EXPECT_EQ(bodies_.size(), 2u);
  EXPECT_EQ(courier_.stats().sent, 2u);
  EXPECT_EQ(courier_.stats().failed, 0u);
  EXPECT_TRUE(told_.empty());
}

TEST_F(CourierTest, WaitsLongerAfterEachFailureAndTellsItOnce) {
  answers_ = {absl::UnavailableError("connection refused"),
              HttpResponse{.status = 503, .first_line = "starting"},
              HttpResponse{.status = 401}, HttpResponse{.status = 204}};
  Change(1);
  for (const int seconds : {1, 2, 4}) {
    EXPECT_EQ(courier_.Turn(), absl::Seconds(seconds));
    EXPECT_FALSE(courier_.stats().up);
    // News does not shorten it.
    Change(2);
    clock_.Advance(absl::Seconds(seconds) - absl::Milliseconds(1));
    EXPECT_EQ(courier_.Turn(), absl::Milliseconds(1));
    clock_.Advance(absl::Milliseconds(1));
  }
  EXPECT_EQ(bodies_.size(), 3u);
  EXPECT_EQ(courier_.Turn(), absl::ZeroDuration());
  EXPECT_EQ(bodies_[3], bodies_[0]);
  const CourierStats stats = courier_.stats();
  EXPECT_TRUE(stats.up);
  EXPECT_EQ(stats.sent, 1u);
  EXPECT_EQ(stats.failed, 3u);
  EXPECT_EQ(stats.held, 3u);
  EXPECT_THAT(told_,
              ElementsAre("failing: webhook 'chat': cannot deliver, will try "
                          "again: connection refused",
                          "webhook 'chat': delivers again, after 3 failures"));
}

TEST_F(CourierTest, WaitsAsLongAsTheReceiverAsksIfThatIsLonger) {
  answers_ = {HttpResponse{.status = 429, .retry_after = absl::Seconds(90)},
              HttpResponse{.status = 503, .retry_after = absl::Seconds(1)}};
  Change(1);
  EXPECT_EQ(courier_.Turn(), absl::Seconds(90));
  clock_.Advance(absl::Seconds(89));
  EXPECT_EQ(courier_.Turn(), absl::Seconds(1));
  EXPECT_EQ(bodies_.size(), 1u);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(courier_.Turn(), absl::Seconds(2));
}

TEST_F(CourierTest, SaysWhatTheReceiverAnswered) {
  answers_ = {HttpResponse{.status = 403, .first_line = "wrong key"}};
  Change(1);
  courier_.Turn();
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("HTTP 403: wrong key"));
}

TEST_F(CourierTest, ChangeThatIsAlwaysRefusedDoesNotHoldUpTheNext) {
  answers_ = {HttpResponse{.status = 400, .first_line = "unknown field"},
              HttpResponse{.status = 422, .first_line = "unknown field"},
              HttpResponse{.status = 413, .first_line = "too long"}};
  Change(1);
  Change(2);
  EXPECT_EQ(courier_.Turn(), absl::Seconds(1));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(courier_.Turn(), absl::Seconds(2));
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(courier_.Turn(), absl::ZeroDuration());
  EXPECT_EQ(courier_.Turn(), absl::InfiniteDuration());
  ASSERT_EQ(bodies_.size(), 4u);
  EXPECT_NE(bodies_[3], bodies_[0]);
  EXPECT_EQ(courier_.stats().dropped, 1u);
  EXPECT_EQ(courier_.stats().held, 0u);
  ASSERT_EQ(told_.size(), 3u);
  EXPECT_THAT(told_[1], HasSubstr("is not sent any more: HTTP 413: too long"));
}

TEST_F(CourierTest, IsUpAgainWhenNothingIsLeftThatFails) {
  Change(1);
  for (int i = 0; i < WebhookOutbox::kRefusals; ++i) {
    answers_ = {HttpResponse{.status = 400}};
    courier_.Turn();
    EXPECT_FALSE(courier_.stats().up);
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_EQ(courier_.Turn(), absl::InfiniteDuration());
  EXPECT_TRUE(courier_.stats().up);
  EXPECT_EQ(bodies_.size(), 3u);
}

TEST_F(CourierTest, AlertmanagerThatIsBackIsFoundWithoutAnAlert) {
  Courier courier(
      "alertmanager", "am",
      std::make_unique<AlertmanagerOutbox>(
          options_, absl::Minutes(1),
          [](const std::string&, uint64_t) { return std::nullopt; }),
      World());
  courier.Take("gpt", AnAlert(1, State::kResolved, clock_.clock().wall()));
  // It is told for five minutes, and then forgotten.
  for (int i = 0; i < 10; ++i) {
    answers_ = {absl::UnavailableError("connection refused")};
    courier.Turn();
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_EQ(courier.stats().held, 0u);
  EXPECT_FALSE(courier.stats().up);
  EXPECT_EQ(bodies_.back(), "[]");
  answers_.clear();
  EXPECT_EQ(courier.Turn(), absl::InfiniteDuration());
  EXPECT_TRUE(courier.stats().up);
  EXPECT_EQ(bodies_.back(), "[]");
  EXPECT_THAT(told_.back(), HasSubstr("delivers again"));
}

TEST_F(CourierTest, OtherAnswersMayPassAndAreNotGivenUp) {
  Change(1);
  for (const int status : {401, 403, 404, 408, 425, 429, 500, 302}) {
    for (int i = 0; i < WebhookOutbox::kRefusals; ++i) {
      answers_ = {HttpResponse{.status = status}};
      clock_.Advance(absl::Minutes(1));
      courier_.Turn();
      EXPECT_EQ(courier_.stats().held, 1u) << status;
    }
  }
  EXPECT_EQ(courier_.stats().dropped, 0u);
}

TEST_F(CourierTest, SecretThatCannotBeReadIsAFailure) {
  webhook_.secret.variable = "MUSTER_TEST_NOT_SET";
  Change(1);
  EXPECT_EQ(courier_.Turn(), absl::Seconds(1));
  EXPECT_TRUE(bodies_.empty());
  EXPECT_EQ(courier_.stats().failed, 1u);
  EXPECT_THAT(told_[0], HasSubstr("MUSTER_TEST_NOT_SET is not set"));
}

// Everything together, over HTTP.
class SinksTest : public ::testing::Test {
 protected:
  static SinkOptions To(const std::vector<std::string>& urls) {
    SinkOptions options;
    for (const std::string& url : urls) {
      options.webhooks.push_back({.endpoint = {.url = url}});
      options.alertmanagers.push_back({.endpoint = {.url = url + "/am/"}});
    }
    return options;
  }
  // Of several threads.
  struct Told {
    Mutex mutex;
    std::vector<std::string> lines ABSL_GUARDED_BY(mutex);
  };
  static std::unique_ptr<Sinks> Make(
      SinkOptions options,
      const std::shared_ptr<Told>& told = std::make_shared<Told>()) {
    return std::make_unique<Sinks>(
        std::move(options), "", Clock::System(),
        [](const std::string&, uint64_t) { return std::nullopt; },
        [told](bool failing, const std::string& line) {
          MutexLock lock(told->mutex);
          told->lines.push_back((failing ? "failing: " : "") + line);
        });
  }
};

TEST_F(SinksTest, OneReceiverThatHangsDelaysNobodyElse) {
  HttpReceiver hanging(
      [](size_t, const ReceivedPost&) { return PostAnswer{.hangs = true}; });
  HttpReceiver good;
  const auto sinks = Make(To({hanging.url(), good.url()}));
  sinks->Start();
  sinks->Take("gpt", AnAlert(1, State::kFiring, absl::UnixEpoch()));
  EXPECT_TRUE(good.WaitForPosts(2));
  EXPECT_TRUE(hanging.WaitForPosts(2));
  std::set<std::string> paths;
  for (const ReceivedPost& post : good.posts()) paths.insert(post.path);
  EXPECT_EQ(paths, (std::set<std::string>{"/", "/am/api/v2/alerts"}));
  sinks->Stop(absl::Milliseconds(100));
  for (const CourierStats& each : sinks->stats()) {
    const bool hangs = good.url() != "http://" + each.receiver;
    EXPECT_EQ(each.sent, hangs ? 0u : 1u) << each.sink << " " << each.receiver;
  }
}

TEST_F(SinksTest, StopIsNoFailureAndSaysWhatIsLeft) {
  HttpReceiver hanging(
      [](size_t, const ReceivedPost&) { return PostAnswer{.hangs = true}; });
  SinkOptions options = To({hanging.url()});
  options.webhooks[0].name = "chat";
  options.alertmanagers[0].name = "central";
  const auto told = std::make_shared<Told>();
  const auto sinks = Make(std::move(options), told);
  sinks->Start();
  sinks->Take("gpt", AnAlert(1, State::kFiring, absl::UnixEpoch()));
  EXPECT_TRUE(hanging.WaitForPosts(2));
  sinks->Take("gpt", AnAlert(2, State::kResolved, absl::UnixEpoch()));
  sinks->Stop(absl::ZeroDuration());
  for (const CourierStats& each : sinks->stats()) {
    EXPECT_EQ(each.failed, 0u);
    EXPECT_TRUE(each.up);
  }
  MutexLock lock(told->mutex);
  std::sort(told->lines.begin(), told->lines.end());
  EXPECT_THAT(told->lines,
              ElementsAre("alertmanager 'central': ends with 1 not delivered",
                          "webhook 'chat': ends with 2 not delivered"));
}

TEST_F(SinksTest, WhatWaitsIsTriedOnceMoreAtTheEnd) {
  HttpReceiver receiver([](size_t n, const ReceivedPost&) {
    return PostAnswer{.status = n == 0 ? 503 : 200};
  });
  SinkOptions options = To({receiver.url()});
  options.alertmanagers.clear();
  const auto sinks = Make(std::move(options));
  sinks->Start();
  sinks->Take("gpt", AnAlert(1, State::kFiring, absl::UnixEpoch()));
  sinks->Take("gpt", AnAlert(2, State::kFiring, absl::UnixEpoch()));
  EXPECT_TRUE(receiver.WaitForPosts(1));
  sinks->Stop();
  EXPECT_EQ(receiver.posts().size(), 3u);
  EXPECT_EQ(sinks->stats()[0].held, 0u);
}

}  // namespace
}  // namespace muster::sinks
