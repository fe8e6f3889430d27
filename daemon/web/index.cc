#include "daemon/web/index.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace muster::web {
namespace {

constexpr char kHtml[] = "text/html; charset=utf-8";

constexpr char kPlain[] = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Muster</title>
<h1>Muster</h1>
<p>This musterd was built without its page (-DMUSTER_WEB=OFF).
<ul>
<li><a href="/api/v1/runs">Runs</a>
<li><a href="/api/v1/alerts">Alerts</a>
<li><a href="/metrics">Metrics</a>
</ul>
</html>
)";

// Whether a list of If-None-Match has the tag; weak ones match too.
bool Matches(const std::string& if_none_match, const std::string& tag) {
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(if_none_match, ','))) {
    std::string given(absl::StripAsciiWhitespace(part));
    if (given.starts_with("W/")) given = given.substr(2);
    if (given == "*" || given == tag) return true;
  }
  return false;
}

}  // namespace

bool AcceptsGzip(const std::string& accept_encoding) {
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(accept_encoding, ','))) {
    const std::vector<std::string> words = absl::StrSplit(part, ';');
    const auto name =
        absl::AsciiStrToLower(absl::StripAsciiWhitespace(words[0]));
    if (name != "gzip" && name != "*") continue;
    if (words.size() == 1) return true;
    const std::vector<std::string> weight =
        absl::StrSplit(words[1], absl::MaxSplits('=', 1));
    double value = 0;
    return weight.size() == 2 &&
           absl::SimpleAtod(absl::StripAsciiWhitespace(weight[1]), &value) &&
           value > 0;
  }
  return false;
}

Reply AnswerIndex(const page::Page* page, const RequestHeaders& headers) {
  if (page == nullptr) return {200, kHtml, kPlain};
  const bool gzip = AcceptsGzip(headers.accept_encoding);
  // Two representations, two tags.
  const std::string tag =
      absl::StrCat("\"", std::string(page->tag), gzip ? "-gzip\"" : "\"");
  Reply reply{200, kHtml, ""};
  reply.headers = {{"Cache-Control", "no-cache"},
                   {"Content-Security-Policy", std::string(page->policy)},
                   {"ETag", tag},
                   {"Vary", "Accept-Encoding"}};
  if (Matches(headers.if_none_match, tag)) {
    reply.status = 304;
    return reply;
  }
  if (gzip) {
    reply.headers.emplace_back("Content-Encoding", "gzip");
    reply.body = std::string(page->gzip);
  } else {
    reply.body = page::Html(*page);
  }
  return reply;
}

}  // namespace muster::web
