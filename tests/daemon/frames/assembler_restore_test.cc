// An assembler that goes on from what another one saved does what that one
// would have done.
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/frames/assembler_state.h"
#include "gtest/gtest.h"
#include "tests/daemon/frames/assembler_driver.h"

namespace muster::frames {
namespace {

// A copy of `from` after a restart; its sources have said Hello again.
std::unique_ptr<FrameAssembler> Restarted(const FrameAssembler& from,
                                          Instant now) {
  std::vector<Report> open;
  from.VisitOpen([&](uint64_t incarnation, const Report& report) {
    open.push_back(report);
  });
  const AssemblerState saved = from.Save();
  auto restored = std::make_unique<FrameAssembler>(AssemblerOptions());
  restored->Restore(saved, std::move(open), now);
  for (const RankState& rank : saved.ranks) {
    if (!rank.source.connected) continue;
    restored->Register(rank.source.info, rank.source.facts, now);
  }
  restored->TakeEvents();
  return restored;
}

Lines Told(FrameAssembler& assembler) {
  Lines lines;
  for (const Event& event : assembler.TakeEvents()) {
    lines.push_back(Describe(event));
  }
  return lines;
}

Report MakeReport(uint32_t rank, uint64_t sequence, uint64_t step) {
  Report report;
  report.rank = rank;
  report.sequence = sequence;
  report.step = step;
  return report;
}

TEST(AssemblerRestoreTest, SaysThatConnectedSourcesAreDown) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Disconnect(1, 11);
  run.Goodbye(2, 12);
  FrameAssembler restored({});
  restored.Restore(run.assembler().Save(), {}, run.now());
  EXPECT_EQ(Told(restored), (Lines{"down 0/10 disconnected"}));
}

TEST(AssemblerRestoreTest, OpenFramesGoOnAndSettledReportsAreDuplicates) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 1, 4);
  run.Say(0, 10, 5);
  run.Say(1, 11, 5);
  run.Say(0, 10, 6);
  run.Told();
  const auto restored = Restarted(run.assembler(), run.now());
  EXPECT_TRUE(restored->has_open_frames());
  EXPECT_EQ(restored->LastSequence(0, 10), 6u);
  EXPECT_EQ(restored->Add(10, MakeReport(0, 6, 6), run.now()),
            Admission::kDuplicate);
  EXPECT_EQ(restored->Add(12, MakeReport(2, 4, 4), run.now()),
            Admission::kDuplicate);
  EXPECT_EQ(restored->Add(12, MakeReport(2, 5, 5), run.now()),
            Admission::kKept);
  EXPECT_EQ(Told(*restored), (Lines{"frame 1:5 of 3 all 0 1 2"}));
  restored->Advance(run.now() + absl::Seconds(30));
  EXPECT_EQ(Told(*restored), (Lines{"frame 1:6 of 3 timeout 0", "tick"}));
  EXPECT_EQ(restored->dropped_count(), 0u);
  ASSERT_EQ(restored->attempts().size(), 1u);
  EXPECT_EQ(restored->attempts()[0].frames, 6u);
  EXPECT_EQ(restored->attempts()[0].first_step, 1u);
}

// What happens after a history to the assembler that had it and to one that
// was restored in between.
TEST(AssemblerRestoreTest, WhatComesIsTheSameAsWithoutARestart) {
  using Deed = std::function<void(FrameAssembler&, Instant)>;
  const auto hello = [](FrameAssembler& a, Instant now, uint32_t rank,
                        uint64_t incarnation, uint32_t world_size) {
    SourceInfo info;
    info.rank = rank;
    info.world_size = world_size;
    info.incarnation = incarnation;
    a.Register(info, nullptr, now);
  };
  const std::vector<Deed> deeds = {
      // A rewind, a restart, a resize, a Goodbye of all, a late one.
      [](FrameAssembler& a, Instant now) {
        a.Add(10, MakeReport(0, 9, 2), now);
        a.Add(11, MakeReport(1, 9, 2), now);
      },
      [&](FrameAssembler& a, Instant now) {
        hello(a, now, 1, 21, 2);
        a.Add(21, MakeReport(1, 1, 3), now);
        a.Add(10, MakeReport(0, 9, 3), now);
      },
      [&](FrameAssembler& a, Instant now) {
        hello(a, now, 0, 30, 1);
        a.Add(30, MakeReport(0, 1, 3), now);
      },
      [](FrameAssembler& a, Instant now) {
        a.Depart(0, 10, now);
        a.Depart(1, 11, now);
      },
      [](FrameAssembler& a, Instant now) {
        a.Add(9, MakeReport(0, 20, 9), now + absl::Seconds(9));
      },
  };
  for (size_t i = 0; i < deeds.size(); ++i) {
    AssemblerDriver run(2);
    run.Hello(0, 9);
    run.HelloAll(10);
    run.SayAll(10, 1, 5);
    run.Say(0, 10, 6);
    run.Told();
    const auto restored = Restarted(run.assembler(), run.now());
    deeds[i](run.assembler(), run.now());
    deeds[i](*restored, run.now());
    const Lines expected = run.Told();
    EXPECT_FALSE(expected.empty()) << i;
    EXPECT_EQ(Told(*restored), expected) << i;
    EXPECT_EQ(restored->late_count(), run.assembler().late_count()) << i;
  }
}

}  // namespace
}  // namespace muster::frames
