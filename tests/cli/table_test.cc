#include "cli/table.h"

#include "gtest/gtest.h"

namespace muster::cli {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table;
  table.AddColumn("RUN", Align::kLeft);
  table.AddColumn("STEP", Align::kRight);
  table.AddColumn("NOTE", Align::kLeft);
  table.AddRow({"a", "12345", "x"});
  table.AddRow({"größer", "1", ""});
  EXPECT_EQ(table.ToString(),
            "RUN      STEP  NOTE\n"
            "a       12345  x\n"
            "größer      1\n");
}

TEST(TableTest, WithoutRowsThereIsNoTable) {
  Table table;
  table.AddColumn("RUN", Align::kLeft);
  EXPECT_EQ(table.ToString(), "");
}

TEST(TableTest, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\x7f"), "a?[2Jb?c?");
  EXPECT_EQ(Printable("a\xC2\x9B"
                      "b"),
            "a?b");
  EXPECT_EQ(Printable("größer − 1"), "größer − 1");
  Table table;
  table.AddColumn("HOST", Align::kLeft);
  table.AddRow({"\x1b]0;x\x07"});
  EXPECT_EQ(table.ToString(), "HOST\n?]0;x?\n");
}

TEST(TableTest, NumbersHaveFourDigitsAndMayBeAbsent) {
  EXPECT_EQ(Number(0.123456), "0.1235");
  EXPECT_EQ(Number(1234567), "1.235e+06");
  EXPECT_EQ(Number(0), "0");
  EXPECT_EQ(Number(std::nullopt), "-");
}

TEST(TableTest, ColoursOnlyWhereWanted) {
  EXPECT_EQ(Coloured("x", Colour::kRed, false), "x");
  EXPECT_EQ(Coloured("x", Colour::kRed, true), "\x1b[31mx\x1b[0m");
}

}  // namespace
}  // namespace muster::cli
