// What EndStep costs the training thread, with a daemon at the other end.
//   end_step_bench ADDRESS [--json FILE] [--steps N]
//
// A step observes a small gradient, so that EndStep has a sketch to normalise,
// to encode and to clear; the sketching itself is left out of the time. Then
// the thread computes, as training does, for as long as `Regime` says.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "muster/client.h"
#include "tests/testing/count_allocations.h"

namespace muster::bench {
namespace {

using muster::testing::t_allocations;
using muster::testing::t_counting;

using std::chrono::microseconds;
using std::chrono::steady_clock;

// Four blocks of the sketch: all its lanes are filled.
constexpr size_t kElements = 4 * 1024;
constexpr uint64_t kWarmUpSteps = 300;

struct Regime {
  const char* prefix;  // of the keys
  const char* run;
  microseconds pause;  // between two steps
  uint64_t steps_divisor;
};

constexpr Regime kRegimes[] = {
    // The sender is at work all the time, and keeps up.
    {"end_step.", "busy", microseconds(100), 1},
    // Reports are made faster than they can be sent: the ring is full, and both
    // threads want it at once.
    {"end_step.no_pause.", "no-pause", microseconds(0), 1},
    // The sender sleeps: each step has to wake it.
    {"end_step.woken.", "woken", microseconds(10'000), 200},
};

struct Options {
  std::string address;
  const char* json = nullptr;
  uint64_t steps = 100'000;
};

struct Outcome {
  std::vector<double> microseconds;  // of each EndStep, sorted
  uint64_t allocations = 0;          // of Observe and EndStep together
  Stats stats;
};

std::unique_ptr<Client> Start(const std::string& address, const char* run) {
  std::string error;
  std::unique_ptr<Client> client =
      Client::Start({.address = address, .run_id = run}, &error);
  if (client == nullptr) {
    std::fprintf(stderr, "end_step_bench: %s\n", error.c_str());
    std::exit(1);
  }
  const auto give_up = steady_clock::now() + std::chrono::seconds(10);
  while (!client->GetStats().connected) {
    if (steady_clock::now() > give_up) {
      std::fprintf(stderr, "end_step_bench: no daemon at %s\n",
                   address.c_str());
      std::exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return client;
}

Outcome Measure(const Options& options, const Regime& regime) {
  const uint64_t steps = options.steps / regime.steps_divisor;
  const std::vector<float> gradient(kElements, 0.5f);
  const std::unique_ptr<Client> client = Start(options.address, regime.run);
  Outcome outcome;
  outcome.microseconds.reserve(steps);
  for (uint64_t step = 0; step < kWarmUpSteps + steps; ++step) {
    const StepEnd end{.step = step, .loss = 1.0, .weight = 8};
    const bool measured = step >= kWarmUpSteps;
    t_counting = measured;
    client->Observe(0, gradient.data(), kElements, DataType::kFloat32);
    const auto start = steady_clock::now();
    client->EndStep(end);
    const auto stop = steady_clock::now();
    t_counting = false;
    if (measured) {
      outcome.microseconds.push_back(
          std::chrono::duration<double, std::micro>(stop - start).count());
    }
    while (steady_clock::now() < stop + regime.pause) {
    }
  }
  outcome.allocations = t_allocations;
  t_allocations = 0;
  outcome.stats = client->GetStats();
  std::sort(outcome.microseconds.begin(), outcome.microseconds.end());
  return outcome;
}

int Run(const Options& options) {
  std::map<std::string, double> numbers;
  for (const Regime& regime : kRegimes) {
    const std::string prefix = regime.prefix;
    const Outcome outcome = Measure(options, regime);
    const std::vector<double>& times = outcome.microseconds;
    numbers[prefix + "p50_us"] = times[times.size() / 2];
    numbers[prefix + "p99_us"] = times[times.size() * 99 / 100];
    numbers[prefix + "max_us"] = times.back();
    numbers[prefix + "allocations"] = static_cast<double>(outcome.allocations);
    const Stats& stats = outcome.stats;
    numbers[prefix + "sent_share"] =
        static_cast<double>(stats.sent) / static_cast<double>(stats.made);
    if (stats.made != kWarmUpSteps + times.size() ||
        stats.made != stats.acknowledged + stats.dropped + stats.queued) {
      std::fprintf(stderr, "end_step_bench: the counts do not add up\n");
      return 1;
    }
  }
  for (const auto& [key, number] : numbers) {
    std::printf("%-46s %8.3f\n", key.c_str(), number);
  }
  if (options.json == nullptr) return 0;
  std::FILE* file = std::fopen(options.json, "w");
  if (file == nullptr) {
    std::fprintf(stderr, "end_step_bench: cannot write %s\n", options.json);
    return 1;
  }
  const char* separator = "{\n";
  for (const auto& [key, number] : numbers) {
    std::fprintf(file, "%s  \"%s\": %.6g", separator, key.c_str(), number);
    separator = ",\n";
  }
  std::fprintf(file, "\n}\n");
  return std::fclose(file) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  muster::bench::Options options;
  bool good = argc % 2 == 0;
  if (good) options.address = argv[1];
  for (int i = 2; good && i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      options.json = argv[i + 1];
    } else if (name == "--steps" && std::atoll(argv[i + 1]) >= 1000) {
      options.steps = static_cast<uint64_t>(std::atoll(argv[i + 1]));
    } else {
      good = false;
    }
  }
  if (!good) {
    std::fprintf(
        stderr,
        "usage: end_step_bench ADDRESS [--json FILE] [--steps N≥1000]\n");
    return 2;
  }
  return muster::bench::Run(options);
}
