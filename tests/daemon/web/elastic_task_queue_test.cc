#include "daemon/web/elastic_task_queue.h"

#include <atomic>
#include <future>

#include "gtest/gtest.h"

namespace muster::web {
namespace {

TEST(ElasticTaskQueueTest, BlockedTasksDoNotHoldUpOthers) {
  ElasticTaskQueue queue(65);
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  for (int i = 0; i < 64; ++i) queue.Enqueue([released] { released.wait(); });
  std::promise<void> ran;
  queue.Enqueue([&ran] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(std::chrono::seconds(20)),
            std::future_status::ready);
  EXPECT_GE(queue.thread_count(), 64u);
  release.set_value();
}

TEST(ElasticTaskQueueTest, TasksAboveTheLimitWaitAndThenRun) {
  ElasticTaskQueue queue(2);
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> done = 0;
  for (int i = 0; i < 50; ++i) {
    queue.Enqueue([released, &done] {
      released.wait();
      ++done;
    });
  }
  EXPECT_EQ(queue.thread_count(), 2u);
  EXPECT_EQ(done, 0);
  release.set_value();
  queue.Shutdown();
  EXPECT_EQ(done, 50);
}

TEST(ElasticTaskQueueTest, AnIdleThreadIsUsedAgain) {
  ElasticTaskQueue queue(512);
  std::atomic<int> done = 0;
  for (int i = 0; i < 200; ++i) {
    std::promise<void> ran;
    queue.Enqueue([&] {
      ++done;
      ran.set_value();
    });
    ran.get_future().wait();
  }
  EXPECT_EQ(done, 200);
  // A thread that has answered may not yet be waiting again.
  EXPECT_LT(queue.thread_count(), 100u);
}

TEST(ElasticTaskQueueTest, NothingRunsAfterShutdown) {
  ElasticTaskQueue queue(4);
  queue.Shutdown();
  queue.Shutdown();
  bool ran = false;
  queue.Enqueue([&ran] { ran = true; });
  EXPECT_EQ(queue.thread_count(), 0u);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace muster::web
