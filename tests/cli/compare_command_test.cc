// The real command on histories that were written as the daemon writes them.
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "daemon/consistency/measure.h"
#include "daemon/history/writer.h"
#include "daemon/reference_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"
#include "tests/testing/temporary_folder.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr absl::Time kBegan = absl::FromUnixSeconds(1'700'000'000);

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class CompareCommandTest : public ::testing::Test {
 protected:
  // Four ranks with losses around 2 of this dispersion, and directions that
  // have a part in common.
  void Store(const std::string& file, const std::string& run, uint64_t from,
             uint64_t to, double dispersion, uint64_t seed) {
    auto writer = history::Writer::Open(
        folder_.File(file), {}, [] { return kBegan; },
        [](bool, const std::string&) {});
    ASSERT_TRUE(writer.ok()) << writer.status();
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    history::Unit unit{.run = (*writer)->Begin(run, "", kBegan)};
    consistency::Baseline baseline;
    uint64_t position = 0;
    for (uint64_t step = from; step < to; ++step) {
      std::vector<frames::Report> reports;
      for (uint32_t rank = 0; rank < 4; ++rank) {
        std::vector<double> gradient(64);
        for (double& value : gradient) value = 1 + normal(engine);
        reports.push_back(testing::MakeReport(
            rank, step, 2 + dispersion * normal(engine), gradient));
      }
      auto frame = std::make_shared<frames::Frame>(
          testing::MakeFrame(step, std::move(reports), 4, 1));
      auto measures =
          std::make_shared<consistency::Measures>(baseline.Measure(*frame));
      unit.entries.push_back(
          {++position, kBegan, history::Judged{frame, measures}});
    }
    (*writer)->Write(std::move(unit));
    ASSERT_TRUE((*writer)->Flush().ok());
  }

  Outcome Run(const std::string& arguments,
              const std::string& verb = "compare") const {
    const std::string command = MUSTER_COMMAND " " + verb + " " + arguments +
                                " >" + folder_.File("out") + " 2>" +
                                folder_.File("err");
    Outcome outcome;
    outcome.code = WEXITSTATUS(std::system(command.c_str()));
    outcome.out = Read("out");
    outcome.err = Read("err");
    return outcome;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_.File(name));
    return std::string{std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
};

TEST_F(CompareCommandTest, TellsARunThatDiffersFromOneThatAgrees) {
  Store("a.db", "base", 0, 400, 0.02, 1);
  Store("a.db", "same", 0, 400, 0.02, 2);
  Store("b.db", "wide", 200, 600, 0.04, 3);
  const std::string a = folder_.File("a.db");
  const std::string b = folder_.File("b.db");

  Outcome outcome = Run("same base --history " + a);
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("same agrees with the reference"));
  EXPECT_THAT(outcome.out, HasSubstr("\n400 common steps, 0 … 399;"));
  EXPECT_EQ(outcome.err, "");

  outcome = Run("--history " + b + " --reference-history " + a + " wide base");
  EXPECT_EQ(outcome.code, 1) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("wide differs: loss dispersion "));
  EXPECT_THAT(outcome.out, HasSubstr("\n200 common steps, 200 … 399;"));

  outcome =
      Run("wide base --json --history " + b + " --reference-history " + a);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("\"commonSteps\": 200"));
}

TEST_F(CompareCommandTest, SaysWhatCannotBeCompared) {
  Store("a.db", "early", 0, 60, 0.02, 1);
  Store("a.db", "late", 100, 160, 0.02, 2);
  Store("a.db", "short", 50, 70, 0.02, 3);
  const std::string a = folder_.File("a.db");
  const auto error = [&](const std::string& arguments) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_EQ(error("early late --history " + a),
            "muster: run 'early' of " + a +
                " (steps 0 … 59) and reference "
                "'late' of " +
                a + " (steps 100 … 159) have no common steps\n");
  EXPECT_THAT(error("early short --history " + a),
              HasSubstr("have 10 common steps, but nothing that was measured "
                        "in both on 50 of them"));
  EXPECT_EQ(error("other early --history " + a),
            "muster: " + a + ": no run 'other'; it has: early, late, short\n");
  EXPECT_THAT(error("early late --history " + a + " --reference-history " +
                    folder_.File("none.db")),
              HasSubstr("none.db"));
  EXPECT_THAT(error("early --history " + a), HasSubstr("REFERENCE"));
  EXPECT_THAT(error("early late"), HasSubstr("--history"));
}

TEST_F(CompareCommandTest, SavesAReferenceThatADaemonCanRead) {
  Store("a.db", "base", 10, 70, 0.02, 1);
  const std::string a = folder_.File("a.db");
  const std::string file = folder_.File("base.ref");
  Outcome outcome =
      Run("base --history " + a + " -o " + file, "reference save");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, file + ": 60 steps, 10 … 69\n");
  Config config;
  config.reference_file = file;
  const absl::Status status = LoadReference(config);
  ASSERT_TRUE(status.ok()) << status;
  // Losses of dispersion 0.02; the median of 33 robust spreads of four values.
  const auto loss = config.detect.reference->At(detect::GroupMetric::kLoss, 40);
  ASSERT_TRUE(loss.has_value());
  EXPECT_NEAR(*loss, std::log(0.02), 0.7);
  // Directions 1 + z in 64 dimensions: a mean cosine of 1/2, log-odds of 0.
  EXPECT_NEAR(*config.detect.reference->At(detect::GroupMetric::kDirection, 40),
              0, 0.2);

  outcome = Run("none --history " + a + " -o " + file, "reference save");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no run 'none'; it has: base"));
  outcome = Run("base --history " + a + " -o " + folder_.File("no/file"),
                "reference save");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write "));
  EXPECT_EQ(Run("", "reference").code, 2);
}

}  // namespace
}  // namespace muster::cli
