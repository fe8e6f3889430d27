#include "daemon/identity/grpc_server.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/mutex.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"

namespace muster::identity {
namespace {

// gRPC's own server credentials for TLS either keep their first certificate or
// watch files without looking whether key and certificate are one pair. The C
// interface below them asks at each handshake. Thread-safe.
class GateCredentials : public grpc::ServerCredentials {
 public:
  explicit GateCredentials(const Gate& gate) : gate_(gate) {}

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address,
                      grpc_server* server) override {
    const TlsOptions& options = gate_.tls_options();
    auto asked = GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    if (!options.client_ca_file.empty()) {
      asked = options.require_client_certificate
                  ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                  : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    grpc_server_credentials* credentials =
        grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                asked, Fetch, this));
    const int port =
        grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<GateCredentials*>(self)->Fetch(config);
  }

  grpc_ssl_certificate_config_reload_status Fetch(
      grpc_ssl_server_certificate_config** config) {
    const auto tls = gate_.tls();
    MutexLock lock(mutex_);
    if (tls == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {tls->key.c_str(),
                                             tls->chain.c_str()};
    // gRPC 1.51 asserts that there are authorities, also where no certificate
    // is asked for: then it never looks at them.
    const std::string& authorities =
        tls->client_ca.empty() ? tls->chain : tls->client_ca;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(),
                                                        &pair, 1);
    given_ = tls;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const Gate& gate_;
  Mutex mutex_;
  // What the one port has.
  std::shared_ptr<const ServerTls> given_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ServerCredentials(
    const Gate& gate, const std::string& address) {
  if (absl::StartsWith(address, "unix:") || gate.tls() == nullptr) {
    return grpc::InsecureServerCredentials();
  }
  return std::make_shared<GateCredentials>(gate);
}

absl::StatusOr<Caller> CallerOf(const Gate& gate,
                                const grpc::CallbackServerContext& context) {
  if (gate.open()) return Caller();
  std::vector<std::string> names;
  const auto authenticated = context.auth_context();
  if (authenticated != nullptr) {
    for (const grpc::string_ref& name :
         authenticated->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME)) {
      names.emplace_back(name.data(), name.size());
    }
  }
  const auto& metadata = context.client_metadata();
  const auto header = metadata.find("authorization");
  const std::string authorization =
      header == metadata.end()
          ? ""
          : std::string(header->second.data(), header->second.size());
  return gate.Identify(names, authorization);
}

absl::StatusOr<Caller> Admit(Gate& gate, Verb verb,
                             const grpc::CallbackServerContext& context) {
  auto caller = CallerOf(gate, context);
  if (caller.ok() && gate.AllowsAny(*caller, verb)) return caller;
  const bool known = caller.ok() && !caller->identities.empty();
  const std::string who =
      known ? caller->name()
            : std::string(caller.ok() ? "neither token nor certificate"
                                      : caller.status().message());
  gate.Deny(verb, known ? Denial::kNotAllowed : Denial::kUnauthenticated,
            absl::StrCat(who, ", from ", context.peer()));
  if (known) return absl::PermissionDeniedError("not allowed");
  return absl::UnauthenticatedError("not authenticated");
}

}  // namespace muster::identity
