// How the client ends, forks and stands many threads.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "muster/client.h"
#include "tests/client/client_fixture.h"

namespace muster {
namespace {

using ClientLifecycleTest = ClientTest;

TEST_F(ClientLifecycleTest, StopFlushesAndSaysGoodbye) {
  Start();
  MakeSteps(1, 5);
  client_->Stop();
  const Record record = network_.record();
  EXPECT_EQ(record.reports().size(), 5u);
  EXPECT_EQ(record.goodbyes(), 1u);
  EXPECT_TRUE(record.messages.back().has_goodbye());
  EXPECT_TRUE(record.finished_sending);
  EXPECT_TRUE(record.destroyed);
  EXPECT_EQ(client_->GetStats().acknowledged, 5u);
  EXPECT_EQ(client_->GetStats().dropped, 0u);
}

TEST_F(ClientLifecycleTest,
       StopWaitsNoLongerThanTheFlushTimeoutForADeadDaemon) {
  network_.SetReachable(false);
  Start();
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(StopAndMeasure(), milliseconds(2000));
  EXPECT_EQ(client_->GetStats().dropped, 3u);
  EXPECT_EQ(client_->GetStats().queued, 0u);
}

TEST_F(ClientLifecycleTest,
       StopWaitsNoLongerThanTheFlushTimeoutForAHangingConnection) {
  network_.SetReachable(false, /*hanging=*/true);
  Start();
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(StopAndMeasure(), milliseconds(2000));
}

TEST_F(ClientLifecycleTest,
       StopWaitsNoLongerThanTheFlushTimeoutForAStalledStream) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  network_.SetStalled(true);
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForSleep());
  const milliseconds taken = StopAndMeasure();
  EXPECT_GE(taken, milliseconds(2000));
  EXPECT_LE(taken, milliseconds(2000) + Sender::kGoodbyeGrace);
  EXPECT_EQ(client_->GetStats().dropped, 3u);
}

TEST_F(ClientLifecycleTest, StopSaysGoodbyeThoughNotAllIsAcknowledged) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}}));
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(StopAndMeasure(), milliseconds(2000));
  EXPECT_EQ(network_.record().goodbyes(), 1u);
}

TEST_F(ClientLifecycleTest, StopWithNothingToSendTakesNoTime) {
  network_.SetReachable(false);
  Start();
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(StopAndMeasure(), milliseconds(0));
}

TEST_F(ClientLifecycleTest, StopComesBackForTheGoodbye) {
  Start();
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  ASSERT_TRUE(WaitForSleep());
  network_.Break();
  ASSERT_TRUE(WaitForSleep());
  client_->Stop();
  EXPECT_EQ(network_.record().hellos().size(), 2u);
  EXPECT_EQ(network_.record().goodbyes(), 1u);
}

TEST_F(ClientLifecycleTest, StopComesBackAtOnceFromAStreamThatBreaksMeanwhile) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 1);
  // Without an Ack, each stream that breaks doubles the wait for the next.
  for (size_t streams = 1; streams <= 8; ++streams) {
    ASSERT_TRUE(WaitForWelcome(streams));
    network_.Break();
    ASSERT_TRUE(WaitForSleep());
    ASSERT_TRUE(network_.AdvanceToDeadline(Sender::kLongestRetry));
  }
  ASSERT_TRUE(WaitForWelcome(9));
  const milliseconds taken = StopAndMeasure([this] {
    network_.SetAcknowledging(true);
    network_.Break();
  });
  EXPECT_EQ(taken, milliseconds(0));
  EXPECT_EQ(client_->GetStats().acknowledged, 1u);
  EXPECT_EQ(network_.record().goodbyes(), 1u);
}

TEST_F(ClientLifecycleTest, StopTriesAgainAtOnceAfterAConnectionThatHung) {
  network_.SetReachable(false, /*hanging=*/true);
  Start();
  MakeSteps(1, 1);
  // Each attempt is given up, and doubles the wait for the next.
  for (size_t opens = 1; opens <= 8; ++opens) {
    ASSERT_TRUE(WaitForSleep());
    ASSERT_TRUE(network_.AdvanceToDeadline(Sender::kConnectTimeout));
    ASSERT_TRUE(WaitForSleep());
    ASSERT_TRUE(network_.AdvanceToDeadline(Sender::kLongestRetry));
  }
  ASSERT_TRUE(WaitForSleep());
  ASSERT_EQ(network_.record().opens.size(), 9u);
  network_.Advance(Sender::kConnectTimeout - seconds(1));
  const milliseconds taken =
      StopAndMeasure([this] { network_.SetReachable(true); });
  EXPECT_EQ(taken, seconds(1));
  EXPECT_EQ(client_->GetStats().acknowledged, 1u);
  EXPECT_EQ(network_.record().goodbyes(), 1u);
}

TEST_F(ClientLifecycleTest, CallsAfterStopDoNothing) {
  Start();
  client_->Stop();
  const float value = 1;
  client_->Observe(0, &value, 1, DataType::kFloat32);
  MakeSteps(1, 2);
  client_->Stop();
  EXPECT_EQ(client_->GetStats().made, 0u);
  EXPECT_TRUE(client_->Alerts().empty());
}

TEST_F(ClientLifecycleTest, StopFromTheLogFunctionDoesNotDeadlock) {
  network_.SetAcknowledging(false);
  Options options = Defaults();
  std::atomic<bool> stopped = false;
  options.log = [&](const std::string&) {
    client_->Stop();
    stopped = true;
    throw std::runtime_error("the host's own failure");
  };
  std::string error;
  client_ = StartClient(options, network_.factory(), network_.clock(), &error);
  ASSERT_NE(client_, nullptr) << error;
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  const uint64_t wakes = network_.record().wakes;
  std::thread stopping([this] { client_->Stop(); });
  ASSERT_TRUE(network_.WaitFor(
      [&](const Record& record) { return record.wakes > wakes; }));
  v1::ServerMessage message;
  message.mutable_refusal()->set_source(1);
  message.mutable_refusal()->set_sequence(1);
  message.mutable_refusal()->set_reason(v1::INVALID_NORM);
  network_.Say(message);
  message.mutable_ack()->set_source(1);
  message.mutable_ack()->set_sequence(1);
  network_.Say(message);
  stopping.join();
  EXPECT_TRUE(stopped);
}

TEST_F(ClientLifecycleTest, StepBeyondTheLimitMakesNoReport) {
  Start();
  const float value = 2;
  client_->Observe(0, &value, 1, DataType::kFloat32);
  client_->EndStep({.step = (uint64_t{1} << 62) + 1});
  client_->EndStep({.step = uint64_t{1} << 62});
  ASSERT_TRUE(WaitForReports({{1, uint64_t{1} << 62}}));
  const auto report = network_.record().messages.back().reports().reports(0);
  EXPECT_EQ(report.elements_observed(), 0u) << "left over from the other step";
}

TEST_F(ClientLifecycleTest, DiscardedStepLeavesNothingToTheNext) {
  Start();
  const float left[2] = {INFINITY, 1};
  const float gradient[2] = {3, 4};
  client_->Observe(0, left, 2, DataType::kFloat32);
  client_->DiscardStep();
  client_->Observe(0, gradient, 2, DataType::kFloat32);
  client_->EndStep({.step = 1});
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  const auto report = network_.record().messages.back().reports().reports(0);
  EXPECT_EQ(report.gradient_norm(), 5);
  EXPECT_EQ(report.nonfinite_count(), 0u);
  EXPECT_EQ(report.elements_observed(), 2u);
  EXPECT_FALSE(report.multiple_backward());
}

TEST_F(ClientLifecycleTest, ForkedChildIsInert) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const float value = 1;
    client_->Observe(0, &value, 1, DataType::kFloat32);
    client_->DiscardStep();
    MakeSteps(1, 3);
    std::string error;
    const bool inert = client_->SetFacts({{"a", {"b"}}}, &error) &&
                       client_->Alerts().empty() &&
                       client_->GetStats().made == 0 &&
                       client_->AlertsGeneration() == 0;
    client_->Stop();
    client_.reset();
    _exit(inert ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  // The parent's goes on.
  MakeSteps(7, 7);
  EXPECT_TRUE(WaitForReports({{1, 7}}));
}

TEST_F(ClientLifecycleTest,
       ForkWhileAnotherThreadIsInACallDoesNotHangTheChild) {
  Start();
  std::atomic<bool> done = false;
  std::thread training([&] {
    const std::vector<float> gradient(4096, 1.0f);
    for (uint64_t step = 0; !done; ++step) {
      client_->Observe(0, gradient.data(), gradient.size(), DataType::kFloat32);
      client_->EndStep({.step = step});
    }
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(10);  // a hang ends the child by a signal
      MakeSteps(1, 1);
      client_->GetStats();
      client_->Stop();
      client_.reset();
      _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  done = true;
  training.join();
}

TEST_F(ClientLifecycleTest, TwoClientsInOneProcess) {
  FakeNetwork other_network;
  Start();
  Options options = Defaults();
  options.rank = 0;
  std::string error;
  const std::unique_ptr<Client> other = StartClient(
      options, other_network.factory(), other_network.clock(), &error);
  ASSERT_NE(other, nullptr) << error;
  MakeSteps(1, 2);
  other->EndStep({.step = 9});
  client_->Stop();
  other->Stop();
  EXPECT_EQ(network_.record().reports(), (Reports{{1, 1}, {2, 2}}));
  EXPECT_EQ(other_network.record().reports(), (Reports{{1, 9}}));
}

TEST_F(ClientLifecycleTest, CallsFromManyThreadsAtOnce) {
  Options options = Defaults();
  options.ring_capacity = 1 << 14;
  Start(options);
  constexpr int kThreads = 4;
  constexpr uint64_t kSteps = 300;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this, thread] {
      const std::vector<float> gradient(100, 1.0f);
      std::string error;
      for (uint64_t step = 0; step < kSteps; ++step) {
        client_->Observe(100 * thread, gradient.data(), gradient.size(),
                         DataType::kFloat32);
        client_->EndStep({.step = step});
        if (step % 16 == 0) {
          client_->SetFacts({{"step", {std::to_string(step)}}}, &error);
        }
      }
    });
  }
  std::thread reader([&] {
    v1::ServerMessage message;
    message.mutable_alerts()->set_source(1);
    message.mutable_alerts()->add_alerts()->set_kind("NonFinite");
    while (!done) {
      network_.Say(message);
      client_->Alerts();
      client_->GetStats();
    }
  });
  std::thread breaker([&] {
    while (!done) {
      network_.Break();
      network_.Advance(milliseconds(200));
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  done = true;
  reader.join();
  breaker.join();
  EXPECT_EQ(client_->GetStats().made, kThreads * kSteps);
  std::thread advancing([this] {
    while (!network_.record().destroyed) {
      network_.AdvanceToDeadline(milliseconds(500));
    }
  });
  std::vector<std::thread> stoppers;
  for (int i = 0; i < 2; ++i) {
    stoppers.emplace_back([this] {
      client_->EndStep({.step = kSteps});
      client_->Stop();
    });
  }
  for (std::thread& thread : stoppers) thread.join();
  advancing.join();
  const Stats stats = client_->GetStats();
  EXPECT_GE(stats.made, kThreads * kSteps);
  EXPECT_EQ(stats.made, stats.acknowledged + stats.dropped);
}

TEST(IdleClientTest, WithoutAnAddressNothingHappens) {
  std::string error;
  const std::unique_ptr<Client> client = Client::Start({}, &error);
  ASSERT_NE(client, nullptr) << error;
  client->EndStep({.step = 1});
  EXPECT_EQ(client->GetStats().made, 0u);
  EXPECT_TRUE(client->SetFacts({{"a", {"b"}}}, &error));
  EXPECT_FALSE(client->SetFacts({{"", {"b"}}}, &error));
  client->Stop();
}

TEST(ClientStartTest, WrongOptionsAreNamed) {
  std::string error;
  EXPECT_EQ(Client::Start({.address = "nowhere", .run_id = "r"}, &error),
            nullptr);
  EXPECT_NE(error.find("address = \"nowhere\""), std::string::npos);
  EXPECT_EQ(Client::Start({.address = "localhost:1", .run_id = ""}, &error),
            nullptr);
  EXPECT_NE(error.find("run_id = \"\""), std::string::npos);
}

}  // namespace
}  // namespace muster
