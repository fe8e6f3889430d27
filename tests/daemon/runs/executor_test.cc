#include "daemon/runs/executor.h"

#include <atomic>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

namespace muster::runs {
namespace {

TEST(ExecutorTest, RunsTasksInOrderOnOneThread) {
  std::vector<int> order;
  Executor executor(1);
  for (int i = 0; i < 100; ++i) {
    executor.Schedule([&order, i] { order.push_back(i); });
  }
  executor.Join();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(ExecutorTest, JoinRunsWhatTasksSchedule) {
  std::atomic<int> runs{0};
  Executor executor(3);
  std::function<void()> task = [&] {
    if (++runs < 1000) executor.Schedule(task);
  };
  executor.Schedule(task);
  executor.Join();
  EXPECT_EQ(runs, 1000);
}

TEST(ExecutorTest, IdlenessWaitsForWhatTasksSchedule) {
  int runs = 0;
  Executor executor(1);
  std::function<void()> task = [&] {
    if (++runs % 100 != 0) executor.Schedule(task);
  };
  for (int round = 1; round <= 3; ++round) {
    executor.Schedule(task);
    executor.WaitUntilIdle();
    EXPECT_EQ(runs, 100 * round);
  }
}

TEST(ExecutorTest, IgnoresTasksAfterJoin) {
  std::atomic<int> runs{0};
  Executor executor(2);
  executor.Join();
  executor.Schedule([&] { ++runs; });
  executor.Join();
  EXPECT_EQ(runs, 0);
}

}  // namespace
}  // namespace muster::runs
