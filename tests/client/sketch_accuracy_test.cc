// The error of sketched cosines on fixed pairs of vectors, over many seeds.
//
// Random vectors under one seed would prove nothing: a sketch without any hash
// passes them. So the pairs are fixed, of kinds that real gradients have, and
// the hash is what varies.
//
// Bounds: with 500 seeds the ratio of root mean square error to prediction has
// a standard error of about 0.03, so the band 0.85 … 1.15 is about 4.7 of them;
// the bias is allowed 4. Seeds are fixed: a healthy sketch does not fail by
// chance on another day.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "client/src/sketch_hash.h"
#include "muster/sketch.h"

namespace muster {
namespace {

constexpr uint32_t kWidth = 1024;
constexpr size_t kElements = 2 * 65536 + 37;
constexpr int kSeeds = 500;

using Vector = std::vector<float>;

struct Pair {
  std::string kind;
  Vector u, v;
};

double Dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  return sum;
}

double Cosine(const Vector& a, const Vector& b) {
  return Dot(a, b) / std::sqrt(Dot(a, a) * Dot(b, b));
}

// Two Gaussian vectors of cosine near 0.3, each element i scaled by weight(i).
Pair Weighted(std::string kind, uint64_t seed,
              const std::function<double(size_t)>& weight) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Pair pair{std::move(kind), Vector(kElements), Vector(kElements)};
  for (size_t i = 0; i < kElements; ++i) {
    const double a = normal(random), b = normal(random);
    pair.u[i] = static_cast<float>(weight(i) * a);
    pair.v[i] = static_cast<float>(weight(i) * (0.3 * a + std::sqrt(0.91) * b));
  }
  return pair;
}

std::vector<Pair> FixedPairs() {
  std::vector<Pair> pairs;
  pairs.push_back(Weighted("dense", 1, [](size_t) { return 1.0; }));

  Pair constant{"constant", Vector(kElements, 1), Vector(kElements, 1)};
  for (size_t i = kElements * 65 / 100; i < kElements; ++i) constant.v[i] = -1;
  pairs.push_back(constant);

  // Nine tenths and more of the energy in one column.
  pairs.push_back(Weighted("heavy column at stride k", 2, [](size_t i) {
    return i % kWidth == 37 ? 100.0 : 1.0;
  }));
  pairs.push_back(Weighted("heavy column at stride 64", 3,
                           [](size_t i) { return i % 64 == 5 ? 30.0 : 1.0; }));

  Pair repeated = Weighted("block-repeated", 4, [](size_t) { return 1.0; });
  for (size_t i = kWidth; i < kElements; ++i) {
    repeated.u[i] = repeated.u[i - kWidth];
    repeated.v[i] = repeated.v[i - kWidth];
  }
  pairs.push_back(repeated);

  // 32 of 170 rows of 768 were looked up; the others have no gradient at all.
  pairs.push_back(Weighted("few embedding rows", 5, [](size_t i) {
    return Mix64(i / 768) % 5 == 0 ? 1.0 : 0.0;
  }));
  return pairs;
}

using Projection =
    std::function<std::vector<double>(const Vector& x, uint64_t seed)>;

std::vector<double> Project(const Vector& x, uint64_t seed) {
  Sketch sketch({.width = kWidth, .seed = seed});
  sketch.Add(0, x.data(), x.size(), DataType::kFloat32);
  return sketch.values();
}

// What is left of the sketch when r_b is 0: each column has its own bucket.
std::vector<double> ProjectWithoutPermutation(const Vector& x, uint64_t seed) {
  std::vector<double> sums(kWidth);
  for (size_t i = 0; i < x.size(); ++i) {
    const bool negative = (SignWord(SignKey(seed), i / 64) >> (i % 64)) & 1;
    sums[i % kWidth] += negative ? -x[i] : x[i];
  }
  return sums;
}

// What is left of it without signs.
std::vector<double> ProjectWithoutSigns(const Vector& x, uint64_t seed) {
  std::vector<double> sums(kWidth);
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t permutation =
        LanePermutation(PermutationKey(seed), i / kWidth, kWidth);
    sums[(i % kWidth) ^ permutation] += x[i];
  }
  return sums;
}

struct Error {
  double rms_over_predicted;
  double bias_in_standard_errors;
};

Error Measure(const Pair& pair, const std::string& seeds_name,
              const std::vector<uint64_t>& seeds, const Projection& project) {
  const double rho = Cosine(pair.u, pair.v);
  double sum = 0, squares = 0;
  for (uint64_t seed : seeds) {
    const std::vector<double> a = project(pair.u, seed);
    const std::vector<double> b = project(pair.v, seed);
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      ab += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    const double error = ab / std::sqrt(aa * bb) - rho;
    sum += error;
    squares += error * error;
  }
  const double n = static_cast<double>(seeds.size());
  const double mean = sum / n;
  const double stddev = std::sqrt((squares / n - mean * mean) * n / (n - 1));
  const double predicted = (1 - rho * rho) / std::sqrt(double{kWidth});
  const Error error{std::sqrt(squares / n) / predicted,
                    mean / (stddev / std::sqrt(n))};
  std::printf("%-26s %-11s rms/predicted %6.3f  bias %+.1f se\n",
              pair.kind.c_str(), seeds_name.c_str(), error.rms_over_predicted,
              error.bias_in_standard_errors);
  return error;
}

std::vector<uint64_t> RandomSeeds() {
  std::mt19937_64 random(11);
  std::vector<uint64_t> seeds(kSeeds);
  for (uint64_t& seed : seeds) seed = random();
  return seeds;
}

// People number their seeds.
std::vector<uint64_t> ConsecutiveSeeds() {
  std::vector<uint64_t> seeds(kSeeds);
  for (int i = 0; i < kSeeds; ++i) seeds[i] = static_cast<uint64_t>(i);
  return seeds;
}

TEST(SketchAccuracyTest, CosineErrorIsAsPredicted) {
  for (const Pair& pair : FixedPairs()) {
    for (const Error& error :
         {Measure(pair, "random", RandomSeeds(), Project),
          Measure(pair, "consecutive", ConsecutiveSeeds(), Project)}) {
      EXPECT_GE(error.rms_over_predicted, 0.85) << pair.kind;
      EXPECT_LE(error.rms_over_predicted, 1.15) << pair.kind;
      EXPECT_LE(std::fabs(error.bias_in_standard_errors), 4) << pair.kind;
    }
  }
}

// The pairs must be able to tell a sketch from a worse one.
TEST(SketchAccuracyTest, HeavyColumnExposesAMissingPermutation) {
  const Pair pair = FixedPairs()[2];
  ASSERT_EQ(pair.kind, "heavy column at stride k");
  const Error error = Measure(pair, "consecutive", ConsecutiveSeeds(),
                              ProjectWithoutPermutation);
  EXPECT_GT(error.rms_over_predicted, 5);
}

TEST(SketchAccuracyTest, ConstantVectorExposesMissingSigns) {
  const Pair pair = FixedPairs()[1];
  ASSERT_EQ(pair.kind, "constant");
  const Error error =
      Measure(pair, "consecutive", ConsecutiveSeeds(), ProjectWithoutSigns);
  EXPECT_GT(error.rms_over_predicted, 5);
}

}  // namespace
}  // namespace muster
