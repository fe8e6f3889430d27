// What is deleted, and what goes on when nothing can be written.
#include "daemon/history/retention.h"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "daemon/history/reader.h"
#include "daemon/history/schema.h"
#include "daemon/history/writer.h"
#include "gtest/gtest.h"
#include "tests/daemon/history/samples.h"
#include "tests/testing/temporary_folder.h"

namespace muster::history {
namespace {

constexpr absl::Time kBegan = absl::FromUnixSeconds(1'700'000'000);

class RetentionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Writer> OpenWriter(Options options = {}) {
    auto writer = Writer::Open(
        path_, options, [] { return kBegan; },
        [this](bool failing, const std::string& line) {
          log_ += (failing ? "! " : "") + line + "\n";
        });
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }
  // A run of `frames` frames, one each second from `began` on.
  void StoreRun(Writer& writer, const std::string& name, absl::Time began,
                uint64_t frames, bool open) {
    const int64_t run = writer.Begin(name, "", began);
    for (uint64_t i = 0; i < frames; ++i) {
      Unit unit{.run = run};
      unit.entries.push_back(
          {2 * i + 1, began + absl::Seconds(i), frames::RunEnded{}});
      unit.entries.push_back(
          {2 * i + 2, began + absl::Seconds(i), SampleFrame(i)});
      writer.Write(std::move(unit));
    }
    if (!open) writer.End(run);
    ASSERT_TRUE(writer.Flush().ok());
  }
  int64_t Count(const std::string& sql) {
    auto database = OpenForReading(path_);
    EXPECT_TRUE(database.ok()) << database.status();
    const auto number = (*database)->Number(sql.c_str());
    EXPECT_TRUE(number.ok()) << number.status();
    return *number;
  }
  void TrimAll(const Options& options, absl::Time now) {
    auto database = OpenForWriting(path_);
    ASSERT_TRUE(database.ok());
    for (bool more = true; more;) {
      const auto trimmed = Trim(**database, options, now);
      ASSERT_TRUE(trimmed.ok()) << trimmed.status();
      more = trimmed->more;
    }
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("history.db");
  std::string log_;
};

TEST_F(RetentionTest, DeletesWhatIsTooOld) {
  auto writer = OpenWriter();
  StoreRun(*writer, "old", kBegan, 20, /*open=*/false);
  StoreRun(*writer, "new", kBegan + absl::Seconds(15), 700, /*open=*/true);
  writer->Stop();
  TrimAll({.max_age = absl::Seconds(100)}, kBegan + absl::Seconds(125));
  // Frames of second 25 on are left: the last 690 of the second run.
  EXPECT_EQ(Count("SELECT count(*) FROM run"), 1);
  EXPECT_EQ(Count("SELECT count(*) FROM frame WHERE run=2"), 690);
  EXPECT_EQ(Count("SELECT count(*) FROM frame"), 690);
  EXPECT_EQ(Count("SELECT count(*) FROM sketch"), 690);
  EXPECT_EQ(Count("SELECT count(*) FROM event WHERE run=1"), 0);
  // Events that a restart needs stay.
  EXPECT_EQ(Count("SELECT count(*) FROM event WHERE run=2"), 700);
}

TEST_F(RetentionTest, SketchesGoFirstTheNewestAndThoseNearAlertsStay) {
  auto writer = OpenWriter();
  StoreRun(*writer, "run", kBegan, 100, /*open=*/true);
  const alert::Alert alert = SampleAlert(1, alert::State::kFiring);
  writer->Write({.run = 1, .alerts = {{50, alert, "{}"}}});
  ASSERT_TRUE(writer->Flush().ok());
  writer->Stop();
  const int64_t size = Count("SELECT max(length(sketches)) FROM sketch");
  TrimAll({.sketch_bytes = 20 * size}, kBegan);
  EXPECT_EQ(Count("SELECT count(*) FROM frame"), 100);
  EXPECT_EQ(Count("SELECT count(*) FROM sketch WHERE NOT near_alert"), 20);
  EXPECT_EQ(Count("SELECT min(position) FROM sketch WHERE NOT near_alert"),
            162);
  // Every second position is a frame's: 34, 36, … 66.
  EXPECT_EQ(Count("SELECT count(*) FROM sketch WHERE near_alert"), 17);
  EXPECT_EQ(Count("SELECT min(position) FROM sketch"), 34);
}

TEST_F(RetentionTest, KeepsTheFileWithinItsSize) {
  auto writer = OpenWriter();
  StoreRun(*writer, "run", kBegan, 3000, /*open=*/true);
  writer->Stop();
  const int64_t limit = 2 << 20;
  TrimAll({.max_bytes = limit}, kBegan);
  auto database = OpenForWriting(path_);
  EXPECT_LE(*UsedBytes(**database), limit);
  database->reset();
  EXPECT_LE(std::filesystem::file_size(path_), 2 * limit);
  // The newest are left.
  EXPECT_EQ(Count("SELECT max(step) FROM frame"), 2999);
  EXPECT_GT(Count("SELECT min(step) FROM frame"), 0);
}

// Holds the file's lock against all others.
class Locker {
 public:
  explicit Locker(const std::string& path) {
    sqlite3_open(path.c_str(), &database_);
    sqlite3_busy_timeout(database_, 5000);
    EXPECT_EQ(
        sqlite3_exec(database_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr),
        SQLITE_OK);
  }
  ~Locker() { sqlite3_close(database_); }

 private:
  sqlite3* database_ = nullptr;
};

TEST_F(RetentionTest, ALockedFileIsToldOnceAndTriedAgain) {
  auto writer = OpenWriter();
  const int64_t run = writer->Begin("run", "", kBegan);
  ASSERT_TRUE(writer->Flush().ok());
  int settled = 0;
  const auto write = [&](uint64_t position) {
    Unit unit{.run = run};
    unit.entries = {{position, kBegan, SampleFrame(position)}};
    unit.settled = [&] { ++settled; };
    writer->Write(std::move(unit));
  };
  {
    Locker locker(path_);
    write(1);
    EXPECT_TRUE(absl::IsUnavailable(writer->Flush()));
    EXPECT_EQ(settled, 1);
    EXPECT_FALSE(writer->stats().up);
    // Nobody waits while it lasts.
    write(2);
    EXPECT_EQ(settled, 2);
  }
  while (!writer->Flush().ok()) {
  }
  EXPECT_TRUE(writer->stats().up);
  EXPECT_GE(writer->stats().errors.at("locked"), 1u);
  EXPECT_EQ(writer->stats().frames, 2u);
  EXPECT_EQ(writer->stats().frames_lost, 0u);
  EXPECT_EQ(Count("SELECT count(*) FROM frame"), 2);
  EXPECT_EQ(log_, "! history: cannot write " + path_ +
                      ": database is locked; judging goes on, reports are "
                      "acknowledged without being stored, and it is tried "
                      "again each second\nhistory: " +
                      path_ + ": is written again\n");
}

TEST_F(RetentionTest, WhatDoesNotFitIntoTheQueueIsCounted) {
  auto writer = OpenWriter({.queue_bytes = 1000});
  const int64_t run = writer->Begin("run", "", kBegan);
  bool settled = false;
  Unit unit{.run = run};
  unit.entries = {{1, kBegan, SampleFrame(1)}};
  unit.settled = [&] { settled = true; };
  writer->Write(std::move(unit));
  EXPECT_TRUE(settled);
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(writer->stats().frames_lost, 1u);
  EXPECT_EQ(writer->stats().frames, 0u);
}

TEST_F(RetentionTest, ACorruptFileIsSetAsideAndKept) {
  const std::string rubbish(20000, 'x');
  std::ofstream(path_) << rubbish;
  auto writer = OpenWriter();
  StoreRun(*writer, "run", kBegan, 3, /*open=*/true);
  EXPECT_EQ(Count("SELECT count(*) FROM frame"), 3);
  EXPECT_EQ(std::filesystem::file_size(path_ + ".corrupt-1700000000"),
            rubbish.size());
  EXPECT_NE(log_.find("kept as " + path_ + ".corrupt-1700000000"),
            std::string::npos)
      << log_;
  EXPECT_EQ(writer->stats().errors.at("corrupt"), 1u);
}

}  // namespace
}  // namespace muster::history
