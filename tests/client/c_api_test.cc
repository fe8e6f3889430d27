// The C ABI, through the shared library that others load. No daemon is there.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "muster/muster.h"

namespace {

muster_options Options() {
  muster_options options = {};
  options.struct_size = sizeof(options);
  options.address = "127.0.0.1:1";
  options.run_id = "run-1";
  options.rank = 1;
  options.world_size = 2;
  options.sketch_width = 64;
  options.ring_capacity = 4;
  options.flush_timeout_ms = 1;
  return options;
}

muster_stats_t StatsOf(muster_client* client) {
  muster_stats_t stats = {};
  stats.struct_size = sizeof(stats);
  EXPECT_EQ(muster_stats(client, &stats), MUSTER_OK);
  return stats;
}

class CApiTest : public testing::Test {
 protected:
  CApiTest() {
    const muster_options options = Options();
    EXPECT_EQ(muster_start(&options, &client_), MUSTER_OK)
        << muster_last_error();
  }
  ~CApiTest() override { EXPECT_EQ(muster_stop(client_), MUSTER_OK); }

  muster_client* client_ = nullptr;
};

TEST_F(CApiTest, MakesReportsWithoutADaemon) {
  const float gradient[3] = {1, 2, 3};
  for (uint64_t step = 1; step <= 6; ++step) {
    EXPECT_EQ(muster_observe(client_, 0, gradient, 3, MUSTER_FLOAT32),
              MUSTER_OK);
    muster_step end = {};
    end.struct_size = sizeof(end);
    end.step = step;
    end.has_loss = 1;
    end.loss = NAN;
    EXPECT_EQ(muster_end_step(client_, &end), MUSTER_OK);
  }
  const muster_stats_t stats = StatsOf(client_);
  EXPECT_EQ(stats.made, 6u);
  EXPECT_EQ(stats.queued, 4u);
  EXPECT_EQ(stats.dropped, 2u);
  EXPECT_EQ(stats.connected, 0);
}

TEST_F(CApiTest, AcceptsAnOlderAndANewerStep) {
  // Older: ends before `loss`. What lies behind it is not read.
  muster_step old_step = {};
  old_step.struct_size = offsetof(muster_step, loss);
  old_step.step = 1;
  old_step.sample_id_count = 10;  // with NULL ids: an error if it were read
  EXPECT_EQ(muster_end_step(client_, &old_step), MUSTER_OK)
      << muster_last_error();

  struct {
    muster_step step;
    uint64_t unknown[8];
  } new_step = {};
  new_step.step.struct_size = sizeof(new_step);
  new_step.step.step = 2;
  std::memset(new_step.unknown, 0xFF, sizeof(new_step.unknown));
  EXPECT_EQ(muster_end_step(client_, &new_step.step), MUSTER_OK);
  EXPECT_EQ(StatsOf(client_).made, 2u);
}

TEST_F(CApiTest, WritesNoMoreStatsThanTheCallerHasRoomFor) {
  muster_step end = {};
  end.struct_size = sizeof(end);
  EXPECT_EQ(muster_end_step(client_, &end), MUSTER_OK);
  muster_stats_t stats;
  std::memset(&stats, 0xAB, sizeof(stats));
  stats.struct_size = offsetof(muster_stats_t, sent);
  EXPECT_EQ(muster_stats(client_, &stats), MUSTER_OK);
  EXPECT_EQ(stats.made, 1u);
  EXPECT_EQ(stats.sent, 0xABABABABABABABABu);
  EXPECT_EQ(stats.struct_size, offsetof(muster_stats_t, sent));
}

TEST_F(CApiTest, FieldsOutOfRangeAreNamedAndTheReportIsMade) {
  muster_step end = {};
  end.struct_size = sizeof(end);
  end.has_weight = 1;
  EXPECT_EQ(muster_end_step(client_, &end), MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(),
               "weight = 0.000000: must be finite and above 0");
  EXPECT_EQ(StatsOf(client_).made, 1u);

  end = {};
  end.struct_size = sizeof(end);
  end.step = (uint64_t{1} << 62) + 1;
  EXPECT_EQ(muster_end_step(client_, &end), MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(StatsOf(client_).made, 1u);
}

TEST_F(CApiTest, WrongObservationsAreNamed) {
  const float value = 1;
  EXPECT_EQ(muster_observe(client_, 0, nullptr, 1, MUSTER_FLOAT32),
            MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(), "data: must not be NULL");
  EXPECT_EQ(
      muster_observe(client_, 0, &value, 1, static_cast<muster_data_type>(9)),
      MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(),
               "type = 9: must be 0 (float32), 1 (float16) or 2 (bfloat16)");
  EXPECT_EQ(muster_observe(client_, UINT64_MAX, &value, 1, MUSTER_FLOAT32),
            MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(muster_observe(client_, 0, nullptr, 0, MUSTER_FLOAT32), MUSTER_OK);
}

TEST_F(CApiTest, WrongObservationsOfParametersAreNamed) {
  const float value = 1;
  EXPECT_EQ(
      muster_observe_parameters(client_, 31, 0, &value, 1, MUSTER_FLOAT32),
      MUSTER_OK);
  EXPECT_EQ(
      muster_observe_parameters(client_, 32, 0, &value, 1, MUSTER_FLOAT32),
      MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(), "group = 32: must be 0 to 31");
  EXPECT_EQ(
      muster_observe_parameters(client_, 0, 0, nullptr, 1, MUSTER_FLOAT32),
      MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(muster_observe_change(client_, 0, &value, 1, MUSTER_FLOAT32),
            MUSTER_OK);
  EXPECT_EQ(muster_observe_change(client_, 0, nullptr, 1, MUSTER_FLOAT32),
            MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(
      muster_observe_parameters(nullptr, 99, 0, nullptr, 1, MUSTER_FLOAT32),
      MUSTER_OK);
  EXPECT_EQ(muster_observe_change(nullptr, 0, nullptr, 1, MUSTER_FLOAT32),
            MUSTER_OK);
}

TEST_F(CApiTest, FactsAreChecked) {
  EXPECT_EQ(muster_fact(client_, "lr", "0.1", 0), MUSTER_OK);
  EXPECT_EQ(muster_fact(client_, "", "0.1", 0), MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(),
               "fact \"\": name of 0 bytes; must have 1 to 64");
  EXPECT_EQ(muster_fact(client_, "lr", nullptr, 0), MUSTER_INVALID_ARGUMENT);
}

TEST_F(CApiTest, AlertsSayHowMuchRoomTheyNeed) {
  char buffer[8] = "before";
  size_t needed = 0;
  EXPECT_EQ(muster_alerts(client_, buffer, 2, &needed), MUSTER_OK);
  EXPECT_EQ(needed, 3u);
  EXPECT_STREQ(buffer, "before");
  EXPECT_EQ(muster_alerts(client_, nullptr, 0, &needed), MUSTER_OK);
  EXPECT_EQ(muster_alerts(client_, buffer, 3, &needed), MUSTER_OK);
  EXPECT_STREQ(buffer, "[]");
  EXPECT_EQ(muster_alerts(client_, nullptr, 8, &needed),
            MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(muster_alerts(client_, buffer, 8, nullptr),
            MUSTER_INVALID_ARGUMENT);
}

TEST_F(CApiTest, LastErrorBelongsToItsThread) {
  EXPECT_NE(muster_fact(client_, nullptr, nullptr, 0), MUSTER_OK);
  std::string elsewhere = "unset";
  std::thread([&] { elsewhere = muster_last_error(); }).join();
  EXPECT_EQ(elsewhere, "");
  EXPECT_STREQ(muster_last_error(), "name and value: must not be NULL");
}

TEST(CApiStartTest, WrongOptionsLeaveNoClient) {
  muster_options options = Options();
  options.rank = 2;
  auto* client = reinterpret_cast<muster_client*>(1);
  EXPECT_EQ(muster_start(&options, &client), MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(client, nullptr);
  EXPECT_STREQ(muster_last_error(),
               "rank = 2: must be 0 to 1, as world_size is 2");
  EXPECT_EQ(muster_start(nullptr, &client), MUSTER_INVALID_ARGUMENT);
  EXPECT_EQ(muster_start(&options, nullptr), MUSTER_INVALID_ARGUMENT);
  options.struct_size = 0;
  EXPECT_EQ(muster_start(&options, &client), MUSTER_INVALID_ARGUMENT);
  EXPECT_STREQ(muster_last_error(),
               "options: must not be NULL, with struct_size set to its sizeof");
}

TEST(CApiStartTest, OlderOptionsGetDefaults) {
  muster_options options = Options();
  options.struct_size = offsetof(muster_options, sketch_width);
  options.sketch_width = 3;  // an error if it were read
  options.flush_timeout_ms = 1;
  muster_client* client = nullptr;
  ASSERT_EQ(muster_start(&options, &client), MUSTER_OK) << muster_last_error();
  muster_stop(client);
}

TEST(CApiStartTest, NoAddressIsIdle) {
  muster_options options = {};
  options.struct_size = sizeof(options);
  muster_client* client = nullptr;
  ASSERT_EQ(muster_start(&options, &client), MUSTER_OK) << muster_last_error();
  muster_step end = {};
  end.struct_size = sizeof(end);
  EXPECT_EQ(muster_end_step(client, &end), MUSTER_OK);
  EXPECT_EQ(StatsOf(client).made, 0u);
  muster_stop(client);
}

TEST_F(CApiTest, CloseMayOvertakeOtherCalls) {
  std::atomic<int> closed = 0;
  std::vector<std::thread> training;
  for (int i = 0; i < 2; ++i) {
    training.emplace_back([&] {
      const float gradient[3] = {1, 2, 3};
      muster_step end = {};
      end.struct_size = sizeof(end);
      // At least one step before, and one after the last close.
      for (bool last = false; !last; ++end.step) {
        last = closed == 2;
        EXPECT_EQ(muster_observe(client_, 0, gradient, 3, MUSTER_FLOAT32),
                  MUSTER_OK);
        EXPECT_EQ(muster_end_step(client_, &end), MUSTER_OK);
        StatsOf(client_);
      }
    });
  }
  while (StatsOf(client_).made == 0) std::this_thread::yield();
  std::vector<std::thread> closing;
  for (int i = 0; i < 2; ++i) {
    closing.emplace_back([&] {
      EXPECT_EQ(muster_close(client_), MUSTER_OK);
      ++closed;
    });
  }
  for (std::thread& thread : closing) thread.join();
  for (std::thread& thread : training) thread.join();
  const muster_stats_t stats = StatsOf(client_);
  EXPECT_GT(stats.made, 0u);
  EXPECT_EQ(stats.made, stats.dropped);
  muster_step end = {};
  end.struct_size = sizeof(end);
  EXPECT_EQ(muster_end_step(client_, &end), MUSTER_OK);
  EXPECT_EQ(StatsOf(client_).made, stats.made);
}

TEST(CApiNullTest, ANullClientDoesNothing) {
  const float value = 1;
  muster_step end = {};
  end.struct_size = sizeof(end);
  char buffer[8];
  size_t needed = 0;
  EXPECT_EQ(muster_observe(nullptr, 0, &value, 1, MUSTER_FLOAT32), MUSTER_OK);
  EXPECT_EQ(muster_end_step(nullptr, &end), MUSTER_OK);
  EXPECT_EQ(muster_discard_step(nullptr), MUSTER_OK);
  EXPECT_EQ(muster_fact(nullptr, "a", "b", 0), MUSTER_OK);
  EXPECT_EQ(StatsOf(nullptr).made, 0u);
  EXPECT_EQ(muster_alerts(nullptr, buffer, sizeof(buffer), &needed), MUSTER_OK);
  EXPECT_STREQ(buffer, "[]");
  EXPECT_EQ(muster_alerts_generation(nullptr), 0u);
  EXPECT_EQ(muster_close(nullptr), MUSTER_OK);
  EXPECT_EQ(muster_stop(nullptr), MUSTER_OK);
  EXPECT_STREQ(muster_version(), "0.1.0");
}

}  // namespace
