// How well a bad rank is found, how soon, and how often a healthy run is
// blamed: Muster, and what people use today, on the same synthetic runs.
//
//   detection [--json FILE] [--quick] [--all-frames] [--strict-only]
//
// --quick: a thirtieth of the frames, for a look. --all-frames: as many frames
// with 64 and 512 ranks as with 4 and 8, for hours. --strict-only: nothing but
// the healthy runs with a target of 10³ frames, to add to a FILE that is there.
// All seeds are fixed.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/detection_rules.h"
#include "tests/bench/flat_json.h"
#include "tests/testing/healthy_runs.h"
#include "tests/testing/simulated_run.h"

namespace muster::bench {
namespace {

using testing::HealthyCase;
using testing::SimulatedRun;

constexpr uint32_t kWorlds[] = {4, 8, 64, 512};
constexpr uint64_t kOnset = 300;
constexpr uint64_t kWindow = 500;
constexpr uint32_t kFaultyRank = 2;

struct Settings {
  bool quick = false;
  bool all_frames = false;
  bool strict_only = false;
};

bool Fired(const alert::Alert& change) {
  return change.state == alert::State::kFiring;
}

// --- healthy runs -----------------------------------------------------------

struct HealthyCount {
  uint64_t strict_steps = 0;
  uint64_t strict_alarms = 0;  // with a target of 10³ frames
  uint64_t steps = 0;
  std::map<std::string, uint64_t> alarms;  // by kind, as configured
  uint64_t rule_alarms[Rules::kCount] = {};
};

// Frames of runs of `healthy.steps` each, seeds from `seed` on.
template <typename OnStep>
void Simulate(const HealthyCase& healthy, const detect::DetectOptions& detect,
              uint64_t seed, uint64_t frames, const OnStep& on_step) {
  for (uint64_t done = 0; done < frames; ++seed) {
    simulate::Options options = healthy.options;
    options.seed = seed;
    SimulatedRun run(options, detect);
    for (uint64_t i = 0; i < healthy.steps && done < frames; ++i, ++done) {
      on_step(run, i == 0);
    }
  }
}

HealthyCount CountHealthy(const HealthyCase& healthy, uint64_t strict_frames,
                          uint64_t frames) {
  HealthyCount count;
  detect::DetectOptions strict = healthy.detect;
  strict.target_frames = 1e3;
  count.strict_steps = strict_frames;
  Simulate(healthy, strict, 1, strict_frames, [&](SimulatedRun& run, bool) {
    for (const alert::Alert& change : run.Next()) {
      count.strict_alarms += Fired(change);
    }
  });
  count.steps = frames;
  Rules rules;
  bool before[Rules::kCount] = {};
  Simulate(healthy, healthy.detect, 1'000'001, frames,
           [&](SimulatedRun& run, bool first) {
             if (first) rules = Rules();
             for (const alert::Alert& change : run.Next()) {
               if (Fired(change)) {
                 ++count.alarms[detect::KindName(change.finding.kind)];
               }
             }
             const auto& alarms = rules.Judge(run.step().frame, run.measures());
             for (int i = 0; i < Rules::kCount; ++i) {
               const bool now = alarms[i].has_value();
               count.rule_alarms[i] += now && (first || !before[i]);
               before[i] = now;
             }
           });
  return count;
}

// --- faults -----------------------------------------------------------------

struct FaultCase {
  const char* name;
  simulate::FaultKind kind;
  double size;
  uint32_t sketch_width = 0;
};

// In units of a rank's own standard deviation, of its gradient, of its labels.
constexpr FaultCase kFaults[] = {
    // What is found where nothing is wrong: chance.
    {"none", simulate::FaultKind::kLossShift, 0},
    {"loss_1sd", simulate::FaultKind::kLossShift, 1},
    {"loss_2sd", simulate::FaultKind::kLossShift, 2},
    {"loss_4sd", simulate::FaultKind::kLossShift, 4},
    {"gradient_1p1x", simulate::FaultKind::kGradientScale, 1.1},
    {"gradient_1p3x", simulate::FaultKind::kGradientScale, 1.3},
    {"labels_2pct", simulate::FaultKind::kLabelNoise, 0.02},
    {"labels_5pct", simulate::FaultKind::kLabelNoise, 0.05},
    {"labels_20pct", simulate::FaultKind::kLabelNoise, 0.2},
    {"duplicate_shard", simulate::FaultKind::kDuplicateShard, 1, 64},
    {"duplicate_80pct", simulate::FaultKind::kDuplicateShard, 0.8, 64},
    {"non_finite", simulate::FaultKind::kNonFinite, 1},
    {"exponent_bit_27", simulate::FaultKind::kExponentFlip, 27},
    {"exponent_bit_30", simulate::FaultKind::kExponentFlip, 30},
    {"slow_2x", simulate::FaultKind::kSlowRank, 2},
    {"rank_dies", simulate::FaultKind::kRankDies, 1},
    {"replica_drift", simulate::FaultKind::kReplicaDrift, 1},
    {"noise_scale_3x", simulate::FaultKind::kNoiseScale, 3, 64},
};

// What one judge made of the runs of a cell.
struct Outcome {
  int runs = 0;
  int right_rank = 0;
  int early = 0;  // alarms before the onset
  std::vector<double> delays;

  void Take(uint64_t delay, const Ranks& named, const Ranks& right) {
    delays.push_back(static_cast<double>(delay));
    right_rank += named == right;
  }
  double Quantile(double share) const {
    if (delays.empty()) return NAN;
    std::vector<double> sorted = delays;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(
        share * static_cast<double>(sorted.size() - 1) + 0.5)];
  }
};

struct FaultCount {
  Outcome muster;
  Outcome rules[Rules::kCount];
};

Ranks RightRanks(const FaultCase& fault) {
  switch (fault.kind) {
    case simulate::FaultKind::kNoiseScale:
      return {};
    case simulate::FaultKind::kDuplicateShard:
      return {kFaultyRank, kFaultyRank + 1};
    default:
      return {kFaultyRank};
  }
}

FaultCount CountFault(const FaultCase& fault, uint32_t ranks, int runs) {
  FaultCount count;
  const Ranks right = RightRanks(fault);
  for (int i = 0; i < runs; ++i) {
    simulate::Options options;
    options.ranks = ranks;
    options.seed = 500'000 + static_cast<uint64_t>(i);
    options.sketch_width = fault.sketch_width;
    options.fingerprints = true;
    options.faults = {{.kind = fault.kind,
                       .rank = kFaultyRank,
                       .onset = kOnset,
                       .size = fault.size}};
    // A loss that is NaN once is found or not found once.
    if (fault.kind == simulate::FaultKind::kNonFinite) {
      options.faults[0].steps = 1;
    }
    SimulatedRun run(options, detect::DetectOptions());
    Rules rules;
    bool found = false;
    bool rule_found[Rules::kCount] = {};
    ++count.muster.runs;
    for (Outcome& outcome : count.rules) ++outcome.runs;
    for (uint64_t step = 0; step < kOnset + kWindow; ++step) {
      const bool after = step >= kOnset;
      const auto& changes = run.Next();
      const auto fired = std::find_if(changes.begin(), changes.end(), Fired);
      if (fired != changes.end() && !found) {
        if (after) {
          count.muster.Take(step - kOnset + 1, fired->finding.ranks, right);
          found = true;
        } else {
          ++count.muster.early;
        }
      }
      const auto& alarms = rules.Judge(run.step().frame, run.measures());
      bool all = true;
      for (int r = 0; r < Rules::kCount; ++r) {
        if (alarms[r] && after && !rule_found[r]) {
          count.rules[r].Take(step - kOnset + 1, *alarms[r], right);
          rule_found[r] = true;
        }
        all = all && rule_found[r];
      }
      if (found && all) break;
    }
  }
  return count;
}

void AddOutcome(const std::string& prefix, const Outcome& outcome,
                FlatJson& json) {
  const double found = static_cast<double>(outcome.delays.size());
  json.Add(prefix + ".recall", found / outcome.runs);
  json.Add(prefix + ".delay_median", outcome.Quantile(0.5));
  json.Add(prefix + ".delay_p90", outcome.Quantile(0.9));
  json.Add(prefix + ".right_rank",
           found > 0 ? outcome.right_rank / found : NAN);
}

// --- all together -----------------------------------------------------------

std::string WorldName(uint32_t ranks) { return "n" + std::to_string(ranks); }

double PerMillion(uint64_t count, uint64_t steps) {
  return 1e6 * static_cast<double>(count) / static_cast<double>(steps);
}

// Runs jobs on as many threads as there are cores; results do not depend on it.
void RunAll(const std::vector<std::function<void()>>& jobs) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < cores; ++i) {
    threads.emplace_back([&] {
      for (size_t job = next++; job < jobs.size(); job = next++) jobs[job]();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

struct HealthyCell {
  HealthyCase healthy;
  std::string world;
  HealthyCount count;
};
struct FaultCell {
  const FaultCase* fault;
  uint32_t ranks;
  FaultCount count;
};

void AddHealthy(const std::vector<HealthyCell>& cells, FlatJson& json) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> totals;
  std::map<std::string, uint64_t> kinds;
  uint64_t all_steps = 0;
  for (int kind = 0; kind < detect::kKindCount; ++kind) {
    kinds[detect::KindName(static_cast<detect::Kind>(kind))] = 0;
  }
  for (const HealthyCell& cell : cells) {
    const HealthyCount& count = cell.count;
    uint64_t alarms = 0;
    for (const auto& [kind, fired] : count.alarms) {
      alarms += fired;
      kinds[kind] += fired;
    }
    all_steps += count.steps;
    const std::string key = "healthy." + cell.healthy.name;
    const std::string suffix = ".false_alarms_per_million_steps";
    json.Add(key + "." + cell.world + ".target_1000" + suffix,
             PerMillion(count.strict_alarms, count.strict_steps));
    if (count.steps == 0) continue;
    json.Add(key + "." + cell.world + suffix, PerMillion(alarms, count.steps));
    json.Add(key + "." + cell.world + ".steps",
             static_cast<double>(count.steps));
    const auto add = [&](const std::string& name, uint64_t number) {
      totals[name].first += number;
      totals[name].second += count.steps;
    };
    add(key + suffix, alarms);
    for (int i = 0; i < Rules::kCount; ++i) {
      add(std::string("baseline.") + Rules::kNames[i] + "." + key + suffix,
          count.rule_alarms[i]);
    }
  }
  for (const auto& [name, total] : totals) {
    json.Add(name, PerMillion(total.first, total.second));
  }
  for (const auto& [kind, fired] : kinds) {
    if (all_steps == 0) break;
    json.Add("healthy." + kind + ".false_alarms_per_million_steps",
             PerMillion(fired, all_steps));
  }
}

int Main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    settings.quick |= std::strcmp(argv[i], "--quick") == 0;
    settings.all_frames |= std::strcmp(argv[i], "--all-frames") == 0;
    settings.strict_only |= std::strcmp(argv[i], "--strict-only") == 0;
  }
  const uint64_t reduction = settings.quick ? 30 : 1;
  std::vector<HealthyCell> healthy;
  std::vector<uint64_t> frames;
  for (const HealthyCase& each : testing::HealthyCases()) {
    for (uint32_t ranks : kWorlds) {
      HealthyCase with = each;
      with.options.ranks = ranks;
      healthy.push_back({with, WorldName(ranks), {}});
      const uint64_t share = settings.all_frames || ranks <= 8 ? 1
                             : ranks == 64                     ? 10
                                                               : 100;
      frames.push_back(1'000'000 / share / reduction);
    }
    HealthyCase sketched = each;
    sketched.options.sketch_width = 64;
    healthy.push_back({sketched, "n8_sketches", {}});
    frames.push_back(200'000 / 3 / reduction);
  }
  std::vector<FaultCell> faults;
  for (const FaultCase& fault : kFaults) {
    if (settings.strict_only) break;
    for (uint32_t ranks : kWorlds) faults.push_back({&fault, ranks, {}});
  }
  std::mutex progress;
  std::vector<std::function<void()>> jobs;
  for (size_t i = 0; i < healthy.size(); ++i) {
    jobs.push_back([&, i] {
      HealthyCell& cell = healthy[i];
      cell.count = CountHealthy(cell.healthy, frames[i],
                                settings.strict_only ? 0 : 3 * frames[i]);
      const std::lock_guard<std::mutex> lock(progress);
      std::fprintf(stderr,
                   "healthy %s %s: %llu alarms of %llu at target 1000\n",
                   cell.healthy.name.c_str(), cell.world.c_str(),
                   static_cast<unsigned long long>(cell.count.strict_alarms),
                   static_cast<unsigned long long>(cell.count.strict_steps));
      for (const auto& [kind, fired] : cell.count.alarms) {
        std::fprintf(stderr, "  %s: %llu in %llu\n", kind.c_str(),
                     static_cast<unsigned long long>(fired),
                     static_cast<unsigned long long>(cell.count.steps));
      }
    });
  }
  for (FaultCell& cell : faults) {
    jobs.push_back([&] {
      const int runs = cell.ranks <= 8 ? 200 : cell.ranks == 64 ? 60 : 15;
      cell.count = CountFault(*cell.fault, cell.ranks,
                              settings.quick ? std::max(runs / 15, 2) : runs);
      const Outcome& found = cell.count.muster;
      const std::lock_guard<std::mutex> lock(progress);
      std::fprintf(stderr, "%s n%u: %zu of %d, median %g, %d right, %d early\n",
                   cell.fault->name, cell.ranks, found.delays.size(),
                   found.runs, found.Quantile(0.5), found.right_rank,
                   found.early);
    });
  }
  RunAll(jobs);

  FlatJson json;
  AddHealthy(healthy, json);
  for (const FaultCell& cell : faults) {
    const std::string key =
        std::string("fault.") + cell.fault->name + "." + WorldName(cell.ranks);
    AddOutcome(key, cell.count.muster, json);
    for (int i = 0; i < Rules::kCount; ++i) {
      AddOutcome(std::string("baseline.") + Rules::kNames[i] + "." + key,
                 cell.count.rules[i], json);
    }
  }
  return json.WriteIfAsked(argc, argv) ? 0 : 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) { return muster::bench::Main(argc, argv); }
