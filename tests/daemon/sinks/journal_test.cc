#include "daemon/sinks/journal.h"

#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  QueuedChange Change(uint64_t number) const {
    return {number, "id" + std::to_string(number),
            "{\"tab\":\"\\t\"}\tand one"};
  }
  // What another daemon would find.
  std::vector<uint64_t> Waiting() const {
    std::vector<uint64_t> numbers;
    for (const QueuedChange& change : Journal(path_).Load()) {
      EXPECT_EQ(change.id, Change(change.number).id);
      EXPECT_EQ(change.body, Change(change.number).body);
      numbers.push_back(change.number);
    }
    return numbers;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.File("queue");
  Journal journal_{path_};
};

using Numbers = std::vector<uint64_t>;

TEST_F(JournalTest, KeepsWhatWaits) {
  EXPECT_EQ(Waiting(), Numbers());
  EXPECT_FALSE(std::filesystem::exists(path_));
  for (uint64_t number : {4, 5, 6}) {
    ASSERT_TRUE(journal_.Add(Change(number)).ok());
  }
  EXPECT_EQ(Waiting(), (Numbers{4, 5, 6}));
  ASSERT_TRUE(journal_.Taken(5, false).ok());
  EXPECT_EQ(Waiting(), Numbers{6});
  ASSERT_TRUE(journal_.Taken(6, true).ok());
  EXPECT_EQ(Waiting(), Numbers());
  EXPECT_EQ(std::filesystem::file_size(path_), 0u);
}

TEST_F(JournalTest, LineThatWasNotFinishedIsLeftOut) {
  for (uint64_t number : {1, 2}) {
    ASSERT_TRUE(journal_.Add(Change(number)).ok());
  }
  for (const char* torn : {"+3\tid3\t{\"ta", "+3", "-", "-2"}) {
    const std::string copy = folder_.File("copy");
    std::filesystem::copy_file(
        path_, copy, std::filesystem::copy_options::overwrite_existing);
    std::ofstream(copy, std::ios::app) << torn;
    Journal next(copy);
    EXPECT_EQ(next.Load().size(), 2u) << torn;
    // What follows it is whole.
    ASSERT_TRUE(next.Add(Change(7)).ok());
    // And nobody after that takes the torn line for a whole one.
    const auto waiting = Journal(copy).Load();
    ASSERT_EQ(waiting.size(), 3u) << torn;
    EXPECT_EQ(waiting.back().number, 7u) << torn;
  }
}

TEST_F(JournalTest, LineForWhichTheDiskHadNoRoomIsTakenBack) {
  ASSERT_TRUE(journal_.Add(Change(1)).ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit full{std::filesystem::file_size(path_) + 5, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status status = journal_.Add(Change(2));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(journal_.Add(Change(2)).ok());
  EXPECT_EQ(Waiting(), (Numbers{1, 2}));
}

TEST_F(JournalTest, IsWrittenAnewWhenItIsLong) {
  QueuedChange large = Change(1);
  large.body = std::string(Journal::kMaxBytes, 'x');
  ASSERT_TRUE(journal_.Add(large).ok());
  EXPECT_TRUE(journal_.is_long());
  ASSERT_TRUE(journal_.Add(Change(2)).ok());
  ASSERT_TRUE(journal_.Rewrite({Change(2)}).ok());
  EXPECT_FALSE(journal_.is_long());
  EXPECT_EQ(Waiting(), Numbers{2});
  ASSERT_TRUE(journal_.Add(Change(3)).ok());
  EXPECT_EQ(Waiting(), (Numbers{2, 3}));
}

TEST_F(JournalTest, ErrorsNameTheFile) {
  Journal journal(folder_.File("none/queue"));
  const absl::Status status = journal.Add(Change(1));
  EXPECT_NE(std::string(status.message()).find("none/queue: No such file"),
            std::string::npos);
  std::filesystem::create_directory(folder_.File("none"));
  EXPECT_TRUE(journal.Add(Change(1)).ok());
}

}  // namespace
}  // namespace muster::sinks
