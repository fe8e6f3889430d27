// What the sketch costs beside what cannot be avoided: reading the gradient
// once, and computing its norm. Each iteration takes all three in turn, so that
// their ratio survives a noisy machine.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "muster/sketch.h"

namespace muster {
namespace {

// Far larger than any last-level cache.
constexpr size_t kBytes = size_t{256} << 20;

double Seconds(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

uint64_t Read(const std::vector<uint64_t>& words) {
  uint64_t folded = 0;
  for (uint64_t word : words) folded ^= word;
  return folded;
}

// The norm of the same bytes as float32, in sums that vectorise.
float SquaredNorm(const std::vector<uint64_t>& words) {
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  float x[kLanes];
  for (size_t i = 0; i < words.size(); i += kLanes / 2) {
    std::memcpy(x, &words[i], sizeof(x));
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += x[lane] * x[lane];
    }
  }
  float total = 0;
  for (float sum : sums) total += sum;
  return total;
}

// kBytes of normal numbers. A megabyte over and over: the sketch does not care.
std::vector<uint64_t> Gradient(DataType type) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::string megabyte;
  while (megabyte.size() < size_t{1} << 20) {
    const float x = normal(random);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    if (type == DataType::kFloat16) bits = FloatToHalf(x);
    if (type == DataType::kBFloat16) bits >>= 16;
    megabyte.append(reinterpret_cast<const char*>(&bits), SizeOf(type));
  }
  std::vector<uint64_t> words(kBytes / sizeof(uint64_t));
  for (size_t at = 0; at < kBytes; at += megabyte.size()) {
    std::memcpy(reinterpret_cast<char*>(words.data()) + at, megabyte.data(),
                megabyte.size());
  }
  return words;
}

void BM_Sketch(benchmark::State& state, DataType type) {
  const std::vector<uint64_t> words = Gradient(type);
  Sketch sketch({.width = static_cast<uint32_t>(state.range(0))});
  double read_seconds = 0, norm_seconds = 0, sketch_seconds = 0;
  for (auto _ : state) {
    read_seconds += Seconds([&] { benchmark::DoNotOptimize(Read(words)); });
    norm_seconds +=
        Seconds([&] { benchmark::DoNotOptimize(SquaredNorm(words)); });
    const double seconds = Seconds([&] {
      sketch.Reset();
      sketch.Add(0, words.data(), kBytes / SizeOf(type), type);
    });
    state.SetIterationTime(seconds);
    sketch_seconds += seconds;
  }
  if (sketch.nonfinite_count() > 0) {
    state.SkipWithError("the slow path for non-finite elements was measured");
  }
  const double total_bytes = static_cast<double>(kBytes) * state.iterations();
  state.counters["read_GB/s"] = total_bytes / read_seconds / 1e9;
  state.counters["sketch_GB/s"] = total_bytes / sketch_seconds / 1e9;
  state.counters["sketch/read"] = sketch_seconds / read_seconds;
  state.counters["sketch/norm"] = sketch_seconds / norm_seconds;
}

BENCHMARK_CAPTURE(BM_Sketch, float32, DataType::kFloat32)
    ->Arg(1024)
    ->Arg(65536)
    ->UseManualTime();
BENCHMARK_CAPTURE(BM_Sketch, float16, DataType::kFloat16)
    ->Arg(1024)
    ->UseManualTime();
BENCHMARK_CAPTURE(BM_Sketch, bfloat16, DataType::kBFloat16)
    ->Arg(1024)
    ->UseManualTime();

}  // namespace
}  // namespace muster

BENCHMARK_MAIN();
