#include "daemon/history/event_codec.h"

#include <variant>

#include "daemon/history/checkpoint_codec.h"
#include "gtest/gtest.h"
#include "tests/daemon/history/compare.h"
#include "tests/daemon/history/samples.h"

namespace muster::history {
namespace {

uint64_t NumberOf(const std::shared_ptr<const frames::FactSet>& facts) {
  return 1 + std::stoull(facts->at("sampler_seed").value);
}
std::shared_ptr<const frames::FactSet> FactsOf(uint64_t number) {
  return number == 0 ? nullptr : SampleFacts(static_cast<int>(number) - 1);
}

// The event read back; the test fails if it is of another type.
template <typename Event>
Event Back(const Event& event) {
  const EventColumns row = EncodeEvent(event, NumberOf);
  for (size_t size = 0; size < row.body.size(); ++size) {
    EXPECT_FALSE(DecodeEvent(row.kind, row.body.substr(0, size), FactsOf).ok());
  }
  const auto body = DecodeEvent(row.kind, row.body, FactsOf);
  EXPECT_TRUE(body.ok()) << body.status();
  return body.ok() ? std::get<Event>(*body) : Event();
}

constexpr uint64_t kLarge = ~uint64_t{0};

TEST(EventCodecTest, GivesBackEachKind) {
  const auto up =
      Back(frames::SourceUp{SampleSource(3), SampleFacts(4), absl::Seconds(5)});
  ExpectSame(up.info, SampleSource(3));
  EXPECT_EQ(*up.facts, *SampleFacts(4));
  EXPECT_EQ(up.at, absl::Seconds(5));

  const auto down = Back(frames::SourceDown{
      3, kLarge, frames::DownReason::kDeparted, absl::Nanoseconds(-5)});
  EXPECT_EQ(down.rank, 3u);
  EXPECT_EQ(down.incarnation, kLarge);
  EXPECT_EQ(down.reason, frames::DownReason::kDeparted);
  EXPECT_EQ(down.at, absl::Nanoseconds(-5));

  const auto contested =
      Back(frames::RankContested{3, kLarge, kLarge - 1, absl::Seconds(9)});
  EXPECT_EQ(contested.incarnation, kLarge);
  EXPECT_EQ(contested.superseded_incarnation, kLarge - 1);

  const auto refused = Back(
      frames::SketchRefused{3, {1, 64, 7}, {2, 128, kLarge}, absl::Seconds(1)});
  EXPECT_EQ(refused.expected, (frames::SketchSpec{1, 64, 7}));
  EXPECT_EQ(refused.stated, (frames::SketchSpec{2, 128, kLarge}));

  const auto began = Back(frames::AttemptBegan{
      7, 1024, frames::AttemptCause::kResize, true, absl::Seconds(2)});
  EXPECT_EQ(began.attempt, 7u);
  EXPECT_EQ(began.world_size, 1024u);
  EXPECT_EQ(began.cause, frames::AttemptCause::kResize);
  EXPECT_TRUE(began.world_size_changed);

  EXPECT_EQ(Back(frames::RunEnded{absl::Seconds(3)}).at, absl::Seconds(3));

  const auto ticks =
      Back(Ticks{{{absl::Seconds(1), absl::FromUnixNanos(123)},
                  {absl::Seconds(2), absl::FromUnixNanos(456)}}});
  ASSERT_EQ(ticks.ticks.size(), 2u);
  EXPECT_EQ(ticks.ticks[1].now, absl::Seconds(2));
  EXPECT_EQ(ticks.ticks[1].wall, absl::FromUnixNanos(456));

  const auto resumed = Back(Resumed{3, 9, "detect: {}\n", absl::Seconds(4)});
  EXPECT_EQ(resumed.first_event, 3u);
  EXPECT_EQ(resumed.first_frame, 9u);
  EXPECT_EQ(resumed.configuration, "detect: {}\n");
  EXPECT_EQ(resumed.at, absl::Seconds(4));
}

TEST(EventCodecTest, UnknownKindsAreErrors) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeEvent("party", "", FactsOf).status()));
  // No fourth reason.
  EventColumns row = EncodeEvent(frames::SourceDown{1, 2}, NumberOf);
  row.body[9] = 3;
  EXPECT_FALSE(DecodeEvent(row.kind, row.body, FactsOf).ok());
}

TEST(AlertCodecTest, GivesBackAnAlert) {
  for (const alert::State state :
       {alert::State::kPending, alert::State::kFiring, alert::State::kObserved,
        alert::State::kResolved}) {
    const std::string bytes = EncodeAlert(SampleAlert(12, state));
    const auto back = DecodeAlert(bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    ExpectSame(*back, SampleAlert(12, state));
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeAlert(bytes.substr(0, size)).ok());
    }
  }
}

TEST(CheckpointCodecTest, GivesBackWhereTheRunStands) {
  const auto checkpoint = SampleCheckpoint(42);
  const std::string sources = EncodeSources(*checkpoint, NumberOf);
  const std::string progress = EncodeProgress(*checkpoint);
  Checkpoint back;
  ASSERT_TRUE(DecodeSources(sources, FactsOf, back).ok());
  ASSERT_TRUE(DecodeProgress(progress, back).ok());
  EXPECT_EQ(back.sketch, checkpoint->sketch);
  // What is written again is the same, so that nothing got lost.
  EXPECT_EQ(EncodeSources(back, NumberOf), sources);
  EXPECT_EQ(EncodeProgress(back), progress);
  ASSERT_EQ(back.assembler.ranks.size(), 2u);
  EXPECT_EQ(back.assembler.ranks[0].source.last_step, 6u);
  EXPECT_EQ(back.assembler.ranks[1].source.last_step, 5u);
  EXPECT_EQ(back.assembler.ranks[0].source.last_sequence, 7u);
  ExpectSame(back.assembler.ranks[1].source.info,
             checkpoint->assembler.ranks[1].source.info);
  EXPECT_EQ(back.assembler.last_closed, 5u);
  ASSERT_EQ(back.assembler.open_frames.size(), 1u);
  EXPECT_EQ(back.assembler.open_frames[0].step, 6u);
  EXPECT_EQ(back.alerts.next_id, 9u);
  ASSERT_EQ(back.alerts.alive.size(), 2u);
  ExpectSame(back.alerts.alive[0], checkpoint->alerts.alive[0]);
  ASSERT_EQ(back.alerts.lives.size(), 2u);
  EXPECT_EQ(back.alerts.lives[0].raised_steps, 3);
  EXPECT_EQ(back.alerts.lives[1].attempt, 2u);
  EXPECT_EQ(back.alerts.lives[1].step, 11u);
  EXPECT_EQ(back.alerts.lives[1].quiet_frames, 4);
  EXPECT_EQ(back.alerts.fired_total, checkpoint->alerts.fired_total);

  for (size_t size = 0; size < progress.size(); ++size) {
    Checkpoint cut;
    ASSERT_TRUE(DecodeSources(sources, FactsOf, cut).ok());
    EXPECT_FALSE(DecodeProgress(progress.substr(0, size), cut).ok());
  }
}

}  // namespace
}  // namespace muster::history
