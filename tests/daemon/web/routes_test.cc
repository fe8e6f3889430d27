#include "daemon/web/routes.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::SourceFrom;
using ::testing::HasSubstr;
using ::testing::Not;

Reply Get(const std::string& path, const Parameters& parameters = {}) {
  return Answer(SourceFrom({HandBuiltRun("run-7")}), path, parameters);
}

TEST(RoutesTest, HealthIsAlwaysGoodAndReadinessIsTheDaemons) {
  Source source = SourceFrom({});
  EXPECT_EQ(Answer(source, "/healthz", {}).status, 200);
  EXPECT_EQ(Answer(source, "/readyz", {}).status, 200);
  source.ready = [] { return false; };
  EXPECT_EQ(Answer(source, "/healthz", {}).status, 200);
  EXPECT_EQ(Answer(source, "/readyz", {}).status, 503);
}

TEST(RoutesTest, ARelayIsReadyAndTellsOfItsUpstream) {
  Source source;
  source.metrics = [](const RunFilter&) { return "muster_relay_runs 1\n"; };
  source.ready = [] { return true; };
  source.relay = [] { return "upstream a:1: away since then"; };
  EXPECT_EQ(Answer(source, "/readyz", {}).status, 200);
  EXPECT_EQ(Answer(source, "/readyz", {}).body,
            "ready; upstream a:1: away since then\n");
  EXPECT_EQ(Answer(source, "/metrics", {}).body, "muster_relay_runs 1\n");
  const Reply index = Answer(source, "/", {});
  EXPECT_EQ(index.status, 200);
  EXPECT_THAT(index.body, HasSubstr("upstream a:1: away since then"));
  for (const char* path : {"/api/v1/runs", "/api/v1/runs/r/steps", "/other"}) {
    const Reply reply = Answer(source, path, {});
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_THAT(reply.body, HasSubstr("this is a relay")) << path;
  }
}

TEST(RoutesTest, MetricsHavePrometheusContentType) {
  const Reply reply = Get("/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(reply.body, "muster_step 1\n");
}

TEST(RoutesTest, IndexLinksToWhatThereIs) {
  const Reply reply = Get("/");
  EXPECT_EQ(reply.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(reply.body, HasSubstr("href=\"/api/v1/runs\""));
  EXPECT_THAT(reply.body, HasSubstr("href=\"/metrics\""));
}

TEST(RoutesTest, JsonHasZerosButNotWhatIsAbsent) {
  const Reply reply = Get("/api/v1/runs/run-7/steps", {{"limit", "1"}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_THAT(reply.body, HasSubstr("\"step\":\"412\""));
  EXPECT_THAT(reply.body, HasSubstr("\"lossMean\":2.25"));
  EXPECT_THAT(reply.body, HasSubstr("\"replicaValues\":2"));
  EXPECT_THAT(reply.body, HasSubstr("\"superseded\":false"));
  const Reply ranks = Get("/api/v1/runs/run-7/steps", {{"ranks", "1"}});
  EXPECT_THAT(ranks.body, HasSubstr("\"gradientNorm\":3"));
  EXPECT_THAT(ranks.body, Not(HasSubstr("divergence")));
}

TEST(RoutesTest, EachPathAnswersItsQuestion) {
  EXPECT_THAT(Get("/api/v1/runs").body,
              HasSubstr("\"daemonVersion\":\"0.1.0\""));
  EXPECT_THAT(Get("/api/v1/runs/run-7/ranks").body,
              HasSubstr("\"host\":\"node-1\""));
  EXPECT_THAT(Get("/api/v1/alerts").body, HasSubstr("\"state\":\"FIRING\""));
  EXPECT_THAT(Get("/api/v1/alerts", {{"run", "run-7"}, {"firing", "1"}}).body,
              HasSubstr("RankOutlier"));
  const Reply matrix = Get("/api/v1/runs/run-7/matrix");
  EXPECT_EQ(matrix.status, 404);
  EXPECT_THAT(matrix.body, HasSubstr("no frame with sketches is in memory"));
}

TEST(RoutesTest, ChartsAreAnsweredAsTheyAreAskedFor) {
  const Reply series = Get("/api/v1/runs/run-7/series",
                           {{"points", "1"}, {"rank", "1,2"}, {"from", "411"}});
  EXPECT_EQ(series.status, 200) << series.body;
  EXPECT_THAT(series.body, HasSubstr("\"firstStep\":[\"411\"]"));
  EXPECT_THAT(series.body, HasSubstr("\"lastStep\":[\"412\"]"));
  EXPECT_THAT(series.body,
              HasSubstr("{\"name\":\"rank_loss\",\"min\":[2],\"max\":[2.5],"));
  EXPECT_THAT(series.body,
              HasSubstr("{\"name\":\"rank_loss\",\"rank\":2,\"min\":[2.5],"));
  const Reply absent =
      Get("/api/v1/runs/run-7/series", {{"rank", "2"}, {"to", "411"}});
  EXPECT_THAT(absent.body, HasSubstr("\"rank\":2,\"min\":[\"NaN\"]"));
  const Reply heatmap = Get("/api/v1/runs/run-7/heatmap",
                            {{"metric", "gradient_norm"}, {"columns", "1"}});
  EXPECT_EQ(heatmap.status, 200) << heatmap.body;
  EXPECT_THAT(heatmap.body, HasSubstr("\"metric\":\"gradient_norm\""));
  EXPECT_THAT(heatmap.body, HasSubstr("\"ranks\":[0,1,2]"));
}

TEST(RoutesTest, HistoryThatCannotBeReadIsNoMistakeOfTheClient) {
  runs::RunSnapshot run = HandBuiltRun("run-7");
  run.history_run = 1;
  Source source = SourceFrom({run});
  absl::Status status = absl::UnavailableError("h.db: locked");
  source.stored_frames = [&](const history::FrameQuery&) {
    return absl::StatusOr<history::FrameRange>(status);
  };
  EXPECT_EQ(Answer(source, "/api/v1/runs/run-7/series", {}).status, 503);
  status = absl::DataLossError("h.db: damaged");
  EXPECT_EQ(Answer(source, "/api/v1/runs/run-7/series", {}).status, 500);
}

TEST(RoutesTest, BadParametersAreNamedWithWhatIsAllowed) {
  struct Case {
    std::string path;
    Parameters parameters;
    std::string error;
  };
  const std::string steps = "/api/v1/runs/run-7/steps";
  const std::string series = "/api/v1/runs/run-7/series";
  const std::string heatmap = "/api/v1/runs/run-7/heatmap";
  for (const Case& bad : {
           Case{steps,
                {{"limit", "x"}},
                "parameter 'limit' is 'x'; allowed: a whole number, 0 … 4096"},
           Case{
               steps, {{"limit", "4097"}}, "allowed: a whole number, 0 … 4096"},
           Case{steps, {{"limit", "-1"}}, "'-1'; allowed: a whole number"},
           Case{steps,
                {{"from", ""}},
                "''; allowed: a whole number, 0 … "
                "4611686018427387904"},
           Case{steps, {{"to", "99999999999999999999"}}, "parameter 'to'"},
           Case{steps, {{"ranks", "yes"}}, "'yes'; allowed: 0, 1"},
           Case{steps,
                {{"form", "1"}},
                "unknown parameter 'form'; allowed: from, to, limit, ranks"},
           Case{steps,
                {{"to", "1"}, {"to", "2"}},
                "parameter 'to' is given twice"},
           Case{steps, {{"from", "2"}, {"to", "1"}}, "from is 2"},
           Case{"/api/v1/runs/run-7/matrix",
                {{"step", "a\"b\n\xff"}},
                "'a\\\"b"},
           Case{series,
                {{"points", "0"}},
                "'0'; allowed: a whole number, 1 … 4096"},
           Case{series, {{"points", "4097"}}, "1 … 4096"},
           Case{series, {{"digits", "18"}}, "1 … 17"},
           Case{heatmap, {{"digits", "0"}}, "1 … 17"},
           Case{series, {{"rank", "1,x"}}, "'1,x'; allowed: at most 8 whole"},
           Case{series, {{"rank", "1,2,3,4,5,6,7,8,9"}}, "at most 8 whole"},
           Case{series, {{"rank", "4294967296"}}, "parameter 'rank'"},
           Case{series, {{"rank", ""}}, "parameter 'rank' is ''"},
           Case{series, {{"from", "2"}, {"to", "1"}}, "from is 2"},
           Case{heatmap, {{"columns", "1025"}}, "1 … 1024"},
           Case{heatmap,
                {{"metric", "weight"}},
                "allowed: loss, gradient_norm, gradient_cosine"},
           Case{heatmap, {{"points", "1"}}, "unknown parameter 'points'"},
           Case{"/api/v1/alerts", {{"firing", "2"}}, "parameter 'firing'"},
           Case{"/api/v1/runs",
                {{"x", "1"}},
                "unknown parameter 'x'; allowed: none"},
       }) {
    const Reply reply = Get(bad.path, bad.parameters);
    EXPECT_EQ(reply.status, 400) << bad.error;
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":\""));
    EXPECT_THAT(reply.body, HasSubstr(bad.error));
  }
}

TEST(RoutesTest, UnknownRunsAndPathsAreNotFound) {
  for (const char* path :
       {"/api/v1/runs/other/steps", "/api/v1/runs//steps", "/api/v1/runs/run-7",
        "/api/v1/runs/run-7/steps/1", "/api/v1/runs/a b/steps",
        "/api/v1/runs/\xff\xfe/ranks", "/nothing", "/api/v1/runs/", "", "//",
        "/\xff"}) {
    const Reply reply = Get(path);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":\"no ")) << path;
  }
  EXPECT_EQ(Get("/api/v1/alerts", {{"run", "other"}}).status, 404);
  EXPECT_EQ(Get("/api/v1/alerts", {{"run", "\xff"}}).status, 404);
}

}  // namespace
}  // namespace muster::web
