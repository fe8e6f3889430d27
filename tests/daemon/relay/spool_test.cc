#include "daemon/relay/spool.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temporary_folder.h"

namespace muster::relay {
namespace {

using Entries = std::vector<Entry>;

class SpoolTest : public ::testing::Test {
 protected:
  struct Drop {
    std::string run;
    int64_t through;
    uint64_t reports;
    Where where;
  };

  std::shared_ptr<const Origin> MakeOrigin(uint32_t number,
                                           const std::string& run) {
    return std::make_shared<const Origin>(
        Origin{number, run, number, 100 + number, "hello of " + run});
  }

  Entry Report(int64_t id, const std::shared_ptr<const Origin>& origin,
               size_t bytes = 100) {
    return {.id = id,
            .kind = Entry::Kind::kReport,
            .origin = origin,
            .sequence = static_cast<uint64_t>(id),
            .facts = facts_,
            .bytes = std::make_shared<const std::string>(bytes, 'r'),
            .taken = clock_.clock().wall()};
  }

  std::unique_ptr<Spool> Open(size_t max_bytes = 1 << 20) {
    auto spool = std::make_unique<Spool>(
        SpoolOptions{folder_.File("spool"), max_bytes, absl::Hours(1)},
        clock_.clock().wall,
        SpoolEvents{.dropped =
                        [this](const std::string& run, int64_t through,
                               uint64_t reports, Where where) {
                          drops_.push_back({run, through, reports, where});
                        },
                    .lost = [this](uint64_t reports) { lost_ += reports; },
                    .log = [](bool, const std::string&) {}});
    found_ = spool->TakeFound();
    return spool;
  }

  static bool Append(Spool& spool, Entries entries) {
    std::promise<bool> done;
    spool.Append(std::move(entries), [&](bool ok) { done.set_value(ok); });
    return done.get_future().get();
  }

  // Ids of what is read, −1 for an error.
  static std::vector<int64_t> Read(Spool& spool, const std::string& run,
                                   int64_t after, size_t bytes = 1 << 20) {
    std::promise<std::vector<int64_t>> done;
    spool.Read(run, after, bytes, [&](absl::StatusOr<Entries> entries) {
      std::vector<int64_t> ids;
      if (!entries.ok()) ids.push_back(-1);
      if (entries.ok()) {
        for (const Entry& entry : *entries) ids.push_back(entry.id);
      }
      done.set_value(std::move(ids));
    });
    return done.get_future().get();
  }

  using Ids = std::vector<int64_t>;
  TemporaryFolder folder_;
  testing::FakeClock clock_;
  const std::shared_ptr<const StatedFacts> facts_ =
      std::make_shared<const StatedFacts>(StatedFacts{1, "facts"});
  std::vector<SpooledRun> found_;
  std::vector<Drop> drops_;
  uint64_t lost_ = 0;
};

TEST_F(SpoolTest, GivesBackInOrderAndForgetsWhatIsSettled) {
  auto spool = Open();
  const auto a = MakeOrigin(1, "a");
  const auto b = MakeOrigin(2, "b");
  ASSERT_TRUE(Append(*spool, {Report(2, a), Report(3, b), Report(4, a)}));
  ASSERT_TRUE(Append(*spool, {Report(5, a)}));
  EXPECT_EQ(Read(*spool, "a", 0), (Ids{2, 4, 5}));
  EXPECT_EQ(Read(*spool, "a", 2, 1), Ids{4});
  EXPECT_EQ(Read(*spool, "c", 0), Ids{});
  EXPECT_EQ(spool->stats().reports, 4u);
  spool->Settle("a", 4);
  EXPECT_EQ(Read(*spool, "a", 0), Ids{5});
  EXPECT_EQ(Read(*spool, "b", 0), Ids{3});
  EXPECT_EQ(spool->stats().reports, 2u);
  EXPECT_EQ(spool->stats().bytes, 2 * Report(1, a).size());
  spool->Settle("a", 5);
  spool->Settle("b", 5);
  // Sources and facts are stored again after it was empty.
  ASSERT_TRUE(Append(*spool, {Report(6, a)}));
  EXPECT_EQ(Read(*spool, "a", 0), Ids{6});
}

TEST_F(SpoolTest, IsFoundAgain) {
  const auto origin = MakeOrigin(7, "a");
  {
    auto spool = Open();
    EXPECT_TRUE(found_.empty());
    ASSERT_TRUE(Append(*spool, {Report(20, origin), Report(30, origin)}));
  }
  auto spool = Open();
  EXPECT_EQ(spool->next_number(), 8u);
  EXPECT_EQ(spool->next_id(), 31);
  ASSERT_EQ(found_.size(), 1u);
  EXPECT_EQ(found_[0].run, "a");
  EXPECT_EQ(found_[0].first_id, 20);
  EXPECT_EQ(found_[0].last_id, 30);
  ASSERT_EQ(found_[0].sources.size(), 1u);
  const SpooledRun::Source& source = found_[0].sources[0];
  EXPECT_EQ(source.origin->hello, "hello of a");
  EXPECT_EQ(source.origin->incarnation, 107u);
  EXPECT_EQ(source.last_sequence, 30u);
  ASSERT_NE(source.first_facts, nullptr);
  EXPECT_EQ(source.first_facts->bytes, "facts");
  EXPECT_EQ(spool->stats().reports, 2u);
  EXPECT_EQ(Read(*spool, "a", 0), (Ids{20, 30}));
}

TEST_F(SpoolTest, DropsTheOldestOverItsSize) {
  const auto a = MakeOrigin(1, "a");
  const auto b = MakeOrigin(2, "b");
  auto spool = Open(/*max_bytes=*/5 * Report(1, a).size());
  ASSERT_TRUE(Append(*spool, {Report(1, a), Report(2, b), Report(3, a)}));
  ASSERT_TRUE(Append(*spool, {Report(4, b), Report(5, a), Report(6, b),
                              Report(7, a), Report(8, b)}));
  EXPECT_EQ(Read(*spool, "a", 0), (Ids{5, 7}));
  EXPECT_EQ(Read(*spool, "b", 0), (Ids{4, 6, 8}));
  spool->Stop();
  ASSERT_EQ(drops_.size(), 2u);
  EXPECT_EQ(drops_[0].run, "a");
  EXPECT_EQ(drops_[0].through, 3);
  EXPECT_EQ(drops_[0].reports, 2u);
  EXPECT_EQ(drops_[0].where, Where::kSpool);
  EXPECT_EQ(drops_[1].through, 2);
  EXPECT_EQ(drops_[1].reports, 1u);
}

TEST_F(SpoolTest, DropsWhatIsTooOld) {
  const auto a = MakeOrigin(1, "a");
  auto spool = Open();
  Entries many;
  for (int64_t id = 1; id <= 3000; ++id) many.push_back(Report(id, a));
  ASSERT_TRUE(Append(*spool, many));
  clock_.Advance(absl::Hours(2));
  ASSERT_TRUE(Append(*spool, {Report(4000, a)}));
  EXPECT_EQ(Read(*spool, "a", 0), Ids{4000});
  spool->Stop();
  ASSERT_EQ(drops_.size(), 1u);
  EXPECT_EQ(drops_[0].reports, 3000u);
  EXPECT_EQ(drops_[0].where, Where::kAge);
}

TEST_F(SpoolTest, SetsACorruptFileAside) {
  std::filesystem::create_directory(folder_.File("spool"));
  std::ofstream(folder_.File("spool/spool.db")) << std::string(5000, 'x');
  auto spool = Open();
  EXPECT_TRUE(spool->stats().ok);
  EXPECT_EQ(spool->stats().set_aside, 1u);
  const auto a = MakeOrigin(1, "a");
  ASSERT_TRUE(Append(*spool, {Report(1, a)}));
  EXPECT_EQ(Read(*spool, "a", 0), Ids{1});
  int kept = 0;
  for (const auto& each :
       std::filesystem::directory_iterator(folder_.File("spool"))) {
    const std::string name = each.path().filename();
    if (!name.starts_with("spool.db.corrupt-")) continue;
    ++kept;
    EXPECT_EQ(std::filesystem::file_size(each.path()), 5000u);
  }
  EXPECT_EQ(kept, 1);
}

TEST_F(SpoolTest, GoesOnWhenItsFolderIsThereAgain) {
  // A file in the place of the folder.
  std::ofstream(folder_.File("spool")) << "mine";
  auto spool = Open();
  EXPECT_FALSE(spool->stats().ok);
  const auto a = MakeOrigin(1, "a");
  EXPECT_FALSE(Append(*spool, {Report(1, a)}));
  EXPECT_EQ(Read(*spool, "a", 0), Ids{-1});
  EXPECT_GE(spool->stats().errors, 2u);
  std::filesystem::remove(folder_.File("spool"));
  EXPECT_TRUE(Append(*spool, {Report(2, a)}));
  EXPECT_TRUE(spool->stats().ok);
  EXPECT_EQ(Read(*spool, "a", 0), Ids{2});
}

}  // namespace
}  // namespace muster::relay
