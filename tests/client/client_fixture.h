// A client, and the daemon and clock that it takes for real.
#ifndef MUSTER_TESTS_CLIENT_CLIENT_FIXTURE_H_
#define MUSTER_TESTS_CLIENT_CLIENT_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/src/client_impl.h"
#include "muster/client.h"
#include "tests/client/fake_network.h"

namespace muster {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Record = FakeNetwork::Record;
using Reports = std::vector<std::pair<uint64_t, uint64_t>>;

class ClientTest : public testing::Test {
 protected:
  static Options Defaults() {
    Options options;
    options.address = "localhost:1";
    options.run_id = "run-1";
    options.rank = 1;
    options.world_size = 2;
    options.sketch.width = 64;
    options.ring_capacity = 8;
    return options;
  }

  // The clock of the test must run for Stop() to come to an end.
  void TearDown() override {
    if (client_ != nullptr) StopAndMeasure();
  }

  void Start(Options options = Defaults()) {
    options.log = [this](const std::string& line) {
      const std::lock_guard lock(log_mutex_);
      log_.push_back(line);
    };
    std::string error;
    client_ =
        StartClient(options, network_.factory(), network_.clock(), &error);
    ASSERT_NE(client_, nullptr) << error;
  }

  // Makes reports of steps [first, last].
  void MakeSteps(uint64_t first, uint64_t last) {
    for (uint64_t step = first; step <= last; ++step) {
      client_->EndStep({.step = step, .loss = 1.0});
    }
  }

  bool WaitForReports(const Reports& expected) {
    return network_.WaitFor(
        [&](const Record& record) { return record.reports() == expected; });
  }
  bool WaitForWelcome(size_t streams = 1) {
    return network_.WaitFor([&](const Record& record) {
      return record.hellos().size() == streams && record.sleeping_until;
    });
  }
  bool WaitForSleep() {
    return network_.WaitFor(
        [](const Record& record) { return record.sleeping_until.has_value(); });
  }
  bool WaitForEnd() {
    return network_.WaitFor(
        [](const Record& record) { return record.destroyed; });
  }

  // Stop() on another thread, with the clock running as fast as it can.
  // Returns how long it took on that clock. `flushing`, if given, is called
  // while the sender, which knows of Stop(), sleeps.
  milliseconds StopAndMeasure(const std::function<void()>& flushing = {}) {
    const auto start = network_.now();
    const uint64_t wakes = network_.record().wakes;
    std::thread stopping([this] { client_->Stop(); });
    EXPECT_TRUE(network_.WaitFor([&](const Record& record) {
      return record.destroyed || record.wakes > wakes;
    }));
    if (flushing) {
      EXPECT_TRUE(WaitForSleep());
      flushing();
    }
    while (!network_.record().destroyed) {
      network_.AdvanceToDeadline(std::chrono::minutes(1));
    }
    stopping.join();
    return std::chrono::duration_cast<milliseconds>(network_.now() - start);
  }

  std::vector<std::string> log() {
    const std::lock_guard lock(log_mutex_);
    return log_;
  }

  std::mutex log_mutex_;
  std::vector<std::string> log_;
  FakeNetwork network_;
  std::unique_ptr<Client> client_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_CLIENT_FIXTURE_H_
