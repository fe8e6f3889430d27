#include "daemon/ingest/admission.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "daemon/ingest/peer_limit.h"
#include "daemon/ingest/run_sink.h"
#include "daemon/ingest/session.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temporary_folder.h"

namespace muster::ingest {
namespace {

TEST(RankClaimsTest, ARankIsItsOwnersWhileAClaimLives) {
  std::vector<uint64_t> contested;
  RankClaims claims(
      [&](const std::string& run, uint32_t rank, uint64_t incarnation) {
        EXPECT_EQ(run, "r");
        EXPECT_EQ(rank, 0u);
        contested.push_back(incarnation);
      });
  auto first = claims.Take("r", 0, 1, "a");
  auto second = claims.Take("r", 0, 2, "a");
  EXPECT_NE(first, nullptr);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(claims.Take("r", 0, 3, "b"), nullptr);
  EXPECT_EQ(claims.Take("r", 0, 4, "b"), nullptr);
  first.reset();
  EXPECT_EQ(claims.Take("r", 0, 5, "c"), nullptr);
  EXPECT_EQ(contested, (std::vector<uint64_t>{3, 5}));
  second.reset();
  const auto third = claims.Take("r", 0, 6, "b");
  EXPECT_NE(third, nullptr);
  EXPECT_NE(claims.Take("r", 1, 7, "a"), nullptr);
  EXPECT_NE(claims.Take("s", 0, 8, "a"), nullptr);
}

TEST(PeerLimitTest, CountsStreamsByHost) {
  PeerLimit limit(2);
  auto first = limit.Take("ipv4:10.0.0.1:1");
  const auto second = limit.Take("ipv4:10.0.0.1:2");
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(limit.Take("ipv4:10.0.0.1:3"), nullptr);
  EXPECT_NE(limit.Take("ipv4:10.0.0.2:3"), nullptr);
  first.reset();
  EXPECT_NE(limit.Take("ipv4:10.0.0.1:4"), nullptr);
}

// One stream of a sender with the token "a…", which may report for a-*.
class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    Write("a: aaaa-aaaa-aaaa-aaaa\n");
    auto gate = identity::Gate::Create(
        {.tls = {},
         .auth = {.tokens_file = folder_.File("tokens"),
                  .rules = {{"token:a", "a-*", "report"}}}},
        clock_.clock(), [](bool, const std::string&) {});
    gate_ = *std::move(gate);
    auto caller = gate_->Identify({}, "Bearer aaaa-aaaa-aaaa-aaaa");
    session_ = std::make_unique<Session>(
        Limits(), sink_, counters_, outbox_, Caller(),
        Admission(*gate_, claims_, *std::move(caller), "here"));
  }
  void Write(const std::string& tokens) const {
    std::ofstream(folder_.File("tokens")) << tokens;
  }
  void Hello(uint32_t source, const std::string& run) {
    v1::ClientMessage message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_source(source);
    hello->set_run(run);
    hello->set_world_size(1);
    hello->set_incarnation(100);
    hello->mutable_sketch()->set_version(1);
    hello->mutable_sketch()->set_width(64);
    session_->Take(message);
  }
  void Report(uint32_t source, uint64_t sequence) {
    v1::ClientMessage message;
    v1::StepReport* report = message.mutable_reports()->add_reports();
    report->set_source(source);
    report->set_sequence(sequence);
    report->set_step(sequence);
    report->set_loss(1);
    session_->Take(message);
  }
  std::vector<v1::Refusal> Refusals() {
    std::vector<v1::Refusal> refusals;
    while (auto message = outbox_->Take().message) {
      if (message->has_refusal()) refusals.push_back(message->refusal());
    }
    return refusals;
  }

  const TemporaryFolder folder_;
  testing::FakeClock clock_;
  runs::DaemonCounters counters_;
  runs::Registry registry_{{.max_runs = 2, .worker_threads = 1},
                           clock_.clock(),
                           [](const std::string&, const alert::Alert&) {}};
  RunSink sink_{registry_, counters_};
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>([] {});
  std::unique_ptr<identity::Gate> gate_;
  RankClaims claims_{[](const std::string&, uint32_t, uint64_t) {}};
  std::unique_ptr<Session> session_;
};

TEST_F(AdmissionTest, RefusesARunThatNoRuleGrants) {
  Hello(1, "a-1");
  Hello(2, "b-1");
  const auto refusals = Refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].source(), 2u);
  EXPECT_EQ(refusals[0].reason(), v1::NOT_ALLOWED);
  EXPECT_EQ(refusals[0].detail(), "not allowed");
  EXPECT_NE(registry_.Snapshot("a-1"), nullptr);
  EXPECT_EQ(registry_.Snapshot("b-1"), nullptr);
  EXPECT_EQ(counters_.Rejected()["not_allowed"], 1u);
  EXPECT_EQ((gate_->stats().denied[{"report", "not_allowed"}]), 1u);
}

TEST_F(AdmissionTest, LetsGoOfASourceWhoseTokenIsGone) {
  Hello(1, "a-1");
  Report(1, 1);
  EXPECT_TRUE(Refusals().empty());
  Write("a: bbbb-bbbb-bbbb-bbbb\n");
  gate_->Refresh();
  Report(1, 2);
  const auto refusals = Refusals();
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_EQ(refusals[0].reason(), v1::NOT_ALLOWED);
  EXPECT_EQ(refusals[1].reason(), v1::UNKNOWN_SOURCE);
  registry_.Drain();
  EXPECT_EQ(registry_.Snapshot("a-1")->reports_received, 1u);
  // The rank is free again.
  EXPECT_NE(claims_.Take("a-1", 0, 7, "other"), nullptr);
}

TEST_F(AdmissionTest, KeepsASourceThatIsStillAllowed) {
  Hello(1, "a-1");
  Write("a: aaaa-aaaa-aaaa-aaaa\nb: bbbb-bbbb-bbbb-bbbb\n");
  gate_->Refresh();
  Report(1, 1);
  EXPECT_TRUE(Refusals().empty());
  ASSERT_TRUE(gate_->SetRules({{"token:a", "b-*", "report"}}).ok());
  Report(1, 2);
  EXPECT_EQ(Refusals().size(), 2u);
}

TEST_F(AdmissionTest, ARefusedClaimIsAnAlertOfTheRun) {
  Hello(1, "a-1");
  registry_.Post("a-1", runs::ClaimRefused{0, 7});
  registry_.Post("no-such-run", runs::ClaimRefused{0, 7});
  registry_.Drain();
  const auto snapshot = registry_.Snapshot("a-1");
  ASSERT_EQ(snapshot->alerts.size(), 1u);
  EXPECT_EQ(snapshot->alerts[0].finding.kind, detect::Kind::kFactMismatch);
  EXPECT_EQ(snapshot->alerts[0].finding.ranks, std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace muster::ingest
