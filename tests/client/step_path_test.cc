// What the training thread pays for in Observe and EndStep, beside the sketch.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "muster/client.h"
#include "tests/client/client_fixture.h"
#include "tests/testing/count_allocations.h"

namespace muster {
namespace {

using muster::testing::t_allocations;
using muster::testing::t_counting;

using StepPathTest = ClientTest;

uint64_t AllocationsOf(Client& client, uint64_t first, uint64_t last) {
  const std::vector<float> gradient(5000, 0.5f);
  t_allocations = 0;
  t_counting = true;
  for (uint64_t step = first; step <= last; ++step) {
    // Buckets come last first, and in another order after the first step.
    client.Observe(2500, gradient.data(), 2500, DataType::kFloat32);
    client.Observe(0, gradient.data(), 2500, DataType::kFloat32);
    client.EndStep(
        {.step = step, .loss = 1.0, .weight = 8, .learning_rate = 1});
  }
  t_counting = false;
  return t_allocations;
}

TEST_F(StepPathTest, TheHookCounts) {
  t_allocations = 0;
  t_counting = true;
  ::operator delete(::operator new(1));
  t_counting = false;
  EXPECT_EQ(t_allocations, 1u);
}

TEST_F(StepPathTest, AllocatesNothingAfterTheFirstSteps) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  AllocationsOf(*client_, 0, 99);
  EXPECT_EQ(AllocationsOf(*client_, 100, 1099), 0u);
}

TEST_F(StepPathTest, AllocatesNothingWhileTheDaemonIsAwayAndTheRingIsFull) {
  network_.SetReachable(false);
  Start();
  AllocationsOf(*client_, 0, 99);
  EXPECT_EQ(AllocationsOf(*client_, 100, 1099), 0u);
  EXPECT_GT(client_->GetStats().dropped, 1000u);
}

}  // namespace
}  // namespace muster
