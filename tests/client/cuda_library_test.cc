// libmuster_cuda.so on a device that is the host.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "client/cuda/muster_cuda.h"
#include "muster/sketch.h"
#include "tests/testing/fake_cuda_runtime.h"

namespace muster {
namespace {

class CudaLibraryTest : public testing::Test {
 protected:
  static constexpr uint32_t kWidth = 64;

  void SetUp() override { cuda_ = Create(); }
  void TearDown() override {
    muster_cuda_fake_delay(0);
    muster_cuda_fake_fail(nullptr);
    muster_cuda_fake_capture(kStream, 0);
    if (cuda_ != nullptr) muster_cuda_destroy(cuda_);
  }

  static muster_cuda* Create() {
    return muster_cuda_create(0, kWidth, SketchSpec::kDefaultSeed);
  }
  muster_cuda_status Observe(uint64_t offset, const std::vector<float>& data,
                             void* stream = kStream) {
    return muster_cuda_observe(cuda_, stream, offset, data.data(), data.size(),
                               MUSTER_CUDA_FLOAT32);
  }
  uint64_t EndStep(const void* loss = nullptr, int type = MUSTER_CUDA_FLOAT32) {
    return muster_cuda_end_step(cuda_, kStream, loss, type, scale_);
  }
  muster_cuda_status Poll(uint64_t ticket) {
    return muster_cuda_poll(cuda_, ticket, values_.data(), &result_);
  }
  std::string Failure() {
    const char* failure = muster_cuda_failure(cuda_);
    return failure == nullptr ? "" : failure;
  }

  static inline int stream_ = 0;
  static constexpr void* kStream = &stream_;
  const std::vector<float> gradient_ = std::vector<float>(5000, 3);
  const float* scale_ = nullptr;
  muster_cuda* cuda_ = nullptr;
  std::vector<double> values_ = std::vector<double>(kWidth);
  muster_cuda_result result_ = {};
};

TEST_F(CudaLibraryTest, SumsAStepAndBeginsTheNextFromNothing) {
  for (int step = 0; step < 40; ++step) {
    const std::vector<float> gradient(4000 + step, 1.0f + step % 5);
    const float loss = 0.5f * step;
    ASSERT_EQ(Observe(17, gradient), MUSTER_CUDA_OK);
    ASSERT_EQ(Observe(9000, gradient_, nullptr), MUSTER_CUDA_OK);
    const uint64_t ticket = EndStep(&loss);
    ASSERT_NE(ticket, 0u);
    ASSERT_EQ(Poll(ticket), MUSTER_CUDA_OK);

    Sketch sketch({.width = kWidth});
    sketch.Add(17, gradient.data(), gradient.size(), DataType::kFloat32);
    sketch.Add(9000, gradient_.data(), gradient_.size(), DataType::kFloat32);
    EXPECT_TRUE(result_.has_sums);
    EXPECT_EQ(values_, sketch.values());
    EXPECT_EQ(result_.squared_norm, sketch.squared_norm());
    EXPECT_EQ(result_.nonfinite_count, 0u);
    EXPECT_TRUE(result_.has_loss);
    EXPECT_EQ(result_.loss, loss);
  }
  EXPECT_EQ(Failure(), "");
}

TEST_F(CudaLibraryTest, AResultIsGivenOnce) {
  Observe(0, gradient_);
  const uint64_t ticket = EndStep();
  EXPECT_EQ(Poll(ticket), MUSTER_CUDA_OK);
  EXPECT_EQ(Poll(ticket), MUSTER_CUDA_FAILED);
  EXPECT_EQ(Poll(ticket + 1), MUSTER_CUDA_FAILED);
  EXPECT_EQ(Poll(0), MUSTER_CUDA_FAILED);
}

TEST_F(CudaLibraryTest, AStepWithoutObservationsHasNoTicket) {
  EXPECT_EQ(EndStep(), 0u);
  Observe(0, gradient_);
  muster_cuda_discard(cuda_);
  EXPECT_EQ(EndStep(), 0u);
  // What was discarded is not in the next sums.
  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.squared_norm, 9.0 * gradient_.size());
}

TEST_F(CudaLibraryTest, ReadsALossOfEveryType) {
  const double float64 = 0.1;
  const float float32 = 0.1f;
  const uint16_t float16 = 0x3C00, bfloat16 = 0x4000;
  ASSERT_EQ(Poll(EndStep(&float64, MUSTER_CUDA_FLOAT64)), MUSTER_CUDA_OK);
  EXPECT_FALSE(result_.has_sums);
  EXPECT_EQ(result_.loss, 0.1);
  ASSERT_EQ(Poll(EndStep(&float32, MUSTER_CUDA_FLOAT32)), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.loss, 0.1f);
  ASSERT_EQ(Poll(EndStep(&float16, MUSTER_CUDA_FLOAT16)), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.loss, 1);
  ASSERT_EQ(Poll(EndStep(&bfloat16, MUSTER_CUDA_BFLOAT16)), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.loss, 2);
  EXPECT_EQ(EndStep(&bfloat16, 99), 0u);
}

TEST_F(CudaLibraryTest, ReadsTheScaleBesideTheSums) {
  const float scale = 65536;
  scale_ = &scale;
  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_TRUE(result_.has_sums);
  EXPECT_FALSE(result_.has_loss);
  EXPECT_TRUE(result_.has_scale);
  EXPECT_EQ(result_.scale, 65536);
}

TEST_F(CudaLibraryTest, SeveralStepsAreOnTheirWayAndTheNextIsLeftOut) {
  muster_cuda_fake_delay(-1);
  std::vector<uint64_t> tickets;
  std::vector<std::vector<float>> gradients;
  for (int step = 0; step < MUSTER_CUDA_SLOTS; ++step) {
    gradients.emplace_back(100, 1.0f + step);
    Observe(0, gradients.back());
    tickets.push_back(EndStep());
    ASSERT_NE(tickets.back(), 0u);
    EXPECT_EQ(Poll(tickets.back()), MUSTER_CUDA_NOT_READY);
  }
  Observe(0, gradient_);
  EXPECT_EQ(EndStep(), 0u);
  EXPECT_NE(Failure(), "");

  muster_cuda_fake_delay(0);
  for (int step = 0; step < MUSTER_CUDA_SLOTS; ++step) {
    ASSERT_EQ(Poll(tickets[step]), MUSTER_CUDA_OK);
    EXPECT_EQ(result_.squared_norm, 100 * (1.0 + step) * (1.0 + step));
  }
  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.squared_norm, 9.0 * gradient_.size());
}

TEST_F(CudaLibraryTest, AResultThatNobodyTakesGivesItsSlotAway) {
  uint64_t first = 0;
  for (int step = 0; step < 3 * MUSTER_CUDA_SLOTS; ++step) {
    Observe(0, gradient_);
    const uint64_t ticket = EndStep();
    ASSERT_NE(ticket, 0u);
    if (step == 0) first = ticket;
  }
  EXPECT_EQ(Poll(first), MUSTER_CUDA_FAILED);
}

TEST_F(CudaLibraryTest, AnErrorSpoilsItsStepAlone) {
  Observe(0, gradient_);
  muster_cuda_fake_fail("an illegal memory access");
  EXPECT_EQ(Observe(5000, gradient_), MUSTER_CUDA_SKIPPED);
  EXPECT_EQ(Failure(), "an illegal memory access");
  muster_cuda_fake_fail(nullptr);
  EXPECT_EQ(Observe(10000, gradient_), MUSTER_CUDA_OK);
  EXPECT_EQ(EndStep(), 0u);

  Observe(0, gradient_);
  const uint64_t ticket = EndStep();
  muster_cuda_fake_fail("device lost");
  EXPECT_EQ(Poll(ticket), MUSTER_CUDA_FAILED);
  Observe(0, gradient_);
  EXPECT_EQ(EndStep(), 0u);
  muster_cuda_fake_fail(nullptr);

  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.squared_norm, 9.0 * gradient_.size());
}

TEST_F(CudaLibraryTest, AStreamUnderCaptureIsLeftAlone) {
  Observe(0, gradient_);
  const uint64_t sums = muster_cuda_fake_sums();
  muster_cuda_fake_capture(kStream, 1);
  EXPECT_EQ(Observe(5000, gradient_), MUSTER_CUDA_SKIPPED);
  const float loss = 1;
  EXPECT_EQ(EndStep(&loss), 0u);
  EXPECT_EQ(muster_cuda_fake_sums(), sums);
  muster_cuda_fake_capture(kStream, 0);
  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.squared_norm, 9.0 * gradient_.size());
}

TEST_F(CudaLibraryTest, WithoutADriverItIsUnavailable) {
  muster_cuda_destroy(cuda_);
  // A device of its own, so that no memory of another test is at hand.
  cuda_ = muster_cuda_create(7, kWidth, SketchSpec::kDefaultSeed);
  muster_cuda_fake_fail("the driver is too old");
  EXPECT_EQ(Observe(0, gradient_), MUSTER_CUDA_UNAVAILABLE);
  const float loss = 1;
  EXPECT_EQ(EndStep(&loss), 0u);
  EXPECT_EQ(Failure(), "the driver is too old");
}

TEST_F(CudaLibraryTest, MemoryIsTakenOverByTheNext) {
  Observe(0, gradient_);
  muster_cuda_destroy(cuda_);
  const uint64_t allocations = muster_cuda_fake_allocations();
  cuda_ = Create();
  Observe(0, gradient_);
  ASSERT_EQ(Poll(EndStep()), MUSTER_CUDA_OK);
  EXPECT_EQ(result_.squared_norm, 9.0 * gradient_.size());
  EXPECT_EQ(muster_cuda_fake_allocations(), allocations);
}

TEST_F(CudaLibraryTest, RefusesWhatIsNoGradient) {
  EXPECT_EQ(muster_cuda_abi(), uint32_t{MUSTER_CUDA_ABI});
  EXPECT_EQ(muster_cuda_observe(cuda_, kStream, 0, nullptr, 0, 0),
            MUSTER_CUDA_OK);
  EXPECT_EQ(muster_cuda_observe(cuda_, kStream, UINT64_MAX, gradient_.data(), 1,
                                MUSTER_CUDA_FLOAT32),
            MUSTER_CUDA_UNAVAILABLE);
  EXPECT_EQ(muster_cuda_observe(cuda_, kStream, 0, gradient_.data(), 1,
                                MUSTER_CUDA_FLOAT64),
            MUSTER_CUDA_UNAVAILABLE);
}

}  // namespace
}  // namespace muster
