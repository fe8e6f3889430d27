#include "cli/query_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "daemon/identity/channel.h"
#include "muster/v1/query.grpc.pb.h"

namespace muster::cli {
namespace {

constexpr std::chrono::seconds kTimeout{5};
// It waits for others' questions to the history and for a disk, and no answer
// would spoil the whole export.
constexpr std::chrono::seconds kExportTimeout{60};

}  // namespace

struct QueryClient::Channel {
  std::string address;
  identity::ChannelFiles files;
  absl::Status prepared;  // an error: there is no stub
  std::unique_ptr<v1::Query::Stub> stub;

  // Calls one method of the stub.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Ask(
      grpc::Status (v1::Query::Stub::*method)(grpc::ClientContext*,
                                              const Request&, Response*),
      const Request& request, std::chrono::seconds timeout = kTimeout) {
    if (!prepared.ok()) return prepared;
    grpc::ClientContext context;
    const absl::Status shown = identity::AddToken(files, context);
    if (!shown.ok()) return shown;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    Response response;
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    switch (status.error_code()) {
      case grpc::StatusCode::OK:
        return response;
      case grpc::StatusCode::NOT_FOUND:
        return absl::NotFoundError(status.error_message());
      case grpc::StatusCode::INVALID_ARGUMENT:
        return absl::InvalidArgumentError(status.error_message());
      case grpc::StatusCode::UNAUTHENTICATED:
        return absl::UnauthenticatedError(absl::StrCat(
            "musterd at ", address, ": ", status.error_message(),
            "; show a token (--token-file) or a certificate (--cert-file)"));
      case grpc::StatusCode::PERMISSION_DENIED:
        return absl::PermissionDeniedError(
            absl::StrCat("musterd at ", address, ": ", status.error_message()));
      default:
        return absl::UnavailableError(absl::StrCat("no answer from musterd at ",
                                                   address, ": ",
                                                   status.error_message()));
    }
  }
};

QueryClient::QueryClient(const std::string& address,
                         const identity::ChannelFiles& files)
    : channel_(std::make_unique<Channel>()) {
  grpc::ChannelArguments arguments;
  // Steps of large runs exceed the default of 4 MiB.
  arguments.SetMaxReceiveMessageSize(-1);
  channel_->address = address;
  channel_->files = files;
  const auto target = identity::PrepareChannel(address, files);
  channel_->prepared = target.status();
  if (!target.ok()) return;
  channel_->stub = v1::Query::NewStub(grpc::CreateCustomChannel(
      target->target, target->credentials, arguments));
}

QueryClient::~QueryClient() = default;

absl::StatusOr<v1::ListRunsResponse> QueryClient::ListRuns() {
  return channel_->Ask(&v1::Query::Stub::ListRuns, v1::ListRunsRequest());
}

absl::StatusOr<v1::ListRanksResponse> QueryClient::ListRanks(
    const v1::ListRanksRequest& request) {
  return channel_->Ask(&v1::Query::Stub::ListRanks, request);
}

absl::StatusOr<v1::ListStepsResponse> QueryClient::ListSteps(
    const v1::ListStepsRequest& request) {
  return channel_->Ask(&v1::Query::Stub::ListSteps, request);
}

absl::StatusOr<v1::ExportStepsResponse> QueryClient::ExportSteps(
    const v1::ExportStepsRequest& request) {
  return channel_->Ask(&v1::Query::Stub::ExportSteps, request, kExportTimeout);
}

absl::StatusOr<v1::ListAlertsResponse> QueryClient::ListAlerts(
    const v1::ListAlertsRequest& request) {
  return channel_->Ask(&v1::Query::Stub::ListAlerts, request);
}

absl::StatusOr<v1::Heatmap> QueryClient::GetHeatmap(
    const v1::GetHeatmapRequest& request) {
  return channel_->Ask(&v1::Query::Stub::GetHeatmap, request);
}

absl::StatusOr<v1::Series> QueryClient::GetSeries(
    const v1::GetSeriesRequest& request) {
  return channel_->Ask(&v1::Query::Stub::GetSeries, request);
}

absl::StatusOr<v1::Matrix> QueryClient::GetMatrix(
    const v1::GetMatrixRequest& request) {
  return channel_->Ask(&v1::Query::Stub::GetMatrix, request);
}

}  // namespace muster::cli
