#include "daemon/identity/channel.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "daemon/identity/server_tls.h"

namespace muster::identity {
namespace {

constexpr std::string_view kTls = "tls://";

absl::Status ReadInto(const char* what, const std::string& path,
                      std::string& text) {
  if (path.empty()) return absl::OkStatus();
  auto read = ReadWholeFile(path);
  if (read.ok() && !read->empty()) {
    text = *std::move(read);
    return absl::OkStatus();
  }
  const std::string reason =
      read.ok() ? "is empty" : std::string(read.status().message());
  return absl::FailedPreconditionError(
      absl::StrCat(what, " '", path, "': ", reason));
}

bool IsThisMachine(std::string_view address) {
  return address.starts_with("unix:") || address.starts_with("127.") ||
         address.starts_with("localhost:") || address.starts_with("[::1]:");
}

}  // namespace

absl::StatusOr<ChannelTarget> PrepareChannel(const std::string& address,
                                             const ChannelFiles& files) {
  if (!std::string_view(address).starts_with(kTls)) {
    if (!files.token.empty() && !IsThisMachine(address)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a token is sent to ", address,
                       " only over TLS: write tls://", address));
    }
    return ChannelTarget{address, grpc::InsecureChannelCredentials()};
  }
  grpc::SslCredentialsOptions options;
  for (const absl::Status& status :
       {ReadInto("CA file", files.ca, options.pem_root_certs),
        ReadInto("certificate file", files.certificate, options.pem_cert_chain),
        ReadInto("key file", files.key, options.pem_private_key)}) {
    if (!status.ok()) return status;
  }
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(
        "certificate file and key file need each other");
  }
  return ChannelTarget{address.substr(kTls.size()),
                       grpc::SslCredentials(options)};
}

absl::Status AddToken(const ChannelFiles& files, grpc::ClientContext& context) {
  std::string token;
  absl::Status status = ReadInto("token file", files.token, token);
  if (!status.ok()) return status;
  absl::StripAsciiWhitespace(&token);
  if (token.empty()) return absl::OkStatus();
  const bool visible = std::all_of(token.begin(), token.end(),
                                   [](char c) { return c > 0x20 && c < 0x7F; });
  if (!visible) {
    return absl::FailedPreconditionError(absl::StrCat(
        "token file '", files.token, "': not one word of visible ASCII"));
  }
  context.AddMetadata("authorization", "Bearer " + token);
  return absl::OkStatus();
}

}  // namespace muster::identity
