// What becomes of the alerts of a run that the registry forgets.
#include "daemon/runs/registry.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/base/mutex.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/frame_builder.h"

namespace muster::runs {
namespace {

constexpr uint64_t kIncarnation = 77;

class ForgottenRunTest : public ::testing::Test {
 protected:
  // One rank says that its loss is NaN, which fires, and is lost.
  void FireAndFallSilent(const std::string& name) {
    const auto link = std::make_shared<testing::FakeLink>();
    const auto run =
        registry_.Open(name, {{.rank = 0,
                               .world_size = 1,
                               .incarnation = kIncarnation,
                               .sketch = {1, 64, 9}},
                              std::make_shared<const frames::FactSet>(),
                              link});
    ASSERT_TRUE(run.ok()) << run.status();
    frames::Report report = testing::MakeReport(0, 0);
    report.loss = std::numeric_limits<double>::quiet_NaN();
    SourceReported message{.rank = 0,
                           .incarnation = kIncarnation,
                           .reports = {},
                           .settled_sequence = report.sequence,
                           .link = link};
    message.reports.push_back(std::move(report));
    (*run)->Post(std::move(message), 100);
    (*run)->Post(SourceDisconnected{0, kIncarnation, link}, 1);
    while ((*run)->snapshot()->sources.empty() ||
           (*run)->snapshot()->state != RunState::kSilent) {
      std::this_thread::yield();
    }
    // The executor may hold it for a moment after its last snapshot.
    while (!(*run)->Retire((*run)->snapshot())) std::this_thread::yield();
  }

  // "run:id:state", in the order in which they were told.
  std::vector<std::string> Told() const {
    MutexLock lock(mutex_);
    return told_;
  }

  testing::FakeClock clock_;
  mutable Mutex mutex_;
  std::vector<std::string> told_ ABSL_GUARDED_BY(mutex_);
  absl::Time newest_change_ ABSL_GUARDED_BY(mutex_);
  // Asks the registry something: it must not be under its lock.
  Registry registry_{{.max_runs = 1,
                      .worker_threads = 1,
                      .keep_ended = absl::Minutes(1),
                      .keep_silent = absl::Hours(1)},
                     clock_.clock(),
                     [this](const std::string& run, const alert::Alert& alert) {
                       registry_.Snapshots();
                       MutexLock lock(mutex_);
                       told_.push_back(run + ":" + std::to_string(alert.id) +
                                       ":" + alert::StateName(alert.state));
                       newest_change_ = alert.changed;
                     }};
};

TEST_F(ForgottenRunTest, ItsAlertsAreResolvedWhenItWasSilentForTooLong) {
  FireAndFallSilent("a");
  ASSERT_EQ(Told(), (std::vector<std::string>{"a:1:firing"}));
  clock_.Advance(absl::Hours(2));
  registry_.Tick();
  EXPECT_EQ(registry_.Snapshot("a"), nullptr);
  EXPECT_EQ(Told(), (std::vector<std::string>{"a:1:firing", "a:1:resolved"}));
  MutexLock lock(mutex_);
  EXPECT_EQ(newest_change_, clock_.clock().wall());
}

TEST_F(ForgottenRunTest, ItsAlertsAreResolvedWhenItMakesRoom) {
  FireAndFallSilent("a");
  clock_.Advance(absl::Minutes(2));
  ASSERT_TRUE(registry_
                  .Open("b", {{.rank = 0, .world_size = 1, .incarnation = 5},
                              std::make_shared<const frames::FactSet>(),
                              std::make_shared<testing::FakeLink>()})
                  .ok());
  EXPECT_EQ(Told(), (std::vector<std::string>{"a:1:firing", "a:1:resolved"}));
}

}  // namespace
}  // namespace muster::runs
