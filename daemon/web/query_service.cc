#include "daemon/web/query_service.h"

#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "daemon/identity/grpc_server.h"
#include "daemon/web/elastic_task_queue.h"
#include "daemon/web/export_steps.h"
#include "daemon/web/front_door.h"
#include "daemon/web/queries.h"
#include "daemon/web/series.h"
#include "grpcpp/support/server_callback.h"
#include "muster/v1/query.grpc.pb.h"

namespace muster::web {
namespace {

// Threads for calls that read the history; more calls wait.
constexpr size_t kReaders = 2;

grpc::Status ToGrpc(const absl::Status& status) {
  // The codes are numbered alike.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

class QueryService final : public v1::Query::CallbackService {
 public:
  QueryService(Source source, identity::Gate* gate)
      : source_(std::make_shared<const Source>(std::move(source))),
        gate_(gate) {}

  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context,
                                     const v1::ListRunsRequest*,
                                     v1::ListRunsResponse* response) override {
    return Finish(
        context, *response,
        [&](const Source& source) -> absl::StatusOr<v1::ListRunsResponse> {
          return web::ListRuns(source);
        });
  }

  grpc::ServerUnaryReactor* ListRanks(
      grpc::CallbackServerContext* context, const v1::ListRanksRequest* request,
      v1::ListRanksResponse* response) override {
    return Finish(context, *response, [&](const Source& source) {
      return web::ListRanks(source, *request);
    });
  }

  grpc::ServerUnaryReactor* ListSteps(
      grpc::CallbackServerContext* context, const v1::ListStepsRequest* request,
      v1::ListStepsResponse* response) override {
    return Finish(context, *response, [&](const Source& source) {
      return web::ListSteps(source, *request);
    });
  }

  grpc::ServerUnaryReactor* GetMatrix(grpc::CallbackServerContext* context,
                                      const v1::GetMatrixRequest* request,
                                      v1::Matrix* response) override {
    return Finish(context, *response, [&](const Source& source) {
      return web::GetMatrix(source, *request);
    });
  }

  grpc::ServerUnaryReactor* GetSeries(grpc::CallbackServerContext* context,
                                      const v1::GetSeriesRequest* request,
                                      v1::Series* response) override {
    return FinishLater(context, *response, [request](const Source& source) {
      return web::GetSeries(source, *request);
    });
  }

  grpc::ServerUnaryReactor* GetHeatmap(grpc::CallbackServerContext* context,
                                       const v1::GetHeatmapRequest* request,
                                       v1::Heatmap* response) override {
    return FinishLater(context, *response, [request](const Source& source) {
      return web::GetHeatmap(source, *request);
    });
  }

  grpc::ServerUnaryReactor* ExportSteps(
      grpc::CallbackServerContext* context,
      const v1::ExportStepsRequest* request,
      v1::ExportStepsResponse* response) override {
    return FinishLater(context, *response, [request](const Source& source) {
      return web::ExportSteps(source, *request);
    });
  }

  grpc::ServerUnaryReactor* ListAlerts(
      grpc::CallbackServerContext* context,
      const v1::ListAlertsRequest* request,
      v1::ListAlertsResponse* response) override {
    return Finish(context, *response, [&](const Source& source) {
      return web::ListAlerts(source, *request);
    });
  }

 private:
  // What the caller may see; an error for one who may see nothing.
  absl::StatusOr<std::shared_ptr<const Source>> SourceFor(
      const grpc::CallbackServerContext& context) {
    if (gate_ == nullptr || gate_->open()) return source_;
    auto caller = identity::Admit(*gate_, identity::Verb::kQuery, context);
    if (!caller.ok()) return caller.status();
    return std::make_shared<const Source>(
        ShownTo(*gate_, *std::move(caller), identity::Verb::kQuery, *source_));
  }

  // Answers at once with what `ask` says.
  template <typename Response, typename Ask>
  grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                   Response& response, const Ask& ask) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto source = SourceFor(*context);
    if (source.ok()) {
      FinishNow(*reactor, response, **source, ask);
    } else {
      reactor->Finish(ToGrpc(source.status()));
    }
    return reactor;
  }

  // The same for what reads a file: gRPC's threads have streams to serve.
  // `response` and what `ask` refers to live until the call is finished.
  template <typename Response, typename Ask>
  grpc::ServerUnaryReactor* FinishLater(grpc::CallbackServerContext* context,
                                        Response& response, Ask ask) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto source = SourceFor(*context);
    if (!source.ok()) {
      reactor->Finish(ToGrpc(source.status()));
      return reactor;
    }
    readers_.Enqueue(
        [context, reactor, &response, source = *source, ask = std::move(ask)] {
          // Who has gone does not hold up those who wait.
          if (context->IsCancelled()) {
            reactor->Finish(grpc::Status::CANCELLED);
          } else {
            FinishNow(*reactor, response, *source, ask);
          }
        });
    return reactor;
  }

  template <typename Response, typename Ask>
  static void FinishNow(grpc::ServerUnaryReactor& reactor, Response& response,
                        const Source& source, const Ask& ask) {
    try {
      absl::StatusOr<Response> answer = ask(source);
      const grpc::Status status = ToGrpc(answer.status());
      if (answer.ok()) response = *std::move(answer);
      reactor.Finish(status);
    } catch (const std::exception& error) {
      reactor.Finish(grpc::Status(grpc::StatusCode::INTERNAL, error.what()));
    }
  }

  const std::shared_ptr<const Source> source_;
  identity::Gate* const gate_;
  ElasticTaskQueue readers_{kReaders};  // last: its tasks use the above
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(Source source,
                                                identity::Gate* gate) {
  return std::make_unique<QueryService>(std::move(source), gate);
}

}  // namespace muster::web
