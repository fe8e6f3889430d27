#include "cli/simulation_history.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "daemon/config.h"
#include "daemon/history/writer.h"
#include "daemon/reference_file.h"
#include "daemon/run_options.h"
#include "daemon/runs/executor.h"
#include "daemon/runs/run.h"
#include "daemon/simulate/generator.h"

namespace muster::cli {
namespace {

// Nobody listens: what is shown is in the observer's changes.
class NoLink : public runs::SourceLink {
 public:
  void Welcome(uint64_t) override {}
  void Acknowledge(uint64_t) override {}
  void Refuse(runs::RunRefusal, uint64_t, std::string) override {}
  void ShowAlerts(std::shared_ptr<const std::vector<alert::Alert>>) override {}
};

// The model's time, moved between messages.
class ModelClock {
 public:
  explicit ModelClock(absl::Time start) : start_(start) {}

  Clock clock() const {
    return {.monotonic = [this] { return elapsed(); },
            .wall = [this] { return start_ + elapsed(); }};
  }
  void MoveTo(absl::Duration elapsed) {
    elapsed_nanos_ = absl::ToInt64Nanoseconds(elapsed);
  }

 private:
  absl::Duration elapsed() const {
    return absl::Nanoseconds(elapsed_nanos_.load());
  }

  const absl::Time start_;
  std::atomic<int64_t> elapsed_nanos_ = 0;
};

absl::StatusOr<Config> ReadConfig(const Options& options) {
  Config config;
  if (!options.config.empty()) {
    absl::Status status = ApplyYamlFile(options.config, config);
    if (!status.ok()) return status;
  }
  absl::Status status = LoadReference(config);
  if (!status.ok()) return status;
  return config;
}

// One run, posted to from one thread.
class Recording {
 public:
  Recording(const Options& options, const Config& config, absl::Time now,
            history::Writer& writer, SimulationSummary& summary)
      : steps_(options.simulation.steps),
        queue_bytes_(static_cast<int64_t>(config.history.queue_bytes)),
        generator_(options.simulation.model),
        step_(absl::Seconds(generator_.options().step_seconds)),
        clock_(now - static_cast<double>(steps_) * step_),
        writer_(writer),
        summary_(summary),
        run_(std::make_shared<runs::Run>(
            options.run, ToRunOptions(config), clock_.clock(),
            [&summary](const std::string&, const alert::Alert& alert) {
              if (alert.state != alert::State::kFiring) return;
              summary.alerts.insert(alert.id);
              summary.alert_lines.insert(
                  absl::StrCat(detect::KindName(alert.finding.kind), ": ",
                               alert.finding.evidence));
            },
            executor_, &writer)) {}

  absl::Status Record() {
    for (uint32_t rank = 0; rank < generator_.options().ranks; ++rank) {
      Open(rank);
    }
    std::vector<uint32_t> alive;
    for (; summary_.steps < steps_; ++summary_.steps) {
      clock_.MoveTo(static_cast<double>(summary_.steps + 1) * step_);
      alive.clear();
      for (const frames::Report& report : generator_.Next().frame.reports) {
        alive.push_back(report.rank);
        Post(report);
      }
      Settle(runs::TimePassed{});
      // The run is faster than the disk, and nothing may be lost.
      if (writer_.stats().queue_bytes > queue_bytes_ / 4) {
        absl::Status status = writer_.Flush();
        if (!status.ok()) return status;
      }
    }
    for (const uint32_t rank : alive) {
      run_->Post(runs::SourceDeparted{rank, Incarnation(rank)}, 0);
    }
    Settle(runs::TimePassed{});
    executor_.Join();
    run_->Flush();
    writer_.End(run_->history_run());
    return writer_.Flush();
  }

 private:
  static uint64_t Incarnation(uint32_t rank) { return uint64_t{rank} + 1; }

  void Open(uint32_t rank) {
    const simulate::Options& model = generator_.options();
    runs::SourceOpened opened;
    opened.info.rank = rank;
    opened.info.world_size = model.ranks;
    opened.info.incarnation = Incarnation(rank);
    opened.info.sketch.width = StatedWidth(model);
    opened.info.host = "simulated";
    opened.facts = std::make_shared<const frames::FactSet>();
    opened.link = link_;
    run_->Post(std::move(opened), 0);
  }

  void Post(const frames::Report& report) {
    runs::SourceReported reported;
    reported.rank = report.rank;
    reported.incarnation = Incarnation(report.rank);
    reported.settled_sequence = report.sequence;
    reported.reports.push_back(report);
    reported.link = link_;
    run_->Post(std::move(reported), report.sketch.size());
    ++summary_.reports;
  }

  // All that was posted is judged before time goes on: what is judged does not
  // depend on how fast this machine is.
  void Settle(runs::Message last) {
    run_->Post(std::move(last), 0);
    executor_.WaitUntilIdle();
  }

  const uint64_t steps_;
  const int64_t queue_bytes_;
  simulate::Generator generator_;
  const absl::Duration step_;
  ModelClock clock_;
  history::Writer& writer_;
  SimulationSummary& summary_;
  runs::Executor executor_{1};
  const std::shared_ptr<NoLink> link_ = std::make_shared<NoLink>();
  const std::shared_ptr<runs::Run> run_;
};

}  // namespace

absl::StatusOr<SimulationSummary> SimulateIntoHistory(const Options& options,
                                                      absl::Time now) {
  const auto config = ReadConfig(options);
  if (!config.ok()) return config.status();
  std::string trouble;
  auto writer = history::Writer::Open(
      options.history, config->history, [now] { return now; },
      [&trouble](bool failing, const std::string& line) {
        if (failing && trouble.empty()) trouble = line;
      });
  if (!writer.ok()) return writer.status();
  SimulationSummary summary;
  summary.run = options.run;
  const absl::Time began = absl::Now();
  absl::Status status =
      Recording(options, *config, now, **writer, summary).Record();
  (*writer)->Stop();
  if (status.ok() && (*writer)->stats().frames_lost > 0) {
    status = absl::ResourceExhaustedError("frames were lost");
  }
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat(options.history, ": ", status.message(),
                                     trouble.empty() ? "" : "; ", trouble));
  }
  summary.seconds = absl::ToDoubleSeconds(absl::Now() - began);
  return summary;
}

}  // namespace muster::cli
