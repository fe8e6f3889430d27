#include "daemon/ingest/refusal_limit.h"

#include <string>

#include "gtest/gtest.h"

namespace muster::ingest {
namespace {

constexpr absl::Duration kStart = absl::Seconds(1000);

TEST(RefusalLimitTest, AnAllowanceAtOnceAndAgainInHalfAMinute) {
  RefusalLimit limit(100);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limit.Charge("a", 200, kStart));
  EXPECT_FALSE(limit.Charge("a", 200, kStart));
  EXPECT_TRUE(limit.Charge("b", 200, kStart));
  const absl::Duration later = kStart + absl::Seconds(3);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.Charge("a", 200, later));
  EXPECT_FALSE(limit.Charge("a", 200, later));
}

TEST(RefusalLimitTest, WhoAsksOnDoesNotWaitLonger) {
  RefusalLimit limit(100);
  for (int i = 0; i < 1000; ++i) limit.Charge("a", 200, kStart);
  EXPECT_TRUE(limit.Charge("a", 200, kStart + absl::Seconds(1)));
}

TEST(RefusalLimitTest, ALongMessageIsManyRefusals) {
  RefusalLimit limit(1024);
  EXPECT_TRUE(limit.Charge("a", (1 << 20) - 1, kStart));
  EXPECT_FALSE(limit.Charge("a", 0, kStart));
}

// All ranks of a relay that carries as many as it may, each refused each time
// that it asks, the soonest that a client does.
TEST(RefusalLimitTest, AFullRelayThatMayNotReportIsNotTooMuch) {
  RefusalLimit limit(4096);
  for (int round = 0; round < 4; ++round) {
    const absl::Duration now = kStart + round * RefusalLimit::kRefill;
    for (int i = 0; i < 4096; ++i) ASSERT_TRUE(limit.Charge("a", 500, now));
  }
}

TEST(RefusalLimitTest, ForgetsThoseWhoHaveAllOfItBack) {
  RefusalLimit limit(10);
  for (int i = 0; i < 10'000; ++i) {
    limit.Charge("sender " + std::to_string(i), 0,
                 kStart + i * absl::Milliseconds(100));
  }
  EXPECT_LE(limit.remembered(), 1024u);
}

}  // namespace
}  // namespace muster::ingest
