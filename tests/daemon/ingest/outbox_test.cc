#include "daemon/ingest/outbox.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace muster::ingest {
namespace {

TEST(OutboxTest, WakesOnceUntilTheTurnIsOver) {
  int wakes = 0;
  Outbox outbox([&] { ++wakes; });
  outbox.Welcome(1, 5);
  outbox.Acknowledge(1, 6);
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(outbox.Take().message->welcome().sequence(), 5u);
  EXPECT_EQ(outbox.Take().message->ack().sequence(), 6u);
  EXPECT_FALSE(outbox.Take().message);
  outbox.Acknowledge(1, 7);
  EXPECT_EQ(wakes, 2);
}

TEST(OutboxTest, KeepsOnlyTheNewestAcknowledgementAndAlertSet) {
  Outbox outbox([] {});
  for (uint64_t sequence = 1; sequence <= 1000; ++sequence) {
    outbox.Acknowledge(3, sequence);
  }
  outbox.Acknowledge(4, 9);
  alert::Alert alert;
  alert.finding.kind = detect::Kind::kNonFinite;
  using Alerts = std::vector<alert::Alert>;
  outbox.ShowAlerts(3, "r", std::make_shared<const Alerts>());
  outbox.ShowAlerts(3, "r", std::make_shared<const Alerts>(2, alert));
  const auto alerts = outbox.Take().message;
  EXPECT_EQ(outbox.Take().message->ack().sequence(), 1000u);
  EXPECT_EQ(outbox.Take().message->ack().source(), 4u);
  ASSERT_EQ(alerts->alerts().alerts_size(), 2);
  EXPECT_EQ(alerts->alerts().alerts(0).kind(), "NonFinite");
  EXPECT_EQ(alerts->alerts().alerts(0).run(), "r");
  EXPECT_FALSE(outbox.Take().message);
}

TEST(OutboxTest, AlertsAndAcknowledgementsTakeTurnsFirstComeFirst) {
  Outbox outbox([] {});
  const auto none = std::make_shared<const std::vector<alert::Alert>>();
  for (uint32_t source : {5, 1, 9}) outbox.Acknowledge(source, 1);
  for (uint32_t source : {7, 2}) outbox.ShowAlerts(source, "r", none);
  outbox.Acknowledge(5, 2);
  outbox.Welcome(4, 0);
  std::vector<std::string> order;
  for (bool more = true; more;) {
    Outbox::Taken taken = outbox.Take();
    const v1::ServerMessage& message = *taken.message;
    order.push_back(message.has_welcome() ? "welcome"
                    : message.has_ack()
                        ? "ack " + std::to_string(message.ack().source())
                        : "alerts " +
                              std::to_string(message.alerts().source()));
    more = taken.more;
  }
  EXPECT_EQ(order, (std::vector<std::string>{"welcome", "alerts 7", "ack 5",
                                             "alerts 2", "ack 1", "ack 9"}));
  EXPECT_FALSE(outbox.Take().message);
}

TEST(OutboxTest, ShowsRanksAtMostTheFirstOfTheRanksConcerned) {
  Outbox outbox([] {});
  alert::Alert alert;
  for (uint32_t rank = 0; rank < 1000; ++rank) {
    alert.finding.ranks.push_back(rank);
  }
  using Alerts = std::vector<alert::Alert>;
  outbox.ShowAlerts(3, "r", std::make_shared<const Alerts>(1, alert));
  const auto message = outbox.Take().message;
  EXPECT_EQ(message->alerts().alerts(0).ranks_size(), 256);
  EXPECT_EQ(message->alerts().alerts(0).ranks(255), 255u);
}

TEST(OutboxTest, BoundsWhatWaitsForASlowReader) {
  Outbox outbox([] {});
  for (int i = 0; i < 5000; ++i) {
    outbox.Refuse(1, i, v1::INVALID_NORM, "norm");
  }
  int count = 0;
  while (outbox.Take().message) ++count;
  EXPECT_EQ(count, 1024);
}

TEST(OutboxTest, RefusalsLeaveRoomForAWelcomeOfEachSource) {
  Outbox outbox([] {}, 3);
  for (int i = 0; i < 5000; ++i) {
    outbox.Refuse(1, i, v1::INVALID_NORM, "norm");
  }
  for (uint32_t source = 0; source < 5; ++source) outbox.Welcome(source, 0);
  int welcomes = 0;
  while (auto message = outbox.Take().message) {
    welcomes += message->has_welcome();
  }
  EXPECT_EQ(welcomes, 3);
}

TEST(OutboxTest, SourceNumbersThatComeAndGoTakeNoMemory) {
  Outbox outbox([] {}, 3);
  const auto none = std::make_shared<const std::vector<alert::Alert>>();
  for (uint32_t source = 0; source < 5000; ++source) {
    outbox.Acknowledge(source, 1);
    outbox.ShowAlerts(source, "r", none);
  }
  outbox.Acknowledge(2, 7);
  int acks = 0;
  int alerts = 0;
  while (auto message = outbox.Take().message) {
    acks += message->has_ack();
    alerts += message->has_alerts();
    if (message->ack().source() == 2) {
      EXPECT_EQ(message->ack().sequence(), 7u);
    }
  }
  EXPECT_EQ(acks, 3);
  EXPECT_EQ(alerts, 3);
}

TEST(OutboxTest, CloseLeavesTheEndToTheWriterThatHasTheTurn) {
  int wakes = 0;
  Outbox outbox([&] { ++wakes; });
  outbox.Welcome(1, 0);
  EXPECT_FALSE(outbox.Close());
  const Outbox::Taken taken = outbox.Take();
  EXPECT_FALSE(taken.message);
  EXPECT_TRUE(taken.closed);
  outbox.Welcome(2, 0);
  EXPECT_EQ(wakes, 1);
}

TEST(OutboxTest, CloseEndsAnIdleOneAtOnce) {
  int wakes = 0;
  Outbox outbox([&] { ++wakes; });
  EXPECT_TRUE(outbox.Close());
  outbox.Acknowledge(1, 1);
  EXPECT_EQ(wakes, 0);
}

}  // namespace
}  // namespace muster::ingest
