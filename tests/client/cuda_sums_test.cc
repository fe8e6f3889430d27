// What a GPU's threads add up, run on the CPU: against the sketch itself, and
// against itself in other orders.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "client/cuda/sums.h"
#include "muster/sketch.h"

namespace muster::cuda {
namespace {

using Order = std::vector<uint64_t>;

// Items of an observation, one for each thread that a GPU would run.
uint64_t ItemCount(const Observation& seen, DataType type) {
  return uint64_t{seen.rows} * (seen.width / VectorElements(type));
}

Order Ascending(uint64_t count) {
  Order order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

template <DataType type>
void RunItem(const Observation& seen, uint64_t item,
             std::vector<double>& sums) {
  const uint32_t items = seen.width / VectorElements(type);
  const uint32_t row = item / items;
  const uint32_t of_row = item % items;
  const OwnHashes hashes(seen, of_row * VectorElements(type));
  double* place = sums.data() + size_t{row} * RowDoubles(seen.width);
  if (seen.base % 16 == 0) {
    SumItem<type, true>(seen, row, of_row, hashes, place);
  } else {
    SumItem<type, false>(seen, row, of_row, hashes, place);
  }
}

// The sums of a step on a device.
class Step {
 public:
  explicit Step(const SketchSpec& spec) : spec_(spec) {}

  Observation Observe(uint64_t offset, const void* data, uint64_t count,
                      DataType type) {
    const Observation seen = MakeObservation(offset, data, count, type, spec_);
    Observe(seen, type, Ascending(ItemCount(seen, type)));
    return seen;
  }
  void Observe(const Observation& seen, DataType type, const Order& order) {
    rows_ = std::max(rows_, seen.rows);
    sums_.resize(size_t{rows_} * RowDoubles(spec_.width));
    for (const uint64_t item : order) {
      switch (type) {
        case DataType::kFloat32:
          RunItem<DataType::kFloat32>(seen, item, sums_);
          break;
        case DataType::kFloat16:
          RunItem<DataType::kFloat16>(seen, item, sums_);
          break;
        case DataType::kBFloat16:
          RunItem<DataType::kBFloat16>(seen, item, sums_);
          break;
      }
    }
  }

  // One row: the sums over all rows, as the passes of a device take them.
  std::vector<double> Reduce() {
    const uint32_t doubles = RowDoubles(spec_.width);
    std::vector<double> from = sums_;
    uint32_t rows = rows_;
    do {
      std::vector<double> to(Groups(rows) * doubles);
      for (uint32_t group = 0; group < Groups(rows); ++group) {
        for (uint32_t column = 0; column < doubles; ++column) {
          ReduceColumn(from.data(), rows, doubles, group, column, true,
                       to.data());
        }
      }
      EXPECT_EQ(from, std::vector<double>(from.size()));
      rows = Groups(rows);
      from = to;
    } while (rows > 1);
    return from;
  }

 private:
  const SketchSpec spec_;
  std::vector<double> sums_;
  uint32_t rows_ = 0;
};

struct Totals {
  std::vector<double> values;
  double squares = 0;
  double nonfinite = 0;
};

Totals TotalsOf(const std::vector<double>& row, uint32_t width) {
  const auto squares = row.begin() + width;
  const auto counts = squares + width / 4;
  return {{row.begin(), squares},
          std::accumulate(squares, counts, 0.0),
          std::accumulate(counts, row.end(), 0.0)};
}

uint16_t BFloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

// `values` as elements of `type`, `shift` bytes behind an alignment of 64.
class Memory {
 public:
  Memory(const std::vector<float>& values, DataType type, size_t shift)
      : bytes_(values.size() * SizeOf(type) + 64 + shift) {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    data_ = bytes_.data() + (64 - address % 64) % 64 + shift;
    for (size_t i = 0; i < values.size(); ++i) {
      unsigned char* place = data_ + i * SizeOf(type);
      if (type == DataType::kFloat32) {
        std::memcpy(place, &values[i], 4);
      } else {
        const uint16_t bits = type == DataType::kFloat16
                                  ? FloatToHalf(values[i])
                                  : BFloat16(values[i]);
        std::memcpy(place, &bits, 2);
      }
    }
  }
  const void* data() const { return data_; }

 private:
  std::vector<unsigned char> bytes_;
  unsigned char* data_;
};

std::vector<float> Integers(size_t count) {
  std::minstd_rand random(7);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<int>(random() % 31) - 15;
  return values;
}

std::vector<float> Gaussian(size_t count, float scale) {
  std::minstd_rand random(11);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16,
                               DataType::kBFloat16};

TEST(CudaSumsTest, AgreesWithTheSketchToTheLastBitOnIntegers) {
  for (const uint32_t width : {64u, 1024u, 4096u}) {
    for (const DataType type : kTypes) {
      for (const uint64_t offset : {uint64_t{0}, uint64_t{5}, uint64_t{1024},
                                    (uint64_t{1} << 35) + 77}) {
        for (const size_t count :
             {size_t{1}, size_t{63}, size_t{1024}, size_t{100'003}}) {
          for (const size_t shift : {0, 1, 2, 4, 7, 8, 14}) {
            const SketchSpec spec{.width = width};
            const std::vector<float> values = Integers(count);
            const Memory memory(values, type, shift);
            Step step(spec);
            step.Observe(offset, memory.data(), count, type);
            const Totals totals = TotalsOf(step.Reduce(), width);
            Sketch sketch(spec);
            sketch.Add(offset, memory.data(), count, type);
            ASSERT_EQ(totals.values, sketch.values())
                << width << " " << static_cast<int>(type) << " " << offset
                << " " << count << " " << shift;
            ASSERT_EQ(totals.squares, sketch.squared_norm());
            ASSERT_EQ(totals.nonfinite, 0);
          }
        }
      }
    }
  }
}

TEST(CudaSumsTest, AddsUpChunksInAnyOrder) {
  const SketchSpec spec{.width = 64};
  const std::vector<float> values = Integers(60'000);
  Step step(spec);
  for (const auto& [begin, end] : std::vector<std::pair<size_t, size_t>>{
           {40'001, 60'000}, {0, 3}, {517, 40'001}, {3, 517}}) {
    step.Observe(9 + begin, values.data() + begin, end - begin,
                 DataType::kFloat32);
  }
  Sketch sketch(spec);
  sketch.Add(9, values.data(), values.size(), DataType::kFloat32);
  const Totals totals = TotalsOf(step.Reduce(), spec.width);
  EXPECT_EQ(totals.values, sketch.values());
  EXPECT_EQ(totals.squares, sketch.squared_norm());
}

TEST(CudaSumsTest, TheOrderOfThreadsChangesNoBit) {
  const SketchSpec spec{.width = 1024};
  const size_t count = 700'001;
  for (const DataType type : kTypes) {
    const Memory memory(Gaussian(count, 1e-3f), type, 2);
    Step ascending(spec);
    const Observation seen = ascending.Observe(13, memory.data(), count, type);
    ASSERT_GT(seen.rows, 8u);
    Order order = Ascending(ItemCount(seen, type));
    std::shuffle(order.begin(), order.end(), std::minstd_rand(3));
    Step shuffled(spec);
    shuffled.Observe(seen, type, order);
    EXPECT_EQ(ascending.Reduce(), shuffled.Reduce());
  }
}

TEST(CudaSumsTest, IsCloseToTheSketchForAllMagnitudes) {
  const SketchSpec spec{.width = 256};
  const size_t count = 300'000;
  for (const float scale :
       {1e-30f, 1e-18f, 1e-3f, 1e10f, 1e18f, 1e30f, 1e35f}) {
    const std::vector<float> values = Gaussian(count, scale);
    long double squares = 0;
    for (const float value : values) {
      squares += static_cast<long double>(value) * value;
    }
    Step step(spec);
    step.Observe(3, values.data(), count, DataType::kFloat32);
    const Totals totals = TotalsOf(step.Reduce(), spec.width);
    EXPECT_NEAR(static_cast<double>(totals.squares / squares), 1, 1e-6)
        << scale;
    Sketch sketch(spec);
    sketch.Add(3, values.data(), count, DataType::kFloat32);
    // Each of the buckets' float32 sums has 64 addends at most; what they lose
    // is far below a standard deviation of the sum.
    const double allowed = 1e-5 * scale * std::sqrt(double{count} / spec.width);
    for (uint32_t i = 0; i < spec.width; ++i) {
      ASSERT_NEAR(totals.values[i], sketch.values()[i], allowed) << scale;
    }
  }
}

TEST(CudaSumsTest, CountsAndLeavesOutWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const SketchSpec spec{.width = 64};
  for (const DataType type : kTypes) {
    std::vector<float> values = Integers(5000);
    std::vector<float> finite = values;
    const std::vector<std::pair<size_t, float>> bad = {{0, kNan},
                                                       {700, kInfinity},
                                                       {701, -kInfinity},
                                                       {2048, -kNan},
                                                       {4999, kInfinity}};
    for (const auto& [at, value] : bad) {
      values[at] = value;
      finite[at] = 0;
    }
    const Memory memory(values, type, 0);
    Step step(spec);
    step.Observe(0, memory.data(), values.size(), type);
    const Totals totals = TotalsOf(step.Reduce(), spec.width);
    Sketch sketch(spec);
    sketch.Add(0, finite.data(), finite.size(), DataType::kFloat32);
    EXPECT_EQ(totals.nonfinite, 5);
    EXPECT_EQ(totals.values, sketch.values());
    EXPECT_EQ(totals.squares, sketch.squared_norm());
  }
}

TEST(CudaSumsTest, ReadsSmallestHalvesAndLargestElements) {
  const SketchSpec spec{.width = 64};
  const uint16_t halves[] = {0x0001, 0x8001, 0x03FF, 0x7BFF, 0xFBFF, 0x0000};
  Step step(spec);
  step.Observe(0, halves, 6, DataType::kFloat16);
  const float largest[] = {3e38f, -3e38f, 3.4e38f};
  step.Observe(640, largest, 3, DataType::kFloat32);
  const Totals totals = TotalsOf(step.Reduce(), spec.width);
  double squares =
      2 * 0x1p-48 + std::pow(1023 * 0x1p-24, 2) + 2 * 65504.0 * 65504;
  for (const float value : largest)
    squares += static_cast<double>(value) * value;
  EXPECT_DOUBLE_EQ(totals.squares, squares);
  EXPECT_EQ(totals.nonfinite, 0);
  for (const double value : totals.values) EXPECT_TRUE(std::isfinite(value));
}

// Sums in float32 stay within 64 blocks, so that elements of 1e35 cannot
// overflow them, and rounding stays that of so many addends.
TEST(CudaSumsTest, DealsEveryBlockOnceWhateverTheLength) {
  for (const uint32_t width : {64u, 1024u, 65536u}) {
    const SketchSpec spec{.width = width};
    for (const uint64_t count : {uint64_t{1}, uint64_t{width},
                                 uint64_t{1'000'000'000}, kMaxElements}) {
      const Observation seen =
          MakeObservation(1, nullptr, count, DataType::kBFloat16, spec);
      EXPECT_GE(seen.rows, 1u);
      EXPECT_LE(seen.rows, MaxRows(width));
      const uint64_t blocks = count / width + 1;
      EXPECT_GE(seen.batches * kBatchBlocks, blocks);
      EXPECT_LT((seen.batches - 1) * kBatchBlocks, blocks);
      EXPECT_LT(seen.batches, UINT64_MAX / seen.rows);
    }
  }
}

}  // namespace
}  // namespace muster::cuda
