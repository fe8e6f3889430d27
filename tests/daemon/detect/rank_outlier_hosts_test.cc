// RankOutlier where ranks share hosts.
#include <cmath>
#include <random>
#include <set>
#include <string>

#include "daemon/detect/host_groups.h"
#include "daemon/detect/rank_outlier.h"
#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

// Healthy ranks, `per_host` in a row on each host "node0", "node1", …
class HostedRun {
 public:
  HostedRun(RankOutlier& detector, uint32_t hosts, uint32_t per_host,
            uint64_t seed = 1)
      : detector_(detector), ranks_(hosts * per_host), engine_(seed) {
    for (uint32_t rank = 0; rank < ranks_; ++rank) {
      frames::SourceUp up;
      up.info.rank = rank;
      up.info.host = "node" + std::to_string(rank / per_host);
      Take(detector_, up);
    }
  }

  // Judges the next frame, with `shift` standard deviations added to the losses
  // of ranks first … last.
  std::vector<Finding> Next(double shift = 0, uint32_t first = 0,
                            uint32_t last = 0) {
    MeasuredFrame frame(ranks_);
    frame.SetStep(step_++);
    for (auto& rank : frame.measures.ranks) {
      const bool off = rank.rank >= first && rank.rank <= last;
      rank.loss = 3 + 0.1 * (normal_(engine_) + (off ? shift : 0));
      rank.gradient_norm = std::exp(0.1 * normal_(engine_));
      rank.gradient_cosine = 0.5 + 0.02 * normal_(engine_);
    }
    return Judge(detector_, frame);
  }
  void Warm() {
    for (int i = 0; i < 120; ++i) ASSERT_TRUE(Next().empty());
  }

 private:
  RankOutlier& detector_;
  const uint32_t ranks_;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  uint64_t step_ = 0;
};

TEST(HostGroupsTest, GroupsRanksByHost) {
  HostGroups hosts;
  for (uint32_t rank : {3, 1, 0, 4}) hosts.Place(rank, "b");
  EXPECT_TRUE(hosts.Place(2, "a"));
  EXPECT_FALSE(hosts.Place(2, "a"));
  hosts.Place(6, "a");
  hosts.Rebuild(8);  // 5 and 7 are unknown
  ASSERT_EQ(hosts.groups().size(), 2u);
  EXPECT_EQ(hosts.groups()[0].name, "a");
  EXPECT_EQ(hosts.groups()[0].ranks, (Ranks{2, 6}));
  EXPECT_EQ(hosts.groups()[1].ranks, (Ranks{0, 1, 3, 4}));
  EXPECT_EQ(hosts.GroupOf(6), 0u);
  EXPECT_EQ(hosts.GroupOf(5), HostGroups::kNone);
  EXPECT_EQ(hosts.GroupOf(99), HostGroups::kNone);
  // Rank 2 alone is no group.
  hosts.Rebuild(5);
  ASSERT_EQ(hosts.groups().size(), 1u);
  EXPECT_EQ(hosts.GroupOf(2), HostGroups::kNone);
}

TEST(HostGroupsTest, OneHostIsNone) {
  HostGroups hosts;
  for (uint32_t rank = 0; rank < 4; ++rank) hosts.Place(rank, "a");
  hosts.Rebuild(4);
  EXPECT_TRUE(hosts.groups().empty());
}

// All four ranks of a host are off: the mean of their bets crosses first, as
// each of them has the three others beside it.
TEST(RankOutlierHostsTest, NamesTheHostInOneIncident) {
  int by_host_first = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RankOutlier detector{RankOutlierOptions{}};
    HostedRun run(detector, 4, 4, seed);
    run.Warm();
    std::set<Ranks> standing;
    bool first = true;
    for (int i = 0; i < 1000; ++i) {
      for (const Finding& finding : run.Next(2, 8, 11)) {
        if (finding.phase == Phase::kRaise) {
          standing.insert(finding.ranks);
        } else {
          EXPECT_EQ(finding.phase, Phase::kReplaced);
          standing.erase(finding.ranks);
        }
        if (std::exchange(first, false) && finding.ranks.size() == 4) {
          ++by_host_first;
          EXPECT_NE(finding.evidence.find(
                        "The 4 ranks of host 'node2' have had their loss "
                        "above the median of the others since step 1"),
                    std::string::npos)
              << finding.evidence;
          // Against a median that has the three others of the host in it.
          EXPECT_GT(finding.value, 1);
          EXPECT_LT(finding.value, 2.5);
        }
      }
    }
    EXPECT_EQ(standing, std::set<Ranks>({{8, 9, 10, 11}})) << seed;
  }
  EXPECT_GE(by_host_first, 19);
}

TEST(RankOutlierHostsTest, OneBadRankDoesNotNameItsHost) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    RankOutlier detector{RankOutlierOptions{}};
    HostedRun run(detector, 4, 4, seed);
    run.Warm();
    uint64_t raises = 0;
    for (int i = 0; i < 2000; ++i) {
      for (const Finding& finding : run.Next(4, 9, 9)) {
        EXPECT_EQ(finding.phase, Phase::kRaise);
        EXPECT_EQ(finding.ranks, Ranks{9});
        ++raises;
      }
    }
    EXPECT_GE(raises, 100u);
  }
}

TEST(RankOutlierHostsTest, OfTwoHostsNeitherIsBlamed) {
  RankOutlier detector{RankOutlierOptions{}};
  HostedRun run(detector, 2, 8);
  run.Warm();
  std::vector<Finding> findings;
  for (int i = 0; i < 200 && findings.empty(); ++i)
    findings = run.Next(2, 0, 7);
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0].ranks.size(), 16u);
  EXPECT_NE(findings[0].evidence.find("cannot be attributed"),
            std::string::npos);
  // The same alert goes on, and no rank is named besides.
  uint64_t raises = 0;
  for (int i = 0; i < 500; ++i) {
    for (const Finding& finding : run.Next(2, 0, 7)) {
      EXPECT_EQ(finding.phase, Phase::kRaise);
      EXPECT_EQ(finding.ranks.size(), 16u);
      ++raises;
    }
  }
  EXPECT_GE(raises, 3u);
}

TEST(RankOutlierHostsTest, ClearsTheHostAndReadmitsItsRanks) {
  RankOutlierOptions options;
  options.resolve_after_frames = 60;
  RankOutlier detector(options);
  HostedRun run(detector, 4, 4);
  run.Warm();
  for (int i = 0; i < 100; ++i) run.Next(3, 4, 7);
  int clears = 0;
  for (int i = 0; i < 200; ++i) {
    for (const Finding& finding : run.Next()) {
      EXPECT_EQ(finding.phase, Phase::kClear);
      EXPECT_EQ(finding.ranks, (Ranks{4, 5, 6, 7}));
      ++clears;
    }
  }
  EXPECT_EQ(clears, 1);
  std::vector<Finding> again;
  for (int i = 0; i < 60 && again.empty(); ++i) again = run.Next(4, 5, 5);
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again[0].ranks, Ranks{5});
}

// At most n / target raises expected in n frames, hosts or none: the streams of
// hosts are counted in the threshold.
TEST(RankOutlierHostsTest, FalseAlarmsKeepTheTarget) {
  RankOutlierOptions options;
  options.target_frames = 500;
  options.margin = 0;
  RankOutlier detector(options);
  HostedRun run(detector, 4, 2, 3);
  uint64_t raises = 0;
  for (int i = 0; i < 50'000; ++i) raises += CountRaises(run.Next());
  EXPECT_LE(raises, 100u);
  EXPECT_GE(raises, 5u);
}

TEST(RankOutlierHostsTest, SlowStepsNameARankAndSomePercentDoNot) {
  for (double factor : {2.0, 1.05}) {
    RankOutlier detector{RankOutlierOptions{}};
    std::mt19937_64 engine(4);
    std::normal_distribution<double> normal;
    std::vector<Finding> findings;
    for (uint64_t step = 0; step < 400; ++step) {
      MeasuredFrame frame(8);
      frame.SetStep(step);
      for (auto& rank : frame.measures.ranks) {
        rank.step_duration_seconds = 0.5 * std::exp(0.01 * normal(engine));
      }
      *frame.measures.ranks[6].step_duration_seconds *= factor;
      for (Finding& finding : Judge(detector, frame)) {
        findings.push_back(std::move(finding));
      }
    }
    if (factor < 2) {
      EXPECT_TRUE(findings.empty());
      continue;
    }
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].subject, "step_time");
    EXPECT_EQ(findings[0].ranks, Ranks{6});
    EXPECT_LT(findings[0].last_step, 30u);
    EXPECT_NE(findings[0].evidence.find("Rank 6's step time has been above"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace muster::detect
