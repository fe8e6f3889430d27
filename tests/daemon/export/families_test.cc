#include "daemon/export/families.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "daemon/export/relay_families.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/hand_built_run.h"

namespace muster::exposition {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::MeasuresOf;
using muster::testing::Shared;
using ::testing::HasSubstr;
using ::testing::Not;

Scrape ScrapeOf(std::vector<runs::RunSnapshot> runs) {
  Scrape scrape;
  for (auto& run : runs) scrape.runs.push_back(Shared(std::move(run)));
  scrape.rejected = {{"invalid_norm", 5}};
  scrape.now = absl::Seconds(100);
  scrape.process = {.start_time_seconds = 1.7e9,
                    .cpu_seconds = 12.5,
                    .resident_memory_bytes = 4096,
                    .virtual_memory_bytes = 8192,
                    .threads = 9,
                    .open_fds = 17,
                    .max_fds = 1024};
  scrape.version = "0.1.0";
  return scrape;
}

// Lines of the text that are samples.
std::set<std::string> Samples(const std::string& text) {
  std::set<std::string> samples;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    if (text[start] != '#') samples.insert(text.substr(start, end - start));
    start = end + 1;
  }
  return samples;
}

TEST(FamiliesTest, ShowsEachNumberOfTheNewestFrame) {
  const auto samples = Samples(MetricsText(ScrapeOf({HandBuiltRun("r")})));
  for (const char* expected : {
           R"(muster_last_frame_timestamp_seconds{run="r"} 1700000000.5)",
           R"(muster_ranks_expected{run="r"} 3)",
           R"(muster_ranks_reporting{run="r"} 3)",
           R"(muster_step{run="r"} 412)",
           R"(muster_loss_mean{run="r"} 2.25)",
           R"(muster_loss_stddev{run="r"} 0.125)",
           R"(muster_loss_range{run="r"} 0.5)",
           R"(muster_gradient_norm_mean{run="r"} 2)",
           R"(muster_gradient_norm_stddev{run="r"} 0.75)",
           R"(muster_gradient_norm_range{run="r"} 2)",
           R"(muster_gradient_cosine_mean{run="r"} 0.625)",
           R"(muster_gradient_cosine_min{run="r"} 0.5)",
           R"(muster_gradient_cosine_expected{run="r"} 0.5625)",
           R"(muster_gradient_noise_scale{run="r"} 96)",
           R"(muster_replica_values{run="r"} 2)",
           R"(muster_replica_spread{run="r"} 0.0625)",
           R"(muster_local_distance_mean{run="r"} 1.25)",
           R"(muster_consensus_distance{run="r"} 1.5)",
           R"(muster_samples_shared_share{run="r"} 0.375)",
           R"(muster_samples_repeat_share{run="r"} 0.25)",
           R"(muster_samples_undrawn_share{run="r"} 0.6875)",
           R"(muster_rank_loss{run="r",rank="1"} 2.25)",
           R"(muster_rank_gradient_norm{run="r",rank="2"} 3)",
           R"(muster_rank_gradient_cosine{run="r",rank="0"} 0.5)",
           R"(muster_rank_lag_steps{run="r",rank="0"} 0)",
           R"(muster_rank_lag_steps{run="r",rank="2"} 1)",
           R"(muster_alerts_firing{run="r",kind="RankOutlier"} 1)",
           R"(muster_alerts_firing{run="r",kind="NonFinite"} 0)",
           R"(muster_alerts_total{run="r",kind="RankOutlier"} 4)",
           R"(muster_reports_received_total{run="r"} 8)",
           R"(muster_reports_rejected_total{reason="invalid_norm"} 5)",
           R"(muster_reports_dropped_total{run="r",where="client"} 3)",
           R"(muster_reports_dropped_total{run="r",where="late"} 2)",
           R"(muster_frames_total{run="r",state="complete"} 1)",
           R"(muster_frames_total{run="r",state="partial"} 1)",
           R"(muster_build_info{version="0.1.0"} 1)",
           R"(muster_ranks_connected{run="r"} 3)",
           R"(muster_run_ended{run="r"} 0)",
           R"(muster_runs{state="live"} 1)",
           R"(muster_runs{state="silent"} 0)",
           R"(muster_runs{state="ended"} 0)",
           "process_start_time_seconds 1700000000",
           "process_cpu_seconds_total 12.5",
           "process_resident_memory_bytes 4096",
           "process_virtual_memory_bytes 8192",
           "process_threads 9",
           "process_open_fds 17",
           "process_max_fds 1024",
       }) {
    EXPECT_EQ(samples.count(expected), 1u) << expected;
  }
}

TEST(FamiliesTest, HistogramsAreCumulative) {
  const auto samples = Samples(MetricsText(ScrapeOf({HandBuiltRun("r")})));
  for (const char* expected : {
           R"(muster_step_loss_stddev_bucket{run="r",le="0.1"} 0)",
           R"(muster_step_loss_stddev_bucket{run="r",le="0.2"} 1)",
           R"(muster_step_loss_stddev_bucket{run="r",le="0.5"} 2)",
           R"(muster_step_loss_stddev_bucket{run="r",le="+Inf"} 2)",
           R"(muster_step_loss_stddev_count{run="r"} 2)",
           R"(muster_step_loss_stddev_sum{run="r"} 0.375)",
           R"(muster_frame_delay_seconds_count{run="r"} 0)",
       }) {
    EXPECT_EQ(samples.count(expected), 1u) << expected;
  }
}

TEST(FamiliesTest, HistogramsGoOnAfterAValueThatIsNotFinite) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.step_loss_stddev.Observe(std::numeric_limits<double>::infinity());
  run.step_loss_stddev.Observe(std::numeric_limits<double>::quiet_NaN());
  const std::string text = MetricsText(ScrapeOf({run}));
  EXPECT_THAT(text,
              HasSubstr("muster_step_loss_stddev_sum{run=\"r\"} 0.375\n"));
  EXPECT_THAT(text, HasSubstr("muster_step_loss_stddev_count{run=\"r\"} 2\n"));
}

TEST(FamiliesTest, AbsentAndNonFiniteValuesHaveNoSample) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto measures = MeasuresOf(7, 2, 3);
  measures.cosine_mean.reset();
  measures.loss.reset();
  measures.loss_mean = std::numeric_limits<double>::quiet_NaN();
  measures.noise_scale = std::numeric_limits<double>::infinity();
  measures.ranks[1].loss.reset();
  run.newest = std::make_shared<const consistency::Measures>(measures);
  const std::string text = MetricsText(ScrapeOf({run}));
  EXPECT_THAT(text, HasSubstr("muster_step{run=\"r\"} 7\n"));
  for (const char* gone :
       {"muster_gradient_cosine_mean{", "muster_loss_mean{",
        "muster_loss_stddev{", "muster_loss_range{",
        "muster_gradient_noise_scale{", "muster_rank_loss{run=\"r\",rank=\"1\"",
        "nan", "NaN", "Nan", " inf", " +Inf"}) {
    EXPECT_THAT(text, Not(HasSubstr(gone)));
  }
}

TEST(FamiliesTest, BeforeTheFirstFrameNothingLooksHealthy) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.newest = nullptr;
  const std::string text = MetricsText(ScrapeOf({run}));
  EXPECT_THAT(text, HasSubstr("muster_ranks_expected{run=\"r\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("muster_ranks_reporting{run=\"r\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("muster_step{")));
  EXPECT_THAT(text, Not(HasSubstr("muster_last_frame_timestamp_seconds{")));
}

TEST(FamiliesTest, EndedRunsDisappearAfterTheConfiguredTime) {
  runs::RunSnapshot ended = HandBuiltRun("ended");
  ended.state = runs::RunState::kEnded;
  ended.state_since = absl::Seconds(40);
  runs::RunSnapshot silent = HandBuiltRun("silent");
  silent.state = runs::RunState::kSilent;
  silent.state_since = absl::Seconds(0);
  Scrape scrape = ScrapeOf({ended, silent});
  scrape.keep_ended = absl::Seconds(61);
  std::string text = MetricsText(scrape);
  EXPECT_THAT(text, HasSubstr("muster_run_ended{run=\"ended\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_step{run=\"ended\"} 412\n"));

  scrape.keep_ended = absl::Seconds(60);
  text = MetricsText(scrape);
  EXPECT_THAT(text, Not(HasSubstr("run=\"ended\"")));
  EXPECT_THAT(text, HasSubstr("muster_step{run=\"silent\"} 412\n"));
  // It is still known.
  EXPECT_THAT(text, HasSubstr("muster_runs{state=\"ended\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("muster_runs{state=\"silent\"} 1\n"));
}

TEST(FamiliesTest, RanksAreConnectedUntilTheyLeave) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.sources[0].connected = false;
  run.sources[1].departed = true;
  EXPECT_THAT(MetricsText(ScrapeOf({run})),
              HasSubstr("muster_ranks_connected{run=\"r\"} 1\n"));
}

TEST(FamiliesTest, ReadsItsOwnProcess) {
  const ProcessStats stats = ReadProcessStats();
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_GT(stats.start_time_seconds, now - 3600);
  EXPECT_LE(stats.start_time_seconds, now + 2);
  EXPECT_GE(stats.cpu_seconds, 0);
  EXPECT_LT(stats.cpu_seconds, 3600);
  EXPECT_GT(stats.resident_memory_bytes, 1 << 20);
  EXPECT_GE(stats.virtual_memory_bytes, stats.resident_memory_bytes);
  EXPECT_EQ(stats.threads, 1);
  EXPECT_GE(stats.max_fds, stats.open_fds);
  const int more = ::dup(0);
  EXPECT_EQ(*ReadProcessStats().open_fds, *stats.open_fds + 1);
  ::close(more);
}

TEST(FamiliesTest, LabelValuesAreEscaped) {
  Scrape scrape = ScrapeOf({});
  scrape.rejected = {{"a\"b\\c\nd", 1}};
  EXPECT_THAT(
      MetricsText(scrape),
      HasSubstr(R"(muster_reports_rejected_total{reason="a\"b\\c\nd"})"));
}

// Values of the label `rank` of one metric.
std::set<std::string> RanksOf(const std::string& name, const Scrape& scrape) {
  std::set<std::string> ranks;
  for (const auto& family : BuildFamilies(scrape)) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      ranks.insert(metric.label.at(1).value);
    }
  }
  return ranks;
}

TEST(FamiliesTest, LargeRunsShowOnlyTheChosenRanks) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.sources.clear();
  for (uint32_t rank = 0; rank < 257; ++rank) {
    run.sources.push_back(muster::testing::SourceOf(rank, 257, 413));
  }
  run.world_size = 257;
  run.newest =
      std::make_shared<const consistency::Measures>(MeasuresOf(412, 257, 257));
  run.shown_ranks = {5, 17, 256};
  const std::set<std::string> expected = {"5", "17", "256"};
  for (const char* name :
       {"muster_rank_loss", "muster_rank_gradient_norm",
        "muster_rank_gradient_cosine", "muster_rank_lag_steps"}) {
    EXPECT_EQ(RanksOf(name, ScrapeOf({run})), expected) << name;
  }
  // Before the first frame nobody is chosen.
  run.newest = nullptr;
  run.shown_ranks.clear();
  EXPECT_EQ(RanksOf("muster_rank_lag_steps", ScrapeOf({run})).size(), 0u);
  // One rank fewer, and all have series.
  run.world_size = 256;
  run.sources.pop_back();
  run.newest =
      std::make_shared<const consistency::Measures>(MeasuresOf(412, 256, 256));
  EXPECT_EQ(RanksOf("muster_rank_loss", ScrapeOf({run})).size(), 256u);
  EXPECT_EQ(RanksOf("muster_rank_lag_steps", ScrapeOf({run})).size(), 256u);
}

TEST(FamiliesTest, LagIsOnlyShownWhereStepsCanBeCompared) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.sources[1].departed = true;
  run.sources[2].attempt = 0;
  run.sources.push_back(muster::testing::SourceOf(3, 4, 400));
  const std::string text = MetricsText(ScrapeOf({run}));
  EXPECT_THAT(text, HasSubstr("muster_rank_lag_steps{run=\"r\",rank=\"0\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("muster_rank_lag_steps{run=\"r\",rank=\"3\"} 13"));
  EXPECT_THAT(text,
              Not(HasSubstr("muster_rank_lag_steps{run=\"r\",rank=\"1\"")));
  EXPECT_THAT(text,
              Not(HasSubstr("muster_rank_lag_steps{run=\"r\",rank=\"2\"")));
}

TEST(FamiliesTest, PromtoolFindsNothingToComplainAbout) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool is not installed";
  }
  const std::string output = ::testing::TempDir() + "muster-promtool.txt";
  FILE* promtool =
      ::popen(("promtool check metrics >" + output + " 2>&1").c_str(), "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text =
      MetricsText(ScrapeOf({HandBuiltRun("a"), HandBuiltRun("b")}));
  std::fwrite(text.data(), 1, text.size(), promtool);
  const int status = ::pclose(promtool);
  std::ifstream file(output);
  const std::string said{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(status, 0) << said;
  EXPECT_EQ(said, "");
}

TEST(FamiliesTest, TellsHowTheHistoryDoes) {
  Scrape scrape = ScrapeOf({});
  EXPECT_THAT(MetricsText(scrape), Not(HasSubstr("muster_history")));
  scrape.history = history::WriterStats{.up = false,
                                        .file_bytes = 4096,
                                        .queue_bytes = 7,
                                        .commits = 3,
                                        .commit_seconds = 0.5,
                                        .frames = 10,
                                        .frames_lost = 2,
                                        .frames_deleted = 1,
                                        .errors = {{"full", 5}}};
  const std::string text = MetricsText(scrape);
  for (const char* sample :
       {"muster_history_up 0", "muster_history_file_bytes 4096",
        "muster_history_queue_bytes 7", "muster_history_frames_total 10",
        "muster_history_frames_lost_total 2",
        "muster_history_frames_deleted_total 1",
        "muster_history_commits_total 3",
        "muster_history_commit_seconds_total 0.5",
        R"(muster_history_errors_total{reason="full"} 5)"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + sample + "\n"));
  }
}

TEST(FamiliesTest, TellsHowEachReceiverDoes) {
  Scrape scrape = ScrapeOf({});
  EXPECT_THAT(MetricsText(scrape), Not(HasSubstr("muster_sink")));
  scrape.sinks = {{"alertmanager", "a:9093", false, 3, 4, 5, 6},
                  {"webhook", "chat"}};
  const std::string text = MetricsText(scrape);
  for (const char* sample :
       {R"(muster_sink_up{sink="alertmanager",receiver="a:9093"} 0)",
        R"(muster_sink_up{sink="webhook",receiver="chat"} 1)",
        R"(muster_sink_held{sink="alertmanager",receiver="a:9093"} 3)",
        R"(muster_sink_sent_total{sink="alertmanager",receiver="a:9093"} 4)",
        R"(muster_sink_failed_total{sink="alertmanager",receiver="a:9093"} 5)",
        R"(muster_sink_dropped_total{sink="alertmanager",receiver="a:9093"} 6)",
        R"(muster_sink_dropped_total{sink="webhook",receiver="chat"} 0)"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + sample + "\n"));
  }
}

TEST(RelayFamiliesTest, SaysHowUpstreamIsAndWhatWaits) {
  RelayScrape scrape;
  scrape.relay.status.state = relay::UpstreamState::kAway;
  scrape.relay.counts.Drop(relay::Where::kSpool, 7);
  scrape.relay.oldest = absl::FromUnixSeconds(100);
  scrape.now = absl::FromUnixSeconds(130);
  std::string text = RelayMetricsText(scrape);
  for (const char* line :
       {"\nmuster_relay_upstream_up 0\n",
        "\nmuster_relay_upstream_state{state=\"away\"} 1\n",
        "\nmuster_relay_upstream_state{state=\"up\"} 0\n",
        "\nmuster_relay_reports_dropped_total{where=\"spool\"} 7\n",
        "\nmuster_relay_reports_dropped_total{where=\"memory\"} 0\n",
        "\nmuster_relay_oldest_report_age_seconds 30\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_EQ(text.find("muster_relay_spool_"), std::string::npos);
  scrape.relay.status.state = relay::UpstreamState::kIdle;
  scrape.relay.oldest = absl::InfiniteFuture();
  scrape.relay.spool.emplace();
  text = RelayMetricsText(scrape);
  for (const char* line : {"\nmuster_relay_upstream_up 1\n",
                           "\nmuster_relay_oldest_report_age_seconds 0\n",
                           "\nmuster_relay_spool_ok 0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

// One row of the tables in docs/metrics.md: name, type and label names.
using Row = std::tuple<std::string, std::string, std::set<std::string>>;

TEST(FamiliesTest, DocumentationNamesExactlyWhatIsExported) {
  std::ifstream file(MUSTER_SOURCE_DIR "/docs/metrics.md");
  const std::regex row(
      R"re(\| `((?:muster|process)_\w+)` \| (\w+) \| ([^|]*) \|.*)re");
  const std::regex label("`(\\w+)`");
  std::set<Row> documented;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    std::set<std::string> labels;
    const std::string cell = match[3];
    for (std::sregex_iterator it(cell.begin(), cell.end(), label), end;
         it != end; ++it) {
      labels.insert((*it)[1]);
    }
    EXPECT_TRUE(documented.insert({match[1], match[2], labels}).second)
        << match[1];
  }
  std::set<Row> exported;
  Scrape scrape = ScrapeOf({HandBuiltRun("r")});
  scrape.history.emplace().errors = {{"full", 0}};
  scrape.sinks = {{.sink = "webhook", .receiver = "chat"}};
  scrape.remote_write.emplace().newest_time_ms = 1;
  scrape.access.gate.denied = {{{"query", "not_allowed"}, 0}};
  scrape.access.gate.certificate_expires = absl::UnixEpoch();
  RelayScrape relay;
  relay.relay.spool.emplace();
  relay.relay.counts.refused = {{"superseded", 1}};
  relay.rejected = scrape.rejected;
  relay.access = scrape.access;
  relay.process = scrape.process;
  std::vector<prometheus::MetricFamily> families = BuildFamilies(scrape);
  for (auto& family : BuildRelayFamilies(relay)) {
    families.push_back(std::move(family));
  }
  for (const auto& family : families) {
    const char* type =
        family.type == prometheus::MetricType::Counter ? "counter"
        : family.type == prometheus::MetricType::Gauge ? "gauge"
                                                       : "histogram";
    ASSERT_FALSE(family.metric.empty()) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    std::set<std::string> labels;
    for (const auto& pair : family.metric[0].label) labels.insert(pair.name);
    exported.insert({family.name, type, labels});
  }
  EXPECT_EQ(documented, exported);
}

}  // namespace
}  // namespace muster::exposition
