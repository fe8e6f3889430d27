// What judging costs: one frame of 1,024 and of 8,192 ranks on one core, and
// the memory of a run of 1,024 ranks without sketches.
//
//   daemon_frames [--json FILE]
//
// A measurement, not a test. Times are processor time of the one thread, so
// that they depend little on what else the machine does.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/runs/judge.h"
#include "daemon/runs/registry.h"
#include "daemon/simulate/generator.h"
#include "tests/bench/flat_json.h"

namespace muster {
namespace {

// All detectors are past their start by then.
constexpr int kWarmUpFrames = 120;
constexpr int kTimedFrames = 60;
constexpr uint32_t kWidth = 1024;

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec);
}

// As clients state them, each rank in a set of its own.
std::shared_ptr<const frames::FactSet> Facts() {
  auto facts = std::make_shared<frames::FactSet>();
  for (int i = 0; i < 20; ++i) {
    (*facts)["fact_number_" + std::to_string(i)] = {"the same on all ranks",
                                                    false};
  }
  return facts;
}

simulate::Options Healthy(uint32_t ranks) {
  simulate::Options options;
  options.ranks = ranks;
  return options;
}

// Scalars are new in each frame. Sketches are drawn once, for time's sake, and
// change hands, so that no rank keeps its place among the others.
class FrameSource {
 public:
  explicit FrameSource(uint32_t ranks) : generator_(Healthy(ranks)) {
    simulate::Options options = Healthy(ranks);
    options.sketch_width = kWidth;
    sketched_ = simulate::Generator(options).Next().frame.reports;
    for (uint32_t rank = 0; rank < ranks; ++rank) facts_.push_back(Facts());
  }

  frames::Frame Next() {
    frames::Frame frame = generator_.Next().frame;
    const size_t shift = random_.Below(sketched_.size());
    for (size_t i = 0; i < frame.reports.size(); ++i) {
      frame.reports[i].sketch =
          sketched_[(i + shift) % sketched_.size()].sketch;
      frame.reports[i].facts = facts_[i];
    }
    return frame;
  }

 private:
  simulate::Generator generator_;
  simulate::Random random_{7};
  std::vector<frames::Report> sketched_;
  std::vector<std::shared_ptr<const frames::FactSet>> facts_;
};

double FrameMilliseconds(uint32_t ranks, double& ninetieth) {
  FrameSource source(ranks);
  runs::Judge judge({}, {});
  std::vector<alert::Alert> changes;
  std::vector<double> took;
  for (int i = 0; i < kWarmUpFrames + kTimedFrames; ++i) {
    const frames::Frame frame = source.Next();
    const double start = ThreadSeconds();
    judge.TakeFrame(frame, absl::UnixEpoch(), changes);
    const double seconds = ThreadSeconds() - start;
    if (i >= kWarmUpFrames) took.push_back(1e3 * seconds);
  }
  std::sort(took.begin(), took.end());
  ninetieth = took[took.size() * 9 / 10];
  return took[took.size() / 2];
}

class NoLink : public runs::SourceLink {
 public:
  void Welcome(uint64_t sequence) override {}
  void Acknowledge(uint64_t sequence) override {}
  void Refuse(runs::RunRefusal refusal, uint64_t sequence,
              std::string detail) override {}
  void ShowAlerts(
      std::shared_ptr<const std::vector<alert::Alert>> alerts) override {}
};

// Of a run that has judged as many frames as it keeps.
double RunMegabytes(uint32_t ranks) {
  const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  runs::Registry registry({}, Clock::System(),
                          [](const std::string&, const alert::Alert&) {});
  auto link = std::make_shared<NoLink>();
  std::shared_ptr<runs::Run> run;
  {
    simulate::Generator generator(Healthy(ranks));
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      frames::SourceInfo info{
          .rank = rank, .world_size = ranks, .incarnation = rank + 1u};
      info.sketch.width = 64;
      run = *registry.Open("memory", {info, Facts(), link});
    }
    for (int step = 0; step < 4200; ++step) {
      for (const frames::Report& report : generator.Next().frame.reports) {
        run->Post(
            runs::SourceReported{
                report.rank, report.rank + 1u, {report}, report.sequence, link},
            sizeof(report));
      }
      while (run->snapshot()->newest == nullptr ||
             run->snapshot()->newest->step != static_cast<uint64_t>(step)) {
        timespec pause{0, 100'000};
        nanosleep(&pause, nullptr);
      }
    }
  }
  const size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
  return static_cast<double>(after - before) / 1e6;
}

int Main(int argc, char** argv) {
  bench::FlatJson json;
  for (uint32_t ranks : {1024u, 8192u}) {
    double ninetieth = 0;
    const double median = FrameMilliseconds(ranks, ninetieth);
    std::printf(
        "one frame of %u ranks, k = %u: median %.2f ms, 90 %% %.2f ms\n", ranks,
        kWidth, median, ninetieth);
    json.Add("frame.n" + std::to_string(ranks) + "_ms", median);
    json.Add("frame.n" + std::to_string(ranks) + "_p90_ms", ninetieth);
  }
  const double megabytes = RunMegabytes(1024);
  std::printf("a run of 1024 ranks without sketches: %.1f MB\n", megabytes);
  json.Add("memory.n1024_mb", megabytes);
  return json.WriteIfAsked(argc, argv) ? 0 : 1;
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Main(argc, argv); }
