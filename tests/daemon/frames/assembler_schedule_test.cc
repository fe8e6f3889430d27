// Random schedules of everything that sources can do, held against what must
// be true of any schedule.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "daemon/frames/assembler.h"
#include "tests/daemon/frames/assembler_driver.h"

namespace muster::frames {
namespace {

class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed) {
    AssemblerOptions options;
    options.max_newer_frames = 4;
    options.overflow_after = absl::Seconds(Pick(3));
    options.frame_timeout = absl::Seconds(20);
    assembler_ = std::make_unique<FrameAssembler>(options);
    world_size_ = 1 + Pick(6);
    for (uint32_t rank = 0; rank < world_size_; ++rank) Start(rank, 0);
  }

  void Run(int operations) {
    for (int i = 0; i < operations; ++i) {
      Act();
      TakeEvents();
      CheckNoFrameIsOverdue();
      if (::testing::Test::HasFatalFailure()) return;
    }
    for (auto& [rank, client] : clients_) {
      assembler_->Depart(rank, client.incarnation, now_);
    }
    now_ += absl::Seconds(20);
    assembler_->Advance(now_);
    TakeEvents();
    EXPECT_TRUE(open_.empty());
    EXPECT_EQ(late_, assembler_->late_count());
    EXPECT_EQ(duplicates_, assembler_->duplicate_count());
  }

  uint64_t closed_frames() const { return closed_frames_; }
  uint32_t attempts() const { return attempt_; }
  uint64_t voided() const { return voided_; }

 private:
  struct Client {
    uint64_t incarnation = 0;
    uint64_t sequence = 0;
    uint64_t step = 0;
  };
  // (step, rank) of a report of the current attempt → its identity.
  using Key = std::pair<uint64_t, uint32_t>;
  using Identity = std::pair<uint64_t, uint64_t>;  // incarnation, sequence

  uint32_t Pick(uint32_t bound) {
    return static_cast<uint32_t>(random_() % bound);
  }

  void Start(uint32_t rank, uint64_t step) {
    clients_[rank] = {++incarnations_, 0, step};
    for (auto it = open_.begin(); it != open_.end();) {
      const bool is_void = it->first.second == rank;
      voided_ += is_void;
      it = is_void ? open_.erase(it) : std::next(it);
    }
    Hello(rank);
  }

  void Hello(uint32_t rank) {
    SourceInfo info;
    info.rank = rank;
    info.world_size = world_size_;
    info.incarnation = clients_[rank].incarnation;
    assembler_->Register(info, nullptr, now_);
  }

  void Act() {
    now_ += absl::Milliseconds(Pick(200));
    const uint32_t rank = Pick(world_size_);
    Client& client = clients_[rank];
    switch (const uint32_t what = Pick(1000); what) {
      case 0: {  // the job restarts from a checkpoint, perhaps resized
        if (Pick(3) == 0) world_size_ = 1 + Pick(6);
        const uint64_t step = client.step - std::min(client.step, uint64_t{5});
        for (uint32_t each = 0; each < world_size_; ++each) Start(each, step);
        break;
      }
      case 1:
        client.step -= std::min<uint64_t>(client.step, Pick(5));
        break;
      case 2:
        Start(rank, client.step);
        break;
      case 3:
        assembler_->Depart(rank, client.incarnation, now_);
        break;
      case 4:
      case 5:
        assembler_->Disconnect(rank, client.incarnation, now_);
        Hello(rank);
        break;
      case 6:
        now_ += absl::Seconds(15);
        break;
      default:
        if (what < 100) {
          assembler_->Advance(now_);
        } else if (what < 120) {
          Say(rank, client.sequence, client.step);  // sent again
        } else {
          if (what < 140) ++client.sequence;  // lost one
          Say(rank, ++client.sequence, client.step);
          client.step += what < 160 ? 2 : 1;
        }
    }
  }

  void Say(uint32_t rank, uint64_t sequence, uint64_t step) {
    if (sequence == 0) return;
    Report report;
    report.rank = rank;
    report.sequence = sequence;
    report.step = step;
    const uint64_t incarnation = clients_[rank].incarnation;
    switch (assembler_->Add(incarnation, report, now_)) {
      case Admission::kKept:
        kept_.push_back({{step, rank}, {incarnation, sequence}});
        break;
      case Admission::kLate:
        ++late_;
        break;
      case Admission::kDuplicate:
        ++duplicates_;
        break;
      default:
        FAIL() << "current source refused";
    }
  }

  // Frames of the old attempt leave before the report that began the new one
  // is kept, so reports are entered after the events that precede them.
  void TakeEvents() {
    std::vector<Event> events = assembler_->TakeEvents();
    const bool new_attempt =
        std::any_of(events.begin(), events.end(), [](const Event& event) {
          return std::holds_alternative<AttemptBegan>(event);
        });
    if (!new_attempt) EnterKept();
    for (const Event& event : events) {
      if (const auto* began = std::get_if<AttemptBegan>(&event)) {
        ASSERT_TRUE(open_.empty()) << "report lost between attempts";
        ASSERT_EQ(began->attempt, attempt_ + 1);
        attempt_ = began->attempt;
        attempt_world_size_ = began->world_size;
        last_closed_step_ = -1;
        EnterKept();
      } else if (const auto* closed = std::get_if<FrameClosed>(&event)) {
        CheckFrame(*closed->frame);
      }
    }
  }

  void EnterKept() {
    for (const auto& [key, identity] : kept_) {
      ASSERT_TRUE(open_.emplace(key, identity).second) << "kept twice";
    }
    kept_.clear();
  }

  void CheckFrame(const Frame& frame) {
    ++closed_frames_;
    ASSERT_EQ(frame.attempt, attempt_);
    ASSERT_EQ(frame.world_size, attempt_world_size_);
    ASSERT_GT(static_cast<int64_t>(frame.step), last_closed_step_);
    last_closed_step_ = static_cast<int64_t>(frame.step);
    ASSERT_FALSE(frame.reports.empty());
    ASSERT_EQ(frame.complete(), frame.reports.size() == frame.world_size);
    int64_t last_rank = -1;
    for (const Report& report : frame.reports) {
      ASSERT_GT(static_cast<int64_t>(report.rank), last_rank);
      last_rank = report.rank;
      ASSERT_LT(report.rank, frame.world_size);
      ASSERT_NE(report.facts, nullptr);
      const auto it = open_.find({frame.step, report.rank});
      ASSERT_NE(it, open_.end()) << "never kept, void, or in two frames";
      ASSERT_EQ(it->second.second, report.sequence);
      open_.erase(it);
    }
    if (!open_.empty()) {
      ASSERT_GT(open_.begin()->first.first, frame.step)
          << "left out of its frame";
    }
  }

  // The rule for closing, word by word, from what the assembler shows of its
  // sources. A departed rank may be waited for again after a restart, so only
  // frames that wait for nobody at all are overdue.
  void CheckNoFrameIsOverdue() {
    if (open_.empty()) return;
    const uint64_t step = open_.begin()->first.first;
    std::set<uint32_t> reached;
    for (const FrameAssembler::SourceState& source : assembler_->Sources()) {
      if (source.info.rank < attempt_world_size_ &&
          source.attempt == attempt_ && source.last_step >= step) {
        reached.insert(source.info.rank);
      }
    }
    ASSERT_LT(reached.size(), attempt_world_size_) << "overdue: step " << step;
    for (const auto& [key, identity] : open_) {
      if (key.first == step) {
        ASSERT_EQ(reached.count(key.second), 1u);
      }
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<FrameAssembler> assembler_;
  uint32_t world_size_ = 0;
  uint64_t incarnations_ = 0;
  Instant now_;
  std::map<uint32_t, Client> clients_;

  std::vector<std::pair<Key, Identity>> kept_;  // by the latest operation
  std::map<Key, Identity> open_;                // kept, in no frame yet
  uint32_t attempt_ = 0;
  uint32_t attempt_world_size_ = 0;
  int64_t last_closed_step_ = -1;
  uint64_t closed_frames_ = 0;
  uint64_t voided_ = 0;
  uint64_t late_ = 0;
  uint64_t duplicates_ = 0;
};

TEST(AssemblerScheduleTest, EachKeptReportLeavesInOneFrameInOrder) {
  uint64_t frames = 0;
  uint64_t attempts = 0;
  uint64_t voided = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Schedule schedule(seed);
    schedule.Run(2000);
    if (HasFatalFailure()) return;
    frames += schedule.closed_frames();
    attempts += schedule.attempts();
    voided += schedule.voided();
  }
  // The schedules reach what they are meant to test.
  EXPECT_GT(frames, 10000u);
  EXPECT_GT(attempts, 200u);
  EXPECT_GT(voided, 100u);
}

}  // namespace
}  // namespace muster::frames
