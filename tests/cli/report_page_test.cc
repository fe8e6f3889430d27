#include "cli/report_page.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHtml[] =
    "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
    "<title>t</title>\n</head>\n<body>\n<script>1</script>\n</body>\n</html>\n";

google::protobuf::Struct Parsed(const std::string& json) {
  google::protobuf::Struct object;
  const auto status =
      google::protobuf::util::JsonStringToMessage(json, &object);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << json;
  return object;
}

TEST(ReportPageTest, NoAnswerEndsItsElement) {
  const std::string hostile = "</script><script>alert(1)</script><!-- \"\\";
  google::protobuf::Struct answer;
  (*answer.mutable_fields())["name"].set_string_value(hostile);
  // As a serialiser may write it that escapes no more than JSON asks for.
  const std::string json =
      "{\"name\": \"</script><script>alert(1)</script><!-- \\\"\\\\\"}";
  const std::string data = ReportData({{"/a?b=<\"\\", json}, {"/c", "{}\n"}});
  EXPECT_THAT(data, Not(HasSubstr("<")));
  const auto object = Parsed(data);
  ASSERT_EQ(object.fields_size(), 2);
  EXPECT_EQ(object.fields()
                .at("/a?b=<\"\\")
                .struct_value()
                .fields()
                .at("name")
                .string_value(),
            hostile);
}

TEST(ReportPageTest, PolicyAsksNobody) {
  EXPECT_EQ(ReportPolicy("default-src 'none'; script-src 'sha256-a='; "
                         "style-src 'sha256-b='; connect-src 'self'; "
                         "img-src 'self' data:; frame-ancestors 'none'"),
            "default-src 'none'; script-src 'sha256-a='; style-src "
            "'sha256-b='; connect-src 'none'; img-src data:");
}

TEST(ReportPageTest, PolicyStandsBeforeAllThatItHoldsFor) {
  const auto page = ReportPage(kHtml, "default-src 'none'", {{"/a", "{}"}});
  ASSERT_TRUE(page.ok()) << page.status();
  const size_t policy = page->find(
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'\">");
  const size_t data = page->find(
      "<script type=\"application/json\" id=\"muster-data\">{\"/a\":{}}"
      "</script>");
  ASSERT_NE(policy, std::string::npos) << *page;
  ASSERT_NE(data, std::string::npos) << *page;
  EXPECT_LT(policy, page->find("<title>"));
  EXPECT_LT(data, page->find("<script>1"));
}

TEST(ReportPageTest, APageWithoutAPlaceIsAnError) {
  for (const char* html : {"", "<meta charset=\"utf-8\">", "<body>"}) {
    EXPECT_EQ(ReportPage(html, "", {}).status().code(),
              absl::StatusCode::kInternal)
        << html;
  }
}

TEST(ReportPageTest, SaysWhatItIsOf) {
  const auto about =
      Parsed(ReportAbout("r<1", absl::FromUnixSeconds(1'700'000'000)));
  EXPECT_EQ(about.fields().at("run").string_value(), "r<1");
  EXPECT_EQ(about.fields().at("madeUnixNanos").string_value(),
            "1700000000000000000");
  EXPECT_EQ(Parsed(ErrorJson("no \"x\"")).fields().at("error").string_value(),
            "no \"x\"");
}

}  // namespace
}  // namespace muster::cli
