#include "daemon/web/query_service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "muster/v1/query.grpc.pb.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::SourceFrom;

// A server in this process, and a client of it.
class QueryServiceTest : public ::testing::Test {
 protected:
  void Start(Source source) {
    service_ = MakeQueryService(std::move(source));
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::Query::NewStub(server_->InProcessChannel({}));
  }
  ~QueryServiceTest() override {
    if (server_) server_->Shutdown();
  }

  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Query::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(QueryServiceTest, AnswersWhatReadsTheHistoryAllAtOnce) {
  Start(SourceFrom({HandBuiltRun("r")}));
  v1::GetHeatmapRequest heatmap_request;
  heatmap_request.set_run("r");
  v1::Heatmap heatmap;
  ASSERT_TRUE(stub_->GetHeatmap(&context_, heatmap_request, &heatmap).ok());
  EXPECT_EQ(heatmap.ranks_size(), 3);
  v1::GetSeriesRequest request;
  request.set_run("r");
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      grpc::ClientContext context;
      v1::Series series;
      EXPECT_TRUE(stub_->GetSeries(&context, request, &series).ok());
      EXPECT_EQ(series.first_step_size(), 2);
    });
  }
  for (std::thread& caller : callers) caller.join();
  grpc::ClientContext unknown;
  request.set_run("other");
  v1::Series none;
  EXPECT_EQ(stub_->GetSeries(&unknown, request, &none).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(QueryServiceTest, AnswersEachQuestion) {
  Start(SourceFrom({HandBuiltRun("r")}));
  v1::ListRunsResponse runs;
  ASSERT_TRUE(stub_->ListRuns(&context_, {}, &runs).ok());
  EXPECT_EQ(runs.runs(0).run(), "r");

  grpc::ClientContext ranks_context;
  v1::ListRanksRequest ranks_request;
  ranks_request.set_run("r");
  v1::ListRanksResponse ranks;
  ASSERT_TRUE(stub_->ListRanks(&ranks_context, ranks_request, &ranks).ok());
  EXPECT_EQ(ranks.ranks_size(), 3);

  grpc::ClientContext steps_context;
  v1::ListStepsRequest steps_request;
  steps_request.set_run("r");
  v1::ListStepsResponse steps;
  ASSERT_TRUE(stub_->ListSteps(&steps_context, steps_request, &steps).ok());
  EXPECT_EQ(steps.steps_size(), 2);

  grpc::ClientContext alerts_context;
  v1::ListAlertsResponse alerts;
  ASSERT_TRUE(stub_->ListAlerts(&alerts_context, {}, &alerts).ok());
  EXPECT_EQ(alerts.alerts(0).kind(), "RankOutlier");
}

TEST_F(QueryServiceTest, ErrorsKeepTheirCodeAndMessage) {
  Start(SourceFrom({}));
  v1::GetMatrixRequest request;
  request.set_run("none");
  v1::Matrix matrix;
  const grpc::Status status = stub_->GetMatrix(&context_, request, &matrix);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no run 'none'");
}

TEST_F(QueryServiceTest, ExceptionsBecomeErrors) {
  Source source = SourceFrom({});
  source.snapshots =
      []() -> std::vector<std::shared_ptr<const runs::RunSnapshot>> {
    throw std::runtime_error("out of luck");
  };
  Start(source);
  v1::ListRunsResponse runs;
  const grpc::Status status = stub_->ListRuns(&context_, {}, &runs);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
}

}  // namespace
}  // namespace muster::web
