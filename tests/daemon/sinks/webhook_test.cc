#include "daemon/sinks/webhook.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "daemon/sinks/signature.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/sinks/an_alert.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks {
namespace {

using alert::Alert;
using alert::State;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(SignatureTest, IsThatOfAnotherImplementation) {
  // Python: hmac.new(b"key", b'1700000000.{"a":1}', "sha256").hexdigest()
  EXPECT_EQ(Sign("key", "{\"a\":1}", absl::FromUnixSeconds(1'700'000'000)),
            "t=1700000000,v1="
            "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03");
}

class WebhookTest : public ::testing::Test {
 protected:
  void Change(uint64_t id, State state) {
    outbox_.Take("gpt", AnAlert(id, state, wall_),
                 {absl::ZeroDuration(), wall_});
  }
  // Nothing waits: "". Else what is sent now; it is answered.
  std::string Send(Outcome outcome = Outcome::kTaken) {
    const auto delivery = outbox_.Make({absl::ZeroDuration(), wall_});
    EXPECT_TRUE(delivery.ok()) << delivery.status();
    if (!delivery.ok() || !delivery->has_value()) return "";
    headers_ = (*delivery)->headers;
    given_up_ = outbox_.Done(outcome, {absl::ZeroDuration(), wall_});
    return (*delivery)->body;
  }
  std::string Header(const std::string& name) const {
    for (const auto& [each, value] : headers_) {
      if (each == name) return value;
    }
    return "";
  }

  absl::Time wall_ = absl::FromUnixSeconds(1'700'000'000);
  HttpHeaders headers_;
  bool given_up_ = false;
  SinkOptions options_{.external_url = "http://muster:7601",
                       .dashboard_url = "http://grafana/{run}"};
  WebhookOptions webhook_{.queue_size = 3};
  WebhookOutbox outbox_{options_, webhook_};
};

TEST_F(WebhookTest, BodyIsTheLogLineAndMore) {
  Change(7, State::kFiring);
  const std::string body = Send();
  std::string line = alert::LogLine("gpt", AnAlert(7, State::kFiring, wall_));
  line.pop_back();
  EXPECT_THAT(body, StartsWith(line));
  EXPECT_THAT(
      body,
      EndsWith(
          ",\"version\":1,\"delivery\":\"gpt:7:firing:1700000000000000000\","
          "\"changed\":\"2023-11-14T22:13:20.000Z\","
          "\"fired\":\"2023-11-14T22:13:20.000Z\",\"checks\":\"" +
          std::string(detect::InfoOf(detect::Kind::kRankOutlier).first_check) +
          "\",\"page\":\"http://muster:7601/#/runs/gpt?from=10&to=49&rank=3\","
          "\"dashboard\":\"http://grafana/gpt\"}"));
  EXPECT_EQ(Header("Content-Type"), "application/json");
  EXPECT_EQ(Header("Idempotency-Key"), "gpt:7:firing:1700000000000000000");
  EXPECT_EQ(Header("Muster-Signature"), "");
}

TEST_F(WebhookTest, SendsInOrderUntilTaken) {
  Change(7, State::kFiring);
  Change(7, State::kResolved);
  const std::string first = Send(Outcome::kFailed);
  EXPECT_THAT(first, HasSubstr("\"state\":\"firing\""));
  EXPECT_EQ(Send(Outcome::kRefused), first);
  EXPECT_EQ(Send(), first);
  EXPECT_THAT(Send(), HasSubstr("\"state\":\"resolved\""));
  EXPECT_EQ(Send(), "");
  EXPECT_EQ(outbox_.Due(), absl::InfiniteDuration());
}

TEST_F(WebhookTest, WhatIsRefusedThreeTimesInARowIsGivenUp) {
  Change(1, State::kFiring);
  Change(2, State::kFiring);
  for (const Outcome outcome :
       {Outcome::kRefused, Outcome::kRefused, Outcome::kFailed,
        Outcome::kRefused, Outcome::kRefused}) {
    EXPECT_THAT(Send(outcome), HasSubstr("\"id\":1,"));
    EXPECT_FALSE(given_up_);
  }
  Send(Outcome::kRefused);
  EXPECT_TRUE(given_up_);
  EXPECT_EQ(outbox_.counts().dropped, 1u);
  // Each change has as many attempts.
  EXPECT_THAT(Send(Outcome::kRefused), HasSubstr("\"id\":2,"));
  EXPECT_FALSE(given_up_);
  EXPECT_THAT(Send(), HasSubstr("\"id\":2,"));
  EXPECT_EQ(outbox_.counts().held, 0u);
  EXPECT_EQ(outbox_.counts().dropped, 1u);
}

TEST_F(WebhookTest, WhatWasGivenUpIsNotSentByTheNextDaemon) {
  const TemporaryFolder folder;
  const Moment now{absl::ZeroDuration(), wall_};
  {
    WebhookOutbox outbox(options_, webhook_,
                         std::make_unique<Journal>(folder.File("queue")));
    outbox.Take("gpt", AnAlert(1, State::kFiring, wall_), now);
    outbox.Take("gpt", AnAlert(2, State::kFiring, wall_), now);
    outbox.Keep();
    for (int i = 0; i < WebhookOutbox::kRefusals; ++i) {
      ASSERT_TRUE(outbox.Make(now).ok());
      outbox.Done(Outcome::kRefused, now);
    }
  }
  WebhookOutbox next(options_, webhook_,
                     std::make_unique<Journal>(folder.File("queue")));
  EXPECT_EQ(next.counts().held, 1u);
  EXPECT_THAT((*next.Make(now))->body, HasSubstr("\"id\":2,"));
}

TEST_F(WebhookTest, OldestGoesWhenThereIsNoPlace) {
  for (uint64_t id = 1; id <= 5; ++id) Change(id, State::kFiring);
  EXPECT_EQ(outbox_.counts().held, 3u);
  EXPECT_EQ(outbox_.counts().dropped, 2u);
  EXPECT_THAT(Send(), HasSubstr("\"id\":3,"));
}

TEST_F(WebhookTest, WhatIsDroppedDuringItsPostTakesNoOtherWithIt) {
  for (uint64_t id = 1; id <= 3; ++id) Change(id, State::kFiring);
  ASSERT_TRUE(outbox_.Make({absl::ZeroDuration(), wall_}).ok());
  Change(4, State::kFiring);  // drops 1
  outbox_.Done(Outcome::kTaken, {absl::ZeroDuration(), wall_});
  EXPECT_THAT(Send(), HasSubstr("\"id\":2,"));
}

TEST_F(WebhookTest, TellsPendingAndObservedOnesIfAsked) {
  Change(1, State::kPending);
  Change(2, State::kObserved);
  EXPECT_EQ(Send(), "");
  webhook_.all_states = true;
  Change(1, State::kPending);
  Change(2, State::kObserved);
  EXPECT_THAT(Send(), HasSubstr("\"fired\":null"));
  EXPECT_THAT(Send(), HasSubstr("\"state\":\"observed\""));
}

TEST_F(WebhookTest, GoesOnWithWhatWaitedInADaemonBefore) {
  const TemporaryFolder folder;
  const Moment now{absl::ZeroDuration(), wall_};
  const auto open = [&] {
    return std::make_unique<WebhookOutbox>(
        options_, webhook_, std::make_unique<Journal>(folder.File("queue")));
  };
  std::string second;
  {
    const auto life = open();
    life->Take("gpt", AnAlert(1, State::kFiring, wall_), now);
    life->Take("gpt", AnAlert(2, State::kFiring, wall_), now);
    life->Keep();
    ASSERT_TRUE(life->Make(now).ok());
    life->Done(Outcome::kTaken, now);
    second = (*life->Make(now))->body;
    life->Done(Outcome::kFailed, now);
  }
  {
    const auto life = open();
    EXPECT_EQ(life->counts().held, 1u);
    EXPECT_EQ(life->Due(), absl::ZeroDuration());
    life->Take("gpt", AnAlert(3, State::kFiring, wall_), now);
    EXPECT_EQ((*life->Make(now))->body, second);
    life->Done(Outcome::kTaken, now);
    EXPECT_THAT((*life->Make(now))->body, HasSubstr("\"id\":3,"));
    life->Done(Outcome::kTaken, now);
  }
  EXPECT_EQ(open()->counts().held, 0u);
}

TEST_F(WebhookTest, WhatIsKeptStaysSmallWhileNothingIsTaken) {
  const TemporaryFolder folder;
  const std::string path = folder.File("queue");
  const Moment now{absl::ZeroDuration(), wall_};
  uint64_t id = 0;
  size_t body_bytes = 0;
  {
    WebhookOutbox outbox(options_, webhook_, std::make_unique<Journal>(path));
    for (size_t written = 0; written < 2 * Journal::kMaxBytes;) {
      outbox.Take("gpt", AnAlert(++id, State::kFiring, wall_), now);
      outbox.Keep();
      if (id == 1) body_bytes = (*outbox.Make(now))->body.size();
      written += body_bytes;
    }
  }
  EXPECT_LE(std::filesystem::file_size(path), Journal::kMaxBytes);
  WebhookOutbox next(options_, webhook_, std::make_unique<Journal>(path));
  EXPECT_EQ(next.counts().held, 3u);
  EXPECT_THAT((*next.Make(now))->body,
              HasSubstr("\"id\":" + std::to_string(id - 2) + ","));
}

TEST_F(WebhookTest, DeliversThoughItCannotBeKept) {
  std::vector<std::string> told;
  WebhookOutbox outbox(
      options_, webhook_, std::make_unique<Journal>("/proc/none/queue"),
      [&](bool, const std::string& line) { told.push_back(line); });
  const Moment now{absl::ZeroDuration(), wall_};
  for (uint64_t id = 1; id <= 3; ++id) {
    outbox.Take("gpt", AnAlert(id, State::kFiring, wall_), now);
    outbox.Keep();
    ASSERT_TRUE(outbox.Make(now)->has_value());
    outbox.Done(Outcome::kTaken, now);
  }
  EXPECT_EQ(outbox.counts().held, 0u);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], HasSubstr("/proc/none/queue: No such file"));
}

TEST_F(WebhookTest, SignsEachAttemptAnewWithTheKeyOfThatMoment) {
  const TemporaryFolder folder;
  webhook_.secret.file = folder.File("key");
  Change(7, State::kFiring);
  const auto without = outbox_.Make({absl::ZeroDuration(), wall_});
  EXPECT_EQ(without.status().code(), absl::StatusCode::kFailedPrecondition);
  for (const char* key : {"old", "new"}) {
    std::ofstream(folder.File("key")) << key << "\n";
    wall_ += absl::Seconds(1);
    const std::string body = Send(Outcome::kFailed);
    EXPECT_EQ(Header("Muster-Signature"), Sign(key, body, wall_));
  }
}

}  // namespace
}  // namespace muster::sinks
