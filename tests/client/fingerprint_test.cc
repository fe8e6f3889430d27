#include "client/src/fingerprint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "client/src/fingerprint_kernel.h"
#include "client/src/sketch_hash.h"
#include "client/src/sketch_kernel.h"
#include "hwy/highway.h"

namespace muster {
namespace {

// Each instruction set of this processor that the kernel is compiled for.
class FingerprintTest : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (int bit = 0; bit < 63; ++bit) {
    const int64_t target = int64_t{1} << bit;
    // Compiled for the same ones as the sketch.
    if (hwy::SupportedTargets() & KernelTargets() & target) {
      targets.push_back(target);
    }
  }
  return targets;
}

INSTANTIATE_TEST_SUITE_P(Targets, FingerprintTest,
                         ::testing::ValuesIn(Targets()),
                         [](const auto& instance) {
                           return std::string(hwy::TargetName(instance.param));
                         });

// Byte i is the lowest of mix64(i).
std::vector<unsigned char> Bytes(size_t count) {
  std::vector<unsigned char> bytes(count);
  for (size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<unsigned char>(Mix64(i));
  }
  return bytes;
}

// tests/testing/sketch_reference.py fingerprints
constexpr struct {
  uint64_t position;
  size_t bytes;
  uint64_t fingerprint;
} kReference[] = {
    {0ull, 0, 0x4e96155e5f0a1c3f},
    {0ull, 4, 0xcf5171c3a69837df},
    {7ull, 4, 0xfb7320c3a8bc6777},
    {0ull, 1024, 0x4450986c90618e66},
    {0ull, 1027, 0x7f0c752fa91ca720},
    {1099511627776ull, 5000, 0x7ab1d061e539ce1f},
};

TEST_P(FingerprintTest, IsThatOfTheReference) {
  for (const auto& reference : kReference) {
    const std::vector<unsigned char> bytes = Bytes(reference.bytes);
    EXPECT_EQ(Fingerprint(reference.position, bytes.data(), bytes.size()),
              reference.fingerprint)
        << reference.bytes;
  }
}

TEST_P(FingerprintTest, AlignmentDoesNotMatter) {
  const std::vector<unsigned char> bytes = Bytes(3000);
  const uint64_t expected = Fingerprint(5, bytes.data(), bytes.size());
  std::vector<unsigned char> shifted(bytes.size() + 8);
  for (size_t shift = 1; shift < 8; ++shift) {
    std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
    EXPECT_EQ(Fingerprint(5, shifted.data() + shift, bytes.size()), expected);
  }
}

TEST(FingerprintDifferenceTest, SeesEachBit) {
  std::vector<unsigned char> bytes = Bytes(1500);
  std::set<uint64_t> seen = {Fingerprint(0, bytes.data(), bytes.size())};
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= 1 << bit % 8;
    seen.insert(Fingerprint(0, bytes.data(), bytes.size()));
    bytes[bit / 8] ^= 1 << bit % 8;
  }
  EXPECT_EQ(seen.size(), 1 + 8 * bytes.size());
}

TEST(FingerprintDifferenceTest, SeesOrderLengthAndPosition) {
  std::vector<uint32_t> words(1024);
  for (size_t i = 0; i < words.size(); ++i) words[i] = i * i;
  const auto fingerprint = [&](uint64_t position, size_t count) {
    return Fingerprint(position, words.data(), 4 * count);
  };
  std::set<uint64_t> seen = {fingerprint(0, 1024), fingerprint(1, 1024)};
  // The last word is not zero, the padding is.
  words[1023] = 0;
  seen.insert(fingerprint(0, 1023));
  seen.insert(fingerprint(0, 1024));
  words[1023] = 1023 * 1023;
  size_t swaps = 0;
  // Of neighbours, of the two halves of a block, of blocks.
  for (size_t distance : {size_t{1}, size_t{128}, size_t{256}}) {
    for (size_t i = 0; i + distance < words.size(); i += 100) {
      std::swap(words[i], words[i + distance]);
      seen.insert(fingerprint(0, 1024));
      std::swap(words[i], words[i + distance]);
      ++swaps;
    }
  }
  EXPECT_EQ(seen.size(), 4 + swaps);
}

TEST(FingerprintDifferenceTest, OrderOfPiecesDoesNotMatterTheirPlaceDoes) {
  const std::vector<unsigned char> a = Bytes(400);
  std::vector<unsigned char> b = Bytes(400);
  b[0] ^= 1;
  const auto sum = [](const auto& first, const auto& second) {
    return Fingerprint(0, first.data(), first.size()) +
           Fingerprint(100, second.data(), second.size());
  };
  EXPECT_NE(sum(a, b), sum(b, a));
}

}  // namespace
}  // namespace muster
