#include "daemon/relay/relay.h"

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace muster::relay {
namespace {

// Takes what is written, and never answers.
class SilentUpstream : public Upstream {
 public:
  std::unique_ptr<UpstreamStream> Open(const std::vector<std::string>& via,
                                       StreamEvents events) override {
    return std::make_unique<Stream>(std::move(events));
  }

 private:
  class Stream : public UpstreamStream {
   public:
    explicit Stream(StreamEvents events) : events_(std::move(events)) {}
    void Write(std::string message) override { events_.written(); }
    void FinishSending() override {}

   private:
    const StreamEvents events_;
  };
};

class RelayTest : public ::testing::Test {
 protected:
  std::unique_ptr<Relay> MakeRelay(Options options) {
    options.grace = absl::ZeroDuration();
    return std::make_unique<Relay>(options, Clock::System(),
                                   std::make_unique<SilentUpstream>(), "me",
                                   [](bool, const std::string&) {});
  }

  static std::shared_ptr<ingest::SourceSink> Open(Relay& relay,
                                                  const std::string& run) {
    v1::Hello hello;
    hello.set_run(run);
    hello.set_world_size(1);
    hello.set_incarnation(1);
    hello.mutable_sketch()->set_version(1);
    hello.mutable_sketch()->set_width(64);
    auto checked = ingest::CheckHello(hello, {});
    auto opened = relay.Open({}, hello, std::get<ingest::CheckedHello>(checked),
                             std::make_shared<ingest::Outbox>([] {}));
    return std::get<std::shared_ptr<ingest::SourceSink>>(opened);
  }

  static void Report(ingest::SourceSink& source, uint64_t sequence,
                     size_t ids) {
    v1::StepReport report;
    report.set_sequence(sequence);
    report.set_step(sequence);
    for (size_t i = 0; i < ids; ++i) report.add_sample_ids(i);
    EXPECT_FALSE(source.Add(report).has_value());
    source.Flush(sequence);
  }

  // What the relay counts once `done` holds.
  static Stats WaitFor(Relay& relay, bool (*done)(const Stats&)) {
    for (;;) {
      const Stats stats = relay.stats();
      if (done(stats)) return stats;
      std::this_thread::yield();
    }
  }
};

TEST_F(RelayTest, RefusesWhatItHasPassedOnBefore) {
  const auto relay = MakeRelay({});
  EXPECT_TRUE(relay->Admit({}).ok());
  EXPECT_TRUE(relay->Admit({{"a", "b"}}).ok());
  EXPECT_EQ(std::string(relay->Admit({{"a", "me", "b"}}).message()),
            "relay loop: these reports have passed this relay, me, already: a "
            "→ me → b");
  EXPECT_TRUE(relay->Admit({std::vector<std::string>(7, "a")}).ok());
  EXPECT_FALSE(relay->Admit({std::vector<std::string>(8, "a")}).ok());
}

TEST_F(RelayTest, ARunWithTooMuchInMemoryTakesNothingFromOthers) {
  Options options;
  options.memory_bytes = 100'000;
  const auto relay = MakeRelay(options);
  const auto small = Open(*relay, "small");
  const auto large = Open(*relay, "large");
  Report(*small, 1, 1000);
  for (uint64_t sequence = 1; sequence <= 50; ++sequence) {
    Report(*large, sequence, 1000);
  }
  const Stats stats = WaitFor(*relay, [](const Stats& now) {
    return now.counts.received == 51 && now.memory_bytes <= 100'000;
  });
  EXPECT_EQ(stats.runs, 2u);
  EXPECT_EQ(stats.sources, 2u);
  // 8 KB each: 12 fit. What is on its way counts as lost once that is known.
  EXPECT_EQ(stats.memory_reports, 12u);
  small->Disconnect();
  large->Disconnect();
}

TEST_F(RelayTest, RunsAreBounded) {
  Options options;
  options.max_runs = 1;
  const auto relay = MakeRelay(options);
  const auto one = Open(*relay, "one");
  const auto other = Open(*relay, "other");
  Report(*other, 1, 1);
  Report(*one, 1, 1);
  const Stats stats = WaitFor(
      *relay, [](const Stats& now) { return now.counts.received == 1; });
  EXPECT_EQ(stats.runs, 1u);
  EXPECT_EQ(stats.sources, 1u);
}

TEST_F(RelayTest, StopsWithReportsThatNobodyTakes) {
  const auto relay = MakeRelay({});
  const auto source = Open(*relay, "run");
  Report(*source, 1, 1);
  WaitFor(*relay, [](const Stats& now) { return now.counts.received == 1; });
  relay->Stop();
  Report(*source, 2, 1);  // of a session that ends later
  EXPECT_EQ(relay->stats().counts.received, 1u);
}

}  // namespace
}  // namespace muster::relay
