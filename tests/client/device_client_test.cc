// Steps whose gradient or loss lies on a device: the real client and the real
// libmuster_cuda.so's host part, with a device that is the host.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "client/src/open_reports.h"
#include "muster/client.h"
#include "tests/client/client_fixture.h"
#include "tests/testing/fake_cuda_runtime.h"

namespace muster {
namespace {

class DeviceClientTest : public ClientTest {
 protected:
  void SetUp() override {
    setenv("MUSTER_CUDA_LIBRARY", MUSTER_FAKE_CUDA_LIBRARY, 1);
  }
  void TearDown() override {
    ClientTest::TearDown();
    muster_cuda_fake_delay(0);
    muster_cuda_fake_fail(nullptr);
    muster_cuda_fake_capture(kStream, 0);
    unsetenv("MUSTER_CUDA_LIBRARY");
  }

  bool ObserveDevice(uint64_t offset, const std::vector<float>& data,
                     int device = 0) {
    return client_->ObserveDevice(offset, data.data(), data.size(),
                                  DataType::kFloat32, {device, kStream});
  }
  void ObserveHost(uint64_t offset, const std::vector<float>& data) {
    client_->Observe(offset, data.data(), data.size(), DataType::kFloat32);
  }
  void DeviceStep(uint64_t step) {
    ASSERT_TRUE(ObserveDevice(0, gradient_));
    client_->EndStep({.step = step, .loss = 1.0});
  }

  // All reports received, when there are `count` of them.
  std::vector<v1::StepReport> ReportsReceived(size_t count) {
    std::vector<v1::StepReport> reports;
    EXPECT_TRUE(network_.WaitFor([&](const Record& record) {
      reports.clear();
      for (const v1::ClientMessage& message : record.messages) {
        for (const v1::StepReport& report : message.reports().reports()) {
          reports.push_back(report);
        }
      }
      return reports.size() == count;
    }));
    return reports;
  }
  static Sketch SketchOf(uint64_t offset, const std::vector<float>& data) {
    Sketch sketch(Defaults().sketch);
    sketch.Add(offset, data.data(), data.size(), DataType::kFloat32);
    return sketch;
  }

  static inline int stream_ = 0;
  static constexpr void* kStream = &stream_;
  // What a test leaves in the stream runs in a later one.
  static inline const std::vector<float> gradient_ = {1, -2, 3, 0, 5, -6, 7, 8};
};

TEST_F(DeviceClientTest, AReportSaysOfADeviceWhatItSaysOfTheHost) {
  Start();
  ASSERT_TRUE(ObserveDevice(100, gradient_));
  client_->EndStep({.step = 3, .loss = 1.5, .gradient_scale = 2.0});
  ObserveHost(100, gradient_);
  client_->EndStep({.step = 4, .loss = 1.5, .gradient_scale = 2.0});
  const auto reports = ReportsReceived(2);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_DOUBLE_EQ(reports[0].gradient_norm(), std::sqrt(188.0) / 2);
  EXPECT_EQ(reports[0].sketch(), SketchOf(100, gradient_).Encode());
  for (const v1::StepReport& report : reports) {
    EXPECT_EQ(report.gradient_norm(), reports[1].gradient_norm());
    EXPECT_EQ(report.sketch(), reports[1].sketch());
    EXPECT_EQ(report.elements_observed(), 8u);
    EXPECT_EQ(report.loss(), 1.5);
    EXPECT_EQ(report.gradient_scale(), 2);
    EXPECT_FALSE(report.multiple_backward());
  }
  EXPECT_TRUE(log().empty());
}

TEST_F(DeviceClientTest, HostAndDeviceAddUp) {
  Start();
  for (uint64_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(ObserveDevice(0, gradient_));
    ObserveHost(8, {9, 10, 11});
    client_->EndStep({.step = step});
  }
  for (const v1::StepReport& report : ReportsReceived(3)) {
    EXPECT_DOUBLE_EQ(report.gradient_norm(), std::sqrt(188.0 + 302));
    EXPECT_EQ(report.sketch(),
              SketchOf(0, {1, -2, 3, 0, 5, -6, 7, 8, 9, 10, 11}).Encode());
    EXPECT_EQ(report.elements_observed(), 11u);
  }
}

TEST_F(DeviceClientTest, CountsWhatIsNotFiniteOnBothSides) {
  Start();
  const std::vector<float> on_device = {1, NAN, INFINITY};
  ASSERT_TRUE(ObserveDevice(0, on_device));
  ObserveHost(8, {NAN});
  client_->EndStep({.step = 1});
  const auto reports = ReportsReceived(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].nonfinite_count(), 3u);
  EXPECT_EQ(reports[0].elements_observed(), 4u);
  EXPECT_FALSE(reports[0].has_gradient_norm());
  EXPECT_TRUE(reports[0].sketch().empty());
}

TEST_F(DeviceClientTest, ALossOnTheDeviceIsReadLater) {
  Start();
  muster_cuda_fake_delay(-1);
  const double loss = 0.25;
  const DeviceNumber on_device = {
      &loss, DeviceNumber::Type::kFloat64, {0, kStream}};
  client_->EndStep({.step = 1, .device_loss = on_device});
  ASSERT_TRUE(ObserveDevice(0, gradient_));
  client_->EndStep({.step = 2, .device_loss = on_device});
  ObserveHost(0, gradient_);
  client_->EndStep({.step = 3, .device_loss = on_device});
  muster_cuda_fake_delay(0);
  client_->EndStep({.step = 4});
  const auto reports = ReportsReceived(4);
  ASSERT_EQ(reports.size(), 4u);
  EXPECT_EQ(reports[0].loss(), 0.25);
  EXPECT_FALSE(reports[0].has_gradient_norm());
  for (int i : {1, 2}) {
    EXPECT_EQ(reports[i].loss(), 0.25);
    EXPECT_DOUBLE_EQ(reports[i].gradient_norm(), std::sqrt(188.0));
  }
  EXPECT_FALSE(reports[3].has_loss());
}

TEST_F(DeviceClientTest, AScaleOnTheDeviceDividesNorms) {
  Start();
  for (const float scale : {4.0f, 0.0f, INFINITY}) {
    ASSERT_TRUE(ObserveDevice(0, gradient_));
    client_->EndStep({.step = 1,
                      .loss = 1.0,
                      .device_gradient_scale = DeviceNumber{
                          &scale, DeviceNumber::Type::kFloat32, {0, kStream}}});
  }
  const auto reports = ReportsReceived(3);
  ASSERT_EQ(reports.size(), 3u);
  EXPECT_DOUBLE_EQ(reports[0].gradient_norm(), std::sqrt(188.0) / 4);
  EXPECT_EQ(reports[0].gradient_scale(), 4);
  for (int i : {1, 2}) {
    EXPECT_FALSE(reports[i].has_gradient_norm());
    EXPECT_FALSE(reports[i].has_gradient_scale());
    EXPECT_EQ(reports[i].loss(), 1);
  }
}

TEST_F(DeviceClientTest, ReportsAreHeldInOrderUntilTheDeviceIsReady) {
  muster_cuda_fake_delay(-1);
  Start();
  MakeSteps(1, 1);
  DeviceStep(2);
  MakeSteps(3, 3);
  DeviceStep(4);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  for (int look = 0; look < 10; ++look) {
    ASSERT_TRUE(network_.AdvanceToDeadline(OpenReports::kPollInterval));
  }
  ASSERT_TRUE(WaitForSleep());
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  EXPECT_EQ(client_->GetStats().queued, 3u);
  muster_cuda_fake_delay(0);
  ASSERT_TRUE(network_.AdvanceToDeadline(OpenReports::kPollInterval));
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}, {4, 4}}));
  for (const v1::StepReport& report : ReportsReceived(4)) {
    EXPECT_EQ(report.has_gradient_norm(), report.step() % 2 == 0);
  }
}

TEST_F(DeviceClientTest, ADeviceThatMakesNoProgressIsGivenUp) {
  muster_cuda_fake_delay(-1);
  Start();
  DeviceStep(1);
  DeviceStep(2);
  ASSERT_TRUE(WaitForWelcome());
  network_.Advance(OpenReports::kPatience - milliseconds(1));
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(network_.record().reports().size(), 0u);
  network_.Advance(OpenReports::kPollInterval);
  for (const v1::StepReport& report : ReportsReceived(2)) {
    EXPECT_EQ(report.loss(), 1);
    EXPECT_FALSE(report.has_gradient_norm());
    EXPECT_EQ(report.elements_observed(), 0u);
  }
  EXPECT_EQ(client_->GetStats().device_dropped, 2u);
}

TEST_F(DeviceClientTest, AFullRingDropsOpenReportsToo) {
  muster_cuda_fake_delay(-1);
  Options options = Defaults();
  options.ring_capacity = 2;
  Start(options);
  for (uint64_t step = 1; step <= 5; ++step) DeviceStep(step);
  muster_cuda_fake_delay(0);
  DeviceStep(6);
  ASSERT_TRUE(WaitForReports({{5, 5}, {6, 6}}));
  EXPECT_EQ(client_->GetStats().dropped, 4u);
}

TEST_F(DeviceClientTest, MoreStepsThanTheDeviceKeepsCostGradientsOnly) {
  muster_cuda_fake_delay(-1);
  Options options = Defaults();
  options.ring_capacity = 64;
  Start(options);
  for (uint64_t step = 1; step <= 20; ++step) DeviceStep(step);
  EXPECT_EQ(client_->GetStats().device_dropped, 4u);
  muster_cuda_fake_delay(0);
  network_.Advance(OpenReports::kPollInterval);
  ASSERT_EQ(ReportsReceived(20).size(), 20u);
  DeviceStep(21);
  for (const v1::StepReport& report : ReportsReceived(21)) {
    const bool kept = report.step() <= 16 || report.step() == 21;
    EXPECT_EQ(report.has_gradient_norm(), kept) << report.step();
    EXPECT_EQ(report.loss(), 1);
  }
  EXPECT_EQ(log().size(), 1u);
}

TEST_F(DeviceClientTest, ASkippedObservationLeavesTheGradientOut) {
  Start();
  ASSERT_TRUE(ObserveDevice(0, gradient_));
  muster_cuda_fake_capture(kStream, 1);
  ASSERT_TRUE(ObserveDevice(8, gradient_));
  muster_cuda_fake_capture(kStream, 0);
  ObserveHost(16, gradient_);
  client_->EndStep({.step = 1, .loss = 1.0});
  DeviceStep(2);
  const auto reports = ReportsReceived(2);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_FALSE(reports[0].has_gradient_norm());
  EXPECT_EQ(reports[0].elements_observed(), 0u);
  EXPECT_DOUBLE_EQ(reports[1].gradient_norm(), std::sqrt(188.0));
  EXPECT_EQ(client_->GetStats().device_dropped, 1u);
  ASSERT_TRUE(WaitForSleep());
  ASSERT_EQ(log().size(), 1u);
  EXPECT_NE(log()[0].find("captured"), std::string::npos) << log()[0];
}

TEST_F(DeviceClientTest, ADeviceThatFailsIsToldOfOnce) {
  Start();
  DeviceStep(1);
  ASSERT_EQ(ReportsReceived(1).size(), 1u);
  muster_cuda_fake_fail("an illegal memory access");
  for (uint64_t step = 2; step <= 9; ++step) {
    DeviceStep(step);
    ASSERT_EQ(ReportsReceived(step).size(), step);
  }
  EXPECT_EQ(client_->GetStats().device_dropped, 8u);
  ASSERT_TRUE(WaitForSleep());
  ASSERT_EQ(log().size(), 1u);
  EXPECT_NE(log()[0].find("illegal memory access"), std::string::npos);
}

TEST_F(DeviceClientTest, ASecondDeviceIsLeftToTheHost) {
  Start();
  ASSERT_TRUE(ObserveDevice(0, gradient_, 0));
  EXPECT_FALSE(ObserveDevice(8, gradient_, 1));
  ObserveHost(8, gradient_);
  client_->EndStep({.step = 1});
  const auto reports = ReportsReceived(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_DOUBLE_EQ(reports[0].gradient_norm(), std::sqrt(2 * 188.0));
}

TEST_F(DeviceClientTest, WithoutTheLibraryItSaysSoOnce) {
  setenv("MUSTER_CUDA_LIBRARY", "/nowhere/libmuster_cuda.so", 1);
  Start();
  EXPECT_FALSE(ObserveDevice(0, gradient_));
  EXPECT_FALSE(ObserveDevice(0, gradient_));
  const float loss = 1;
  client_->EndStep({.step = 1,
                    .device_loss = DeviceNumber{
                        &loss, DeviceNumber::Type::kFloat32, {0, kStream}}});
  const auto reports = ReportsReceived(1);
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_FALSE(reports[0].has_loss());
  ASSERT_TRUE(WaitForSleep());
  ASSERT_EQ(log().size(), 1u);
  EXPECT_NE(log()[0].find("/nowhere/libmuster_cuda.so"), std::string::npos);
}

TEST_F(DeviceClientTest, StopWaitsForADeviceNoLongerThanTheFlush) {
  muster_cuda_fake_delay(-1);
  Options options = Defaults();
  options.flush_timeout = milliseconds(300);
  Start(options);
  ASSERT_TRUE(WaitForWelcome());
  DeviceStep(1);
  EXPECT_LE(StopAndMeasure(), milliseconds(300) + Sender::kGoodbyeGrace);
  EXPECT_EQ(client_->GetStats().dropped, 1u);
}

}  // namespace
}  // namespace muster
