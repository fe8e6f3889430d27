// The shared library against a daemon whose own copy of the generated code is
// in the same process.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "muster/muster.h"
#include "tests/client/lite_server.h"

namespace muster {
namespace {

using Record = LiteServer::Record;

// The only rank of run-1; null if it cannot be started.
muster_client* StartClientOf(const LiteServer& server) {
  const std::string address = server.address();
  muster_options options = {};
  options.struct_size = sizeof(options);
  options.address = address.c_str();
  options.run_id = "run-1";
  options.world_size = 1;
  options.flush_timeout_ms = 10'000;
  muster_client* client = nullptr;
  if (muster_start(&options, &client) != MUSTER_OK) return nullptr;
  return client;
}

TEST(CApiGrpcTest, DeliversReportsAndShowsAlerts) {
  LiteServer server("127.0.0.1:0");
  muster_client* client = StartClientOf(server);
  ASSERT_NE(client, nullptr) << muster_last_error();

  const float gradient[2] = {3, 4};
  const uint64_t samples[2] = {11, 12};
  EXPECT_EQ(muster_observe(client, 0, gradient, 2, MUSTER_FLOAT32), MUSTER_OK);
  EXPECT_EQ(muster_fact(client, "lr", "0.1", 1), MUSTER_OK);
  muster_step end = {};
  end.struct_size = sizeof(end);
  end.step = 7;
  end.has_loss = 1;
  end.loss = 2.5;
  end.has_replica_fingerprint = 1;
  end.replica_fingerprint = 77;
  end.sample_ids = samples;
  end.sample_id_count = 2;
  EXPECT_EQ(muster_end_step(client, &end), MUSTER_OK);
  ASSERT_TRUE(server.WaitFor(
      [](const Record& record) { return record.steps().size() == 1; }));
  server.WaitFor([](const Record& record) {
    const v1::StepReport& report = record.messages.back().reports().reports(0);
    EXPECT_EQ(report.step(), 7u);
    EXPECT_EQ(report.loss(), 2.5);
    EXPECT_FALSE(report.has_weight());
    EXPECT_DOUBLE_EQ(report.gradient_norm(), 5);
    EXPECT_EQ(report.replica_fingerprint(), 77u);
    EXPECT_EQ(report.sample_ids_size(), 2);
    return true;
  });

  // The alert may still be on its way here; the C ABI has nothing to wait on.
  const auto patience =
      std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (muster_alerts_generation(client) == 0 &&
         std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  char buffer[1024];
  size_t needed = 0;
  EXPECT_EQ(muster_alerts(client, buffer, sizeof(buffer), &needed), MUSTER_OK);
  ASSERT_LE(needed, sizeof(buffer));
  EXPECT_NE(std::string(buffer).find(
                R"("kind":"RankOutlier","subject":"","ranks":[])"),
            std::string::npos)
      << buffer;
  EXPECT_NE(std::string(buffer).find(R"("evidence":"rank \"1\"")"),
            std::string::npos);
  EXPECT_EQ(muster_stop(client), MUSTER_OK);
  EXPECT_TRUE(server.WaitFor(
      [](const Record& record) { return record.streams_ended == 1; }));
}

// Its struct ended in padding where there is observed_late now.
TEST(CApiGrpcTest, WhatAnOlderCallerHasInItsPaddingMeansNothing) {
  static_assert(offsetof(muster_step, sample_ids_are_batches) +
                    2 * sizeof(int) ==
                offsetof(muster_step, waited_seconds));
  LiteServer server("127.0.0.1:0");
  muster_client* client = StartClientOf(server);
  ASSERT_NE(client, nullptr) << muster_last_error();
  const float gradient[2] = {3, 4};
  muster_step end = {};
  end.observed_late = 0x5A5A5A5A;
  // Only a step after another one has a time.
  for (const size_t size :
       {offsetof(muster_step, waited_seconds),
        offsetof(muster_step, waited_seconds), sizeof(muster_step)}) {
    end.struct_size = size;
    EXPECT_EQ(muster_observe(client, 0, gradient, 2, MUSTER_FLOAT32),
              MUSTER_OK);
    EXPECT_EQ(muster_end_step(client, &end), MUSTER_OK);
    ++end.step;
  }
  ASSERT_TRUE(server.WaitFor(
      [](const Record& record) { return record.steps().size() == 3; }));
  server.WaitFor([](const Record& record) {
    std::vector<bool> has_time;
    for (const v1::ClientMessage& message : record.messages) {
      for (const v1::StepReport& report : message.reports().reports()) {
        has_time.push_back(report.has_compute_seconds());
      }
    }
    EXPECT_EQ(has_time, (std::vector<bool>{false, true, false}));
    return true;
  });
  EXPECT_EQ(muster_stop(client), MUSTER_OK);
}

}  // namespace
}  // namespace muster
