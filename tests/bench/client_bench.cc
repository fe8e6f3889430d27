// What the client costs beside what cannot be avoided. Each ratio is the median
// of paired runs, in turn in one process, so that it survives a noisy machine.
//   client_bench [--json FILE] [--only sketch] [--mebibytes N] [--pairs N]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "client/src/sketch_hash.h"
#include "hwy/highway.h"
#include "muster/sketch.h"
#include "tests/bench/sum_of_squares.h"

namespace muster::bench {
namespace {

// In the second-level cache, not in the first.
constexpr size_t kCacheBytes = size_t{1} << 20;
// The hashed sketch is so slow that it gets less to do.
constexpr size_t kHashedBytes = size_t{32} << 20;

struct Options {
  const char* json = nullptr;
  std::string_view only = "sketch";
  size_t bytes = size_t{1} << 30;
  int pairs = 31;
};

// Aligned as PyTorch aligns its tensors.
struct alignas(64) Line {
  unsigned char bytes[64];
};
using Elements = std::vector<Line>;

struct Summary {
  double median, low, high;
};

using Work = std::function<void()>;

double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// Median, and its distribution-free interval of 95 %: the order statistics
// n/2 ± 1.96·√n/2.
Summary Summarize(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double n = static_cast<double>(values.size());
  const double reach = 0.98 * std::sqrt(n);
  const auto low = static_cast<size_t>(std::max(0.0, n / 2 - reach));
  return {values[values.size() / 2], values[low],
          values[values.size() - 1 - low]};
}

// Ratio of the times of `work` and `base`, the one or the other first in turn.
// `median_seconds`, if not null, receives the median time of `work`.
Summary Compare(int pairs, const Work& work, const Work& base,
                double* median_seconds = nullptr) {
  std::vector<double> ratios, seconds;
  Seconds(base);
  Seconds(work);
  for (int i = 0; i < pairs; ++i) {
    const double before = i % 2 ? Seconds(base) : 0;
    seconds.push_back(Seconds(work));
    ratios.push_back(seconds.back() / (i % 2 ? before : Seconds(base)));
  }
  if (median_seconds != nullptr) *median_seconds = Summarize(seconds).median;
  return Summarize(ratios);
}

// Normal numbers. A mebibyte over and over: neither side cares.
Elements Gradient(DataType type, size_t bytes) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::string mebibyte;
  while (mebibyte.size() < size_t{1} << 20) {
    const float x = normal(random);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    if (type == DataType::kFloat16) bits = FloatToHalf(x);
    if (type == DataType::kBFloat16) bits >>= 16;
    mebibyte.append(reinterpret_cast<const char*>(&bits), SizeOf(type));
  }
  Elements words(bytes / sizeof(Line));
  for (size_t at = 0; at < bytes; at += mebibyte.size()) {
    std::memcpy(reinterpret_cast<char*>(words.data()) + at, mebibyte.data(),
                mebibyte.size());
  }
  return words;
}

// Keeps a result from being optimised away.
volatile float sink;

Work SketchOf(Sketch& sketch, const Elements& words, size_t bytes,
              DataType type, int times = 1) {
  return [&sketch, data = words.data(), bytes, type, times] {
    for (int i = 0; i < times; ++i) {
      sketch.Reset();
      sketch.Add(0, data, bytes / SizeOf(type), type);
    }
  };
}

Work SumOf(const Elements& words, size_t bytes, DataType type, int variant,
           int times = 1) {
  return [data = words.data(), bytes, type, variant, times] {
    for (int i = 0; i < times; ++i) {
      sink = SumOfSquares(data, bytes, type, variant);
    }
  };
}

// The variant of the sum that is fastest on this memory.
int FastestSum(const Elements& words, size_t bytes, DataType type, int times) {
  std::vector<double> seconds[kSumVariants];
  for (int round = 0; round < 7; ++round) {
    for (int v = 0; v < kSumVariants; ++v) {
      seconds[v].push_back(Seconds(SumOf(words, bytes, type, v, times)));
    }
  }
  int fastest = 0;
  for (int v = 1; v < kSumVariants; ++v) {
    if (Summarize(seconds[v]).median < Summarize(seconds[fastest]).median) {
      fastest = v;
    }
  }
  return fastest;
}

// A count sketch as the textbook has it: bucket and sign of each element from a
// hash of its index.
void HashedSketch(const Elements& words, size_t bytes,
                  std::vector<float>& sums) {
  const auto* data = reinterpret_cast<const unsigned char*>(words.data());
  for (size_t i = 0; i < bytes / sizeof(float); ++i) {
    float x;
    std::memcpy(&x, data + i * sizeof(x), sizeof(x));
    const uint64_t hash = Mix64(i);
    sums[hash % sums.size()] += hash >> 63 ? -x : x;
  }
}

class Report {
 public:
  void Add(const std::string& key, const Summary& summary) {
    numbers_[key] = summary.median;
    std::printf("%-46s %8.3f   [%.3f, %.3f]\n", key.c_str(), summary.median,
                summary.low, summary.high);
    std::fflush(stdout);
  }

  void AddNumber(const std::string& key, double number) {
    numbers_[key] = number;
    std::printf("%-46s %8.3f\n", key.c_str(), number);
  }

  // One flat object. False if the file cannot be written.
  bool Write(const char* path) const {
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) return false;
    const char* separator = "{\n";
    for (const auto& [key, number] : numbers_) {
      std::fprintf(file, "%s  \"%s\": %.6g", separator, key.c_str(), number);
      separator = ",\n";
    }
    std::fprintf(file, "\n}\n");
    return std::fclose(file) == 0;
  }

 private:
  std::map<std::string, double> numbers_;
};

void MeasureFloat32(const Options& options, Report& report) {
  constexpr DataType kType = DataType::kFloat32;
  const Elements words = Gradient(kType, options.bytes);
  const int variant = FastestSum(words, options.bytes, kType, 1);
  std::printf("fastest sum of squares: prefetch %zu bytes ahead\n",
              kPrefetchBytes[variant]);
  const Work sum = SumOf(words, options.bytes, kType, variant);
  double seconds;
  for (const uint32_t width : {1024u, 4096u, 65536u}) {
    Sketch sketch({.width = width});
    const std::string key = "sketch.f32.k" + std::to_string(width);
    report.Add(
        key + ".over_sum_of_squares",
        Compare(options.pairs, SketchOf(sketch, words, options.bytes, kType),
                sum, &seconds));
    const double rate = static_cast<double>(options.bytes) / seconds / 1e9;
    report.AddNumber(key + ".gb_per_s", rate);
  }

  Sketch sketch(SketchSpec{});
  const int times = 64;
  const int cached = FastestSum(words, kCacheBytes, kType, times);
  report.Add(
      "sketch.f32.k1024.in_cache_over_sum_of_squares",
      Compare(options.pairs, SketchOf(sketch, words, kCacheBytes, kType, times),
              SumOf(words, kCacheBytes, kType, cached, times)));

  std::vector<float> hashed(1024);
  report.Add(
      "sketch.f32.k1024.speedup_over_hashed",
      Compare(
          options.pairs, [&] { HashedSketch(words, kHashedBytes, hashed); },
          SketchOf(sketch, words, kHashedBytes, kType)));
  report.Add(
      "sketch.f32.k1024.in_cache_speedup_over_hashed",
      Compare(
          options.pairs, [&] { HashedSketch(words, kCacheBytes, hashed); },
          SketchOf(sketch, words, kCacheBytes, kType)));

#if HWY_ARCH_X86
  // The sum keeps its wider vectors.
  const auto narrow = [](const Work& work) {
    return [&work] {
      hwy::SetSupportedTargetsForTest(HWY_AVX2);
      work();
      hwy::SetSupportedTargetsForTest(0);
    };
  };
  report.Add(
      "sketch.f32.k1024.avx2_over_sum_of_squares",
      Compare(options.pairs,
              narrow(SketchOf(sketch, words, options.bytes, kType)), sum));
#endif
  if (sketch.nonfinite_count() > 0) std::abort();
}

void MeasureHalves(const Options& options, DataType type, const char* name,
                   Report& report) {
  const Elements words = Gradient(type, options.bytes);
  Sketch sketch(SketchSpec{});
  double seconds;
  // float16 is compared with the sum of as many bytes of bfloat16.
  const DataType summed = DataType::kBFloat16;
  const int variant = FastestSum(words, options.bytes, summed, 1);
  const std::string key = std::string("sketch.") + name + ".k1024";
  report.Add(
      key + ".over_sum_of_squares",
      Compare(options.pairs, SketchOf(sketch, words, options.bytes, type),
              SumOf(words, options.bytes, summed, variant), &seconds));
  const double rate = static_cast<double>(options.bytes) / seconds / 1e9;
  report.AddNumber(key + ".gb_per_s", rate);
}

int Run(const Options& options) {
  std::printf("%-46s %8s   95 %% interval, %d pairs, %zu MiB\n", "key",
              "median", options.pairs, options.bytes >> 20);
  Report report;
  if (options.only.find("sketch") != std::string_view::npos) {
    MeasureFloat32(options, report);
    MeasureHalves(options, DataType::kBFloat16, "bf16", report);
    MeasureHalves(options, DataType::kFloat16, "f16", report);
  }
  if (options.json != nullptr && !report.Write(options.json)) {
    std::fprintf(stderr, "client_bench: cannot write %s\n", options.json);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
  muster::bench::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) {
      std::fprintf(stderr, "client_bench: %s needs a value\n", argv[i]);
      return 2;
    }
    const char* value = argv[i + 1];
    if (name == "--json") {
      options.json = value;
    } else if (name == "--only") {
      options.only = value;
    } else if (name == "--mebibytes" && std::atoi(value) >= 32) {
      options.bytes = static_cast<size_t>(std::atoi(value)) << 20;
    } else if (name == "--pairs" && std::atoi(value) >= 1) {
      options.pairs = std::atoi(value);
    } else {
      std::fprintf(stderr,
                   "usage: client_bench [--json FILE] [--only sketch] "
                   "[--mebibytes N≥32] [--pairs N≥1]\n");
      return 2;
    }
  }
  return muster::bench::Run(options);
}
