#include "daemon/history/columns.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace muster::history {
namespace {

using Doubles = std::vector<std::optional<double>>;
using Integers = std::vector<std::optional<uint64_t>>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(PackDoublesTest, IsEightLittleEndianBytesEach) {
  // 1.0 is 3FF0000000000000, -2.5 is C004000000000000.
  EXPECT_EQ(PackDoubles({1.0, -2.5}),
            std::string("\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\x04\xC0", 16));
  EXPECT_EQ(PackDoubles({std::nullopt, std::nullopt}), "");
}

TEST(PackDoublesTest, AbsentIsNotNaN) {
  const std::string packed =
      PackDoubles({std::nullopt, std::nan("7"), -0.0, kInfinity});
  Doubles values;
  ASSERT_TRUE(UnpackDoubles(packed, 4, values));
  EXPECT_FALSE(values[0]);
  EXPECT_TRUE(std::isnan(values[1].value()));
  EXPECT_TRUE(std::signbit(values[2].value()));
  EXPECT_EQ(values[3], kInfinity);
  EXPECT_FALSE(UnpackDoubles(packed, 3, values));
  ASSERT_TRUE(UnpackDoubles("", 3, values));
  EXPECT_EQ(values, Doubles(3));
}

TEST(ColumnsTest, GiveBackWhatWasPutIn) {
  const Doubles plain = {1.5, -0.0, 1e-300};
  const Doubles holes = {std::nullopt, 2.0,          std::nullopt,
                         3.0,          std::nullopt, 4.0,
                         5.0,          6.0,          std::nullopt};
  const Integers steps = {100, 99, std::numeric_limits<uint64_t>::max(), 0};
  const Integers same(1000, 7);
  ColumnWriter writer;
  writer.Doubles(1, plain);
  writer.Doubles(2, holes);
  writer.Integers(3, steps);
  writer.Integers(4, same);
  writer.Integers(5, {std::nullopt, 8, 8});
  writer.Doubles(6, {std::nullopt});
  writer.Bytes(255, "text");
  const std::string bytes = writer.Take();
  EXPECT_LT(bytes.size(), 120u);

  const auto reader = ColumnReader::Parse(bytes);
  ASSERT_TRUE(reader.ok());
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(reader->Double(1, i), plain[i]);
  }
  EXPECT_TRUE(std::signbit(*reader->Double(1, 1)));
  for (size_t i = 0; i < holes.size(); ++i) {
    EXPECT_EQ(reader->Double(2, i), holes[i]) << i;
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(reader->Integer(3, i), steps[i]);
  }
  EXPECT_EQ(reader->count(4), 1000u);
  EXPECT_EQ(reader->Integer(4, 999), 7u);
  EXPECT_EQ(reader->Integer(5, 0), std::nullopt);
  EXPECT_EQ(reader->Integer(5, 2), 8u);
  EXPECT_EQ(reader->count(6), 0u);
  EXPECT_EQ(reader->Bytes(255), "text");
  // Beyond the end, of another type, never written.
  EXPECT_EQ(reader->Double(1, 3), std::nullopt);
  EXPECT_EQ(reader->Integer(1, 0), std::nullopt);
  EXPECT_EQ(reader->Double(9), std::nullopt);
}

TEST(ColumnsTest, EveryCutIsNoticed) {
  ColumnWriter writer;
  writer.Doubles(1, {1.0, 2.0, std::nullopt});
  writer.Integers(2, {1, 2, 3});
  writer.Bytes(3, "bytes");
  const std::string bytes = writer.Take();
  int good = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    good += ColumnReader::Parse(bytes.substr(0, size)).ok();
  }
  // Whole columns, from none to two of them.
  EXPECT_EQ(good, 3);
}

TEST(ColumnsTest, RefusesColumnsTooLongToBeTrue) {
  ByteWriter bytes;
  bytes.Integer(1);  // id
  bytes.Integer(3);  // one whole number for all
  bytes.Integer(uint64_t{1} << 40);
  bytes.Signed(5);
  EXPECT_FALSE(ColumnReader::Parse(bytes.Take()).ok());
}

}  // namespace
}  // namespace muster::history
