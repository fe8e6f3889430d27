// Who counts on every step hears of it once, and with a history not before it
// is stored.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/history/reader.h"
#include "daemon/history/writer.h"
#include "daemon/runs/registry.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/frame_builder.h"
#include "tests/testing/temporary_folder.h"

namespace muster::runs {
namespace {

// Thread-safe.
struct Steps {
  StepObserver observer() {
    return [this](const std::string& run, const JudgedStep& step) {
      EXPECT_EQ(run, "r");
      MutexLock lock(mutex);
      all.push_back(step);
    };
  }
  Mutex mutex;
  std::vector<JudgedStep> all;
};

// One rank reports steps 0 … 2 and leaves.
void RunToItsEnd(Registry& registry) {
  const auto link = std::make_shared<testing::FakeLink>();
  const auto run = registry.Open(
      "r",
      {{.rank = 0, .world_size = 1, .incarnation = 5, .sketch = {1, 64, 9}},
       std::make_shared<const frames::FactSet>(),
       link});
  ASSERT_TRUE(run.ok());
  for (uint64_t step = 0; step < 3; ++step) {
    SourceReported message{.rank = 0, .incarnation = 5, .link = link};
    message.reports.push_back(testing::MakeReport(0, step, 1.0 + step));
    message.settled_sequence = message.reports[0].sequence;
    (*run)->Post(std::move(message), 100);
  }
  (*run)->Post(SourceDeparted{0, 5}, 1);
  registry.Drain();
}

void ExpectThreeStepsAndTheEnd(const std::vector<JudgedStep>& steps) {
  ASSERT_EQ(steps.size(), 4u);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_NE(steps[i].measures, nullptr);
    EXPECT_EQ(steps[i].measures->step, i);
  }
  EXPECT_EQ(steps[3].measures, nullptr);
}

TEST(StepObserverTest, HearsAtOnceWithoutAHistory) {
  testing::FakeClock clock;
  Steps steps;
  Registry registry(
      {.worker_threads = 1}, clock.clock(),
      [](const std::string&, const alert::Alert&) {}, nullptr,
      steps.observer());
  RunToItsEnd(registry);
  ExpectThreeStepsAndTheEnd(steps.all);
  EXPECT_EQ(steps.all[0].history_run, 0);
}

TEST(StepObserverTest, HearsOfWhatIsStoredByItsPlace) {
  const TemporaryFolder folder;
  testing::FakeClock clock;
  Steps steps;
  auto writer = history::Writer::Open(
      folder.File("history.db"), {}, clock.clock().wall,
      [](bool, const std::string& line) { ADD_FAILURE() << line; });
  ASSERT_TRUE(writer.ok()) << writer.status();
  {
    Registry registry(
        {.worker_threads = 1}, clock.clock(),
        [](const std::string&, const alert::Alert&) {}, writer->get(),
        steps.observer());
    RunToItsEnd(registry);
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  ExpectThreeStepsAndTheEnd(steps.all);
  const auto reader = history::Reader::Open((*writer)->path());
  ASSERT_TRUE(reader.ok());
  size_t next = 0;
  const absl::Status status = (*reader)->ReadEntries(
      1, 1, history::Reader::kEnd, history::What::kAll,
      [&](const history::Entry& entry) {
        if (!std::holds_alternative<history::Judged>(entry.body) &&
            !std::holds_alternative<frames::RunEnded>(entry.body)) {
          return absl::OkStatus();
        }
        EXPECT_EQ(steps.all.at(next).history_run, 1);
        EXPECT_EQ(steps.all.at(next).position, entry.position);
        EXPECT_EQ(steps.all.at(next).wall, entry.wall);
        ++next;
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(next, 4u);
}

}  // namespace
}  // namespace muster::runs
