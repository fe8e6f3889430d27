#include "daemon/web/query_service.h"

#include <exception>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "daemon/web/queries.h"
#include "grpcpp/support/server_callback.h"
#include "muster/v1/query.grpc.pb.h"

namespace muster::web {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  // The codes are numbered alike.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      std::string(status.message()));
}

class QueryService final : public v1::Query::CallbackService {
 public:
  explicit QueryService(Source source) : source_(std::move(source)) {}

  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context,
                                     const v1::ListRunsRequest*,
                                     v1::ListRunsResponse* response) override {
    return Finish(context, *response,
                  [&]() -> absl::StatusOr<v1::ListRunsResponse> {
                    return web::ListRuns(source_);
                  });
  }

  grpc::ServerUnaryReactor* ListRanks(
      grpc::CallbackServerContext* context, const v1::ListRanksRequest* request,
      v1::ListRanksResponse* response) override {
    return Finish(context, *response,
                  [&] { return web::ListRanks(source_, *request); });
  }

  grpc::ServerUnaryReactor* ListSteps(
      grpc::CallbackServerContext* context, const v1::ListStepsRequest* request,
      v1::ListStepsResponse* response) override {
    return Finish(context, *response,
                  [&] { return web::ListSteps(source_, *request); });
  }

  grpc::ServerUnaryReactor* GetMatrix(grpc::CallbackServerContext* context,
                                      const v1::GetMatrixRequest* request,
                                      v1::Matrix* response) override {
    return Finish(context, *response,
                  [&] { return web::GetMatrix(source_, *request); });
  }

  grpc::ServerUnaryReactor* ListAlerts(
      grpc::CallbackServerContext* context,
      const v1::ListAlertsRequest* request,
      v1::ListAlertsResponse* response) override {
    return Finish(context, *response,
                  [&] { return web::ListAlerts(source_, *request); });
  }

 private:
  // Answers at once with what `ask` says.
  template <typename Response, typename Ask>
  static grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext* context,
                                          Response& response, const Ask& ask) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    try {
      absl::StatusOr<Response> answer = ask();
      if (answer.ok()) response = *std::move(answer);
      reactor->Finish(ToGrpc(answer.status()));
    } catch (const std::exception& error) {
      reactor->Finish(grpc::Status(grpc::StatusCode::INTERNAL, error.what()));
    }
    return reactor;
  }

  const Source source_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(Source source) {
  return std::make_unique<QueryService>(std::move(source));
}

}  // namespace muster::web
