#include "daemon/web/index.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::web {
namespace {

using ::testing::HasSubstr;

// "<p>hello</p>", by Python's gzip.compress(…, mtime=0).
constexpr unsigned char kHello[] = {
    31,  139, 8,   0,   0,  0,   0, 0, 2,  3,   179, 41,  176, 203, 72, 205,
    201, 201, 183, 209, 47, 176, 3, 0, 68, 251, 174, 210, 12,  0,   0,  0};
constexpr char kHtml[] = "<p>hello</p>";

page::Page Hello() {
  return {{reinterpret_cast<const char*>(kHello), sizeof(kHello)},
          sizeof(kHtml) - 1,
          "0123abcd",
          "default-src 'none'"};
}

std::string HeaderOf(const Reply& reply, const std::string& name) {
  for (const auto& [header, value] : reply.headers) {
    if (header == name) return value;
  }
  return "";
}

TEST(IndexTest, PageIsServedAsTheClientCanReadIt) {
  const page::Page page = Hello();
  const Reply plain = AnswerIndex(&page, {});
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(plain.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(plain.body, kHtml);
  EXPECT_EQ(HeaderOf(plain, "Content-Encoding"), "");
  EXPECT_EQ(HeaderOf(plain, "ETag"), "\"0123abcd\"");
  EXPECT_EQ(HeaderOf(plain, "Content-Security-Policy"), "default-src 'none'");
  const Reply packed =
      AnswerIndex(&page, {.accept_encoding = "gzip, deflate, br"});
  EXPECT_EQ(packed.body, page.gzip);
  EXPECT_EQ(HeaderOf(packed, "Content-Encoding"), "gzip");
  EXPECT_EQ(HeaderOf(packed, "ETag"), "\"0123abcd-gzip\"");
}

TEST(IndexTest, WhatTheClientHasIsNotSentAgain) {
  const page::Page page = Hello();
  for (const char* have : {"\"0123abcd\"", "\"x\", W/\"0123abcd\"", "*"}) {
    const Reply reply = AnswerIndex(&page, {.if_none_match = have});
    EXPECT_EQ(reply.status, 304) << have;
    EXPECT_EQ(reply.body, "");
    EXPECT_EQ(HeaderOf(reply, "ETag"), "\"0123abcd\"");
  }
  for (const char* have : {"\"0123abcd-gzip\"", "0123abcd", "\"\"", ""}) {
    EXPECT_EQ(AnswerIndex(&page, {.if_none_match = have}).status, 200) << have;
  }
}

TEST(IndexTest, WithoutThePageThereAreLinks) {
  const Reply reply = AnswerIndex(nullptr, {.accept_encoding = "gzip"});
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr("built without its page"));
  EXPECT_THAT(reply.body, HasSubstr("href=\"/api/v1/runs\""));
}

TEST(IndexTest, AcceptsGzipWhereItIsListedAndNotForbidden) {
  for (const char* yes : {"gzip", "br, GZIP;q=0.5", "*", "deflate , gzip"}) {
    EXPECT_TRUE(AcceptsGzip(yes)) << yes;
  }
  for (const char* no : {"", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip",
                         "gzip;q", "gzip;q=x", "identity"}) {
    EXPECT_FALSE(AcceptsGzip(no)) << no;
  }
}

}  // namespace
}  // namespace muster::web
