#include "daemon/history/schema.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "tests/testing/temporary_folder.h"

namespace muster::history {
namespace {

class SchemaTest : public ::testing::Test {
 protected:
  // A file of that version, with a run in it.
  void MakeVersion(int version) {
    auto database = OpenForWriting(path_);
    ASSERT_TRUE(database.ok()) << database.status();
    std::string sql =
        "INSERT INTO run VALUES(7,'old',0,0,'');PRAGMA user_version=" +
        std::to_string(version) + ";";
    if (version < 2) sql += "DROP VIEW rank_value;DROP TABLE source;";
    ASSERT_TRUE((*database)->Execute(sql.c_str()).ok());
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("history.db");
};

TEST_F(SchemaTest, NewFilesAreOfThisVersion) {
  ASSERT_TRUE(OpenForWriting(path_).ok());
  const auto database = OpenForReading(path_);
  ASSERT_TRUE(database.ok()) << database.status();
  EXPECT_EQ(*(*database)->Number("PRAGMA user_version"), kSchemaVersion);
  EXPECT_EQ(*(*database)->Number("SELECT count(*) FROM run"), 0);
}

TEST_F(SchemaTest, OlderFilesAreBroughtUpToDateWithWhatTheyHold) {
  MakeVersion(1);
  const auto early = OpenForReading(path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(early.status()));
  EXPECT_EQ(early.status().message(),
            path_ +
                ": written by an older Muster: its version is 1, this program "
                "reads 2; a musterd that opens it brings it up to date");
  ASSERT_TRUE(OpenForWriting(path_).ok());
  const auto database = OpenForReading(path_);
  ASSERT_TRUE(database.ok()) << database.status();
  EXPECT_EQ(*(*database)->Number("SELECT run FROM run WHERE name='old'"), 7);
  EXPECT_EQ(*(*database)->Number("SELECT count(*) FROM source"), 0);
  EXPECT_EQ(*(*database)->Number("SELECT count(*) FROM rank_value"), 0);
}

TEST_F(SchemaTest, NewerFilesAreRefusedAndLeftAsTheyAre) {
  MakeVersion(99);
  for (const auto& opened :
       {OpenForWriting(path_).status(), OpenForReading(path_).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(opened));
    EXPECT_EQ(opened.message(),
              path_ +
                  ": written by a newer Muster: its version is 99, this "
                  "program knows up to 2");
  }
}

// As when descriptors have run out for a moment: what is read without looking
// for changes would be old.
TEST_F(SchemaTest, AnErrorThatMayPassIsNoReasonToReadWithoutTheLog) {
  ASSERT_TRUE(OpenForWriting(path_).ok());
  std::filesystem::create_directory(path_ + "-wal");  // cannot be opened
  EXPECT_TRUE(absl::IsNotFound(OpenForReading(path_).status()));
  std::filesystem::remove(path_ + "-wal");
  EXPECT_TRUE(OpenForReading(path_).ok());
}

TEST_F(SchemaTest, FolderThatCannotBeWrittenIsRead) {
  ASSERT_TRUE(OpenForWriting(path_).ok());
  const auto folder = std::filesystem::path(path_).parent_path();
  using std::filesystem::perms;
  std::filesystem::permissions(folder, perms::owner_read | perms::owner_exec);
  const bool writable = ::access(folder.c_str(), W_OK) == 0;
  const absl::Status status = OpenForReading(path_).status();
  std::filesystem::permissions(folder, perms::owner_all);
  if (writable) GTEST_SKIP() << "this user may write everywhere";
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(SchemaTest, WhatIsNoHistoryIsSaidSo) {
  EXPECT_TRUE(absl::IsNotFound(OpenForReading(path_).status()));
  std::ofstream(path_) << std::string(8192, 'x');
  EXPECT_TRUE(absl::IsDataLoss(OpenForReading(path_).status()));
  EXPECT_TRUE(absl::IsDataLoss(OpenForWriting(path_).status()));

  const std::string other = folder_.File("other.db");
  auto database = Database::Open(other, Database::Mode::kCreate);
  ASSERT_TRUE((*database)->Execute("CREATE TABLE mine(a)").ok());
  const absl::Status status = OpenForWriting(other).status();
  EXPECT_EQ(status.message(), other + ": not a Muster history");
}

}  // namespace
}  // namespace muster::history
