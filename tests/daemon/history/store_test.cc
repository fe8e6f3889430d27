// What a writer stores is what a reader finds.
#include <sqlite3.h>

#include "daemon/history/reader.h"
#include "daemon/history/writer.h"
#include "gtest/gtest.h"
#include "tests/daemon/history/compare.h"
#include "tests/daemon/history/samples.h"
#include "tests/testing/temporary_folder.h"

namespace muster::history {
namespace {

constexpr absl::Time kBegan = absl::FromUnixSeconds(1'700'000'000);

class StoreTest : public ::testing::Test {
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
  std::unique_ptr<Reader> OpenReader() {
    auto reader = Reader::Open(path_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  std::vector<Entry> Entries(const Reader& reader, int64_t run,
                             uint64_t from = 0, uint64_t to = Reader::kEnd,
                             What what = What::kWithSketches) {
    std::vector<Entry> entries;
    const absl::Status status =
        reader.ReadEntries(run, from, to, what, [&](const Entry& entry) {
          entries.push_back(entry);
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return entries;
  }
  // One of the sqlite3 tool's answers.
  std::string Ask(const std::string& sql) {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    std::string answer;
    char* error = nullptr;
    sqlite3_exec(
        database, sql.c_str(),
        [](void* out, int columns, char** values, char**) {
          for (int i = 0; i < columns; ++i) {
            *static_cast<std::string*>(out) +=
                std::string(i == 0 ? "" : "|") +
                (values[i] != nullptr ? values[i] : "NULL");
          }
          *static_cast<std::string*>(out) += "\n";
          return 0;
        },
        &answer, &error);
    EXPECT_EQ(error, nullptr) << error;
    sqlite3_free(error);
    sqlite3_close(database);
    return answer;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("history.db");
  std::string log_;
};

Entry At(uint64_t position, Body body) {
  return {position, kBegan + absl::Seconds(position), std::move(body)};
}

TEST_F(StoreTest, ReadsWhatWasWritten) {
  auto writer = OpenWriter();
  const int64_t run = writer->Begin("lab/7", "detect: {}\n", kBegan);
  Unit unit{.run = run};
  unit.entries = {
      At(1,
         frames::SourceUp{SampleSource(0), SampleFacts(0), absl::Seconds(1)}),
      At(2, frames::AttemptBegan{1, 4, frames::AttemptCause::kStart, false,
                                 absl::Seconds(1)}),
      At(3, SampleFrame(0)),
      At(4, Ticks{{{absl::Seconds(2), kBegan}}}),
      At(5, SampleFrame(1)),
  };
  const alert::Alert alert = SampleAlert(1, alert::State::kFiring);
  unit.alerts = {{5, alert, alert::LogLine("lab/7", alert)},
                 {5, SampleAlert(2, alert::State::kPending), "{}"}};
  unit.checkpoint = SampleCheckpoint(6);
  bool settled = false;
  unit.settled = [&] { settled = true; };
  writer->Write(unit);
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_TRUE(settled);
  EXPECT_EQ(writer->stats().frames, 2u);
  EXPECT_EQ(writer->stats().queue_bytes, 0);

  // While it is being written.
  const auto reader = OpenReader();
  const auto runs = reader->Runs();
  ASSERT_TRUE(runs.ok());
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ((*runs)[0].name, "lab/7");
  EXPECT_EQ((*runs)[0].began, kBegan);
  EXPECT_EQ((*runs)[0].configuration, "detect: {}\n");
  EXPECT_TRUE((*runs)[0].open);

  const auto entries = Entries(*reader, run);
  ASSERT_EQ(entries.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(entries[i].position, i + 1);
    EXPECT_EQ(entries[i].wall, unit.entries[i].wall);
    EXPECT_EQ(entries[i].body.index(), unit.entries[i].body.index());
  }
  ExpectSame(std::get<Judged>(entries[2].body), SampleFrame(0));
  ExpectSame(std::get<Judged>(entries[4].body), SampleFrame(1));
  // Equal sets of facts are one.
  const auto& reports = std::get<Judged>(entries[4].body).frame->reports;
  EXPECT_EQ(reports[1].facts, reports[2].facts);
  EXPECT_NE(reports[0].facts, reports[1].facts);
  EXPECT_EQ(Ask("SELECT count(*) FROM fact"), "4\n");

  EXPECT_EQ(Entries(*reader, run, 2, 4).size(), 2u);
  EXPECT_TRUE(Entries(*reader, run + 1).empty());
  const auto bare = Entries(*reader, run, 3, 4, What::kAll);
  EXPECT_EQ(std::get<Judged>(bare[0].body).frame->reports[0].sketch, "");
  const auto events = Entries(*reader, run, 0, Reader::kEnd, What::kEvents);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].position, 2u);

  const auto alerts = reader->Alerts(run);
  ASSERT_TRUE(alerts.ok());
  ASSERT_EQ(alerts->size(), 2u);
  ExpectSame((*alerts)[0].alert, alert);
  EXPECT_EQ((*alerts)[0].line, alert::LogLine("lab/7", alert));
  EXPECT_EQ((*alerts)[1].alert.id, 2u);
}

TEST_F(StoreTest, PerRankValuesCanBeAskedForInSql) {
  auto writer = OpenWriter();
  const int64_t run = writer->Begin("run", "", kBegan);
  Judged judged = SampleFrame(0);
  auto frame = std::make_shared<frames::Frame>(*judged.frame);
  const std::vector<std::optional<double>> losses = {-1.0 / 3, std::nullopt,
                                                     std::nan("")};
  const std::vector<double> norms = {0, 5e-324, 1.7976931348623157e308};
  for (size_t i = 0; i < 3; ++i) {
    frame->reports[i].loss = losses[i];
    frame->reports[i].gradient_norm = norms[i];
    frame->reports[i].rank = static_cast<uint32_t>(70000 * i);
  }
  judged.frame = frame;
  writer->Write({.run = run, .entries = {At(1, judged)}});
  ASSERT_TRUE(writer->Flush().ok());
  EXPECT_EQ(Ask("SELECT rank, printf('%!.17g', value) FROM rank_value WHERE "
                "run=1 AND step=0 AND metric='loss' AND value NOT NULL"),
            "0|-0.33333333333333331\n");
  EXPECT_EQ(Ask("SELECT rank, value = 0, value = 5e-324, "
                "value = 1.7976931348623157e308 FROM rank_value "
                "WHERE metric='gradient_norm'"),
            "0|1|0|0\n70000|0|1|0\n140000|0|0|1\n");
  EXPECT_EQ(Ask("SELECT count(*) FROM rank_value WHERE metric='loss'"), "3\n");
}

TEST_F(StoreTest, OpenRunsCanBeTakenUpAgain) {
  auto writer = OpenWriter();
  const int64_t run = writer->Begin("run", "", kBegan);
  writer->Write({.run = run, .checkpoint = SampleCheckpoint(6)});
  // The next one has closed the open frame, and nothing else is new.
  auto next = std::make_shared<Checkpoint>(*SampleCheckpoint(9));
  auto kept = next->open_reports;
  next->open_reports.clear();
  writer->Write({.run = run, .checkpoint = next});
  ASSERT_TRUE(writer->Flush().ok());
  auto found = OpenReader()->LastCheckpoint(run);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->next_position, 9u);
  EXPECT_TRUE((*found)->open_reports.empty());

  next = std::make_shared<Checkpoint>(*next);
  next->open_reports = kept;
  writer->Write({.run = run, .checkpoint = next});
  ASSERT_TRUE(writer->Flush().ok());
  found = OpenReader()->LastCheckpoint(run);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->now, absl::Seconds(100));
  EXPECT_EQ((*found)->wall, next->wall);
  EXPECT_EQ((*found)->assembler.ranks.size(), 2u);
  ASSERT_EQ((*found)->open_reports.size(), 1u);
  EXPECT_EQ((*found)->open_reports[0]->incarnation,
            SampleSource(0).incarnation);
  ExpectSame((*found)->open_reports[0]->report, kept[0]->report);
  EXPECT_EQ(*(*found)->assembler.ranks[1].source.facts, *SampleFacts(1));

  // A run of the same name takes its place.
  const int64_t second = writer->Begin("run", "", kBegan);
  EXPECT_EQ(second, run + 1);
  ASSERT_TRUE(writer->Flush().ok());
  const auto runs = OpenReader()->Runs();
  EXPECT_FALSE((*runs)[0].open);
  EXPECT_TRUE((*runs)[1].open);
  EXPECT_EQ(*OpenReader()->LastCheckpoint(run), nullptr);
  writer->End(second);
  writer->Stop();
  EXPECT_FALSE((*OpenReader()->Runs())[1].open);
  // Numbers are not given twice.
  EXPECT_EQ(OpenWriter()->Begin("other", "", kBegan), 3);
}

TEST_F(StoreTest, TellsWhereTheNewestFramesBegin) {
  auto writer = OpenWriter();
  const int64_t run = writer->Begin("run", "", kBegan);
  Unit unit{.run = run};
  for (uint64_t position = 1; position <= 30; position += 3) {
    unit.entries.push_back(At(position, frames::RunEnded{}));
    unit.entries.push_back(At(position + 1, Ticks{}));
    unit.entries.push_back(At(position + 2, SampleFrame(position)));
  }
  writer->Write(unit);
  ASSERT_TRUE(writer->Flush().ok());
  const auto reader = OpenReader();
  const int64_t plenty = 1 << 30;
  auto window = reader->NewestWindow(run, 4, plenty, 2);
  ASSERT_TRUE(window.ok());
  EXPECT_EQ(window->first_frame, 21u);
  EXPECT_EQ(window->first_event, 16u);
  window = reader->NewestWindow(run, 100, plenty, 100);
  EXPECT_EQ(window->first_frame, 3u);
  EXPECT_EQ(window->first_event, 1u);
}

TEST_F(StoreTest, HasOneWriter) {
  auto writer = OpenWriter();
  const auto second = Writer::Open(
      path_, {}, [] { return kBegan; }, [](bool, const std::string&) {});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_NE(second.status().message().find(path_), std::string::npos);
}

}  // namespace
}  // namespace muster::history
