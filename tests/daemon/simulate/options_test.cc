#include "daemon/simulate/options.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace muster::simulate {
namespace {

TEST(SimulateOptionsTest, DefaultsAreGood) {
  EXPECT_EQ(Validate(Options()), "");
}

TEST(SimulateOptionsTest, BadFieldIsNamedWithItsRange) {
  Options options;
  options.loss_noise = 1.5;
  EXPECT_EQ(Validate(options), "loss_noise is 1.5; allowed are 0 … 1");
  options = Options();
  options.noise_end = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Validate(options), "noise_end is nan; allowed are 1e-06 … 1e+06");
  options = Options();
  options.sketch_width = 100;
  EXPECT_EQ(Validate(options),
            "sketch_width is 100; allowed are 0 (none) and the powers of two "
            "in 64 … 65536");
}

TEST(SimulateOptionsTest, BadFaultIsNamed) {
  Options options;
  options.faults = {{.kind = FaultKind::kLossShift, .rank = 8}};
  EXPECT_EQ(Validate(options),
            "rank of fault loss-shift is 8; allowed are 0 … 7");
  options.faults = {{.kind = FaultKind::kExponentFlip, .size = 22}};
  EXPECT_EQ(Validate(options),
            "size of fault exponent-flip is 22; allowed are 23 … 30");
  options.faults = {{.kind = FaultKind::kDuplicateShard}};
  options.ranks = 1;
  EXPECT_EQ(Validate(options), "fault duplicate-shard needs 2 ranks");
}

TEST(SimulateOptionsTest, PoolIsOnlyForSketchesThatDoNotDependOnTheirStep) {
  Options pooled;
  pooled.sketch_width = 64;
  pooled.sketch_pool = 8;
  pooled.faults = {{.kind = FaultKind::kGradientScale, .size = 2}};
  EXPECT_EQ(Validate(pooled), "");
  Options options = pooled;
  options.sketch_pool = 7;
  EXPECT_EQ(Validate(options),
            "sketch_pool is 7; allowed are 8 … 65536, or 0 for none");
  const std::string needs = "sketch_pool deals out what was drawn before; ";
  options = pooled;
  options.sketch_width = 0;
  EXPECT_EQ(Validate(options), needs + "it needs a sketch_width");
  options = pooled;
  options.noise_end = 5;
  EXPECT_EQ(Validate(options),
            needs + "noise_start and noise_end must be the same");
  options = pooled;
  options.weights = Weights::kFresh;
  EXPECT_EQ(Validate(options), needs + "weights must be equal");
  for (const FaultKind kind :
       {FaultKind::kLabelNoise, FaultKind::kDuplicateShard,
        FaultKind::kNoiseScale, FaultKind::kExponentFlip}) {
    options = pooled;
    options.faults = {{.kind = kind}};
    if (kind == FaultKind::kExponentFlip) options.faults[0].size = 30;
    EXPECT_EQ(Validate(options),
              needs + "fault " + FaultName(kind) + " would change that");
  }
}

TEST(SimulateOptionsTest, FaultNamesCanBeParsed) {
  for (int i = 0; i < kFaultKindCount; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    EXPECT_EQ(ParseFaultKind(FaultName(kind)), kind);
  }
  EXPECT_FALSE(ParseFaultKind("loss").has_value());
}

TEST(SimulateOptionsTest, FaultLastsFromItsOnset) {
  const Fault fault{.onset = 10, .steps = 2};
  EXPECT_FALSE(fault.ActiveAt(9));
  EXPECT_TRUE(fault.ActiveAt(10));
  EXPECT_TRUE(fault.ActiveAt(11));
  EXPECT_FALSE(fault.ActiveAt(12));
  EXPECT_TRUE(Fault{}.ActiveAt(~uint64_t{0} - 1));
}

}  // namespace
}  // namespace muster::simulate
