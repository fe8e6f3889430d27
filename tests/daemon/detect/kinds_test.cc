#include "daemon/detect/kinds.h"

#include <cctype>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

// Runs of white space as one blank: line breaks do not count.
std::string Flow(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (space && !out.empty() && out.back() == ' ') continue;
    out += space ? ' ' : c;
  }
  return out;
}

// One source of truth: what the command says is what the page says.
TEST(KindsTest, DocumentationSaysTheSame) {
  std::ifstream file(MUSTER_SOURCE_DIR "/docs/alerts.md");
  const std::string page =
      Flow(std::string{std::istreambuf_iterator<char>(file), {}});
  for (int i = 0; i < kKindCount; ++i) {
    const KindInfo& info = InfoOf(static_cast<Kind>(i));
    EXPECT_EQ(info.kind, static_cast<Kind>(i));
    const size_t begin = page.find(std::string("## ") + info.name + " ");
    ASSERT_NE(begin, std::string::npos) << info.name;
    const std::string section =
        page.substr(begin, page.find(" ## ", begin + 1) - begin);
    EXPECT_NE(section.find(std::string("- First: ") + info.first_check),
              std::string::npos)
        << info.name;
  }
}

TEST(KindsTest, ShiftsAreObservedUnlessToldOtherwise) {
  const KindSettings settings = DefaultKindSettings();
  for (int i = 0; i < kKindCount; ++i) {
    const auto kind = static_cast<Kind>(i);
    const bool shift =
        kind == Kind::kDispersionShift || kind == Kind::kDirectionShift;
    EXPECT_EQ(settings[i].mode, shift ? Mode::kObserve : Mode::kAlert);
  }
}

}  // namespace
}  // namespace muster::detect
