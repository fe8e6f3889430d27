#include "daemon/web/tls_stream.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>
#include <climits>
#include <utility>

namespace muster::web {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
             BIO_free_all);
}

// Calls `take`, which frees it, with each certificate.
template <typename Take>
void EachCertificate(const std::string& text, const Take& take) {
  const Bio reader = Reader(text);
  while (X509* each =
             PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) {
    take(each);
  }
  ERR_clear_error();
}

bool Identify(SSL_CTX* context, const identity::ServerTls& tls) {
  bool good = true;
  bool first = true;
  EachCertificate(tls.chain, [&](X509* each) {
    good = good && (std::exchange(first, false)
                        ? SSL_CTX_use_certificate(context, each)
                        : SSL_CTX_add1_chain_cert(context, each)) == 1;
    X509_free(each);
  });
  EVP_PKEY* const key =
      PEM_read_bio_PrivateKey(Reader(tls.key).get(), nullptr, nullptr, nullptr);
  good = good && key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  return good;
}

void AskForCertificates(SSL_CTX* context, const std::string& authorities) {
  EachCertificate(authorities, [&](X509* each) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), each);
    SSL_CTX_add_client_CA(context, each);
    X509_free(each);
  });
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

std::shared_ptr<SSL_CTX> Make(const identity::ServerTls& tls) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()),
                                   SSL_CTX_free);
  if (context == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A resumed session would pass by what has changed since.
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!Identify(context.get(), tls)) return nullptr;
  if (!tls.client_ca.empty()) AskForCertificates(context.get(), tls.client_ca);
  return context;
}

std::string Text(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::string AddressText(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text));
  return text;
}

}  // namespace

std::shared_ptr<SSL_CTX> TlsContext::Current() {
  const auto tls = gate_.tls();
  MutexLock lock(mutex_);
  if (tls != made_of_) {
    context_ = Make(*tls);
    made_of_ = tls;
  }
  return context_;
}

TlsStream::TlsStream(std::shared_ptr<SSL_CTX> context, int descriptor,
                     absl::Duration read_timeout, absl::Duration write_timeout)
    : SocketStream(descriptor, read_timeout, write_timeout),
      context_(std::move(context)),
      ssl_(context_ == nullptr ? nullptr : SSL_new(context_.get())) {
  if (ssl_ != nullptr) SSL_set_fd(ssl_, descriptor);
}

TlsStream::~TlsStream() {
  if (ssl_ == nullptr) return;
  ERR_clear_error();
  // Says that nothing was cut off; nobody waits for the answer.
  if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
  ERR_clear_error();
  SSL_free(ssl_);
}

template <typename Step>
int TlsStream::Drive(const Step& step) {
  for (;;) {
    ERR_clear_error();
    const int result = step();
    if (result > 0) return result;
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        if (!Wait(POLLIN, read_timeout())) return -1;
        break;
      case SSL_ERROR_WANT_WRITE:
        if (!Wait(POLLOUT, write_timeout())) return -1;
        break;
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      default:
        return -1;
    }
  }
}

bool TlsStream::Handshake(absl::Duration timeout) {
  if (ssl_ == nullptr) return false;
  StartRequest(timeout);
  return Drive([this] { return SSL_accept(ssl_); }) > 0;
}

std::vector<std::string> TlsStream::CertificateNames() const {
  std::vector<std::string> names;
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) {
    return names;
  }
  auto* const all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all, i);
    switch (name->type) {
      case GEN_DNS:
      case GEN_URI:
      case GEN_EMAIL:
        names.push_back(Text(name->d.ia5));
        break;
      case GEN_IPADD:
        names.push_back(AddressText(name->d.iPAddress));
        break;
      default:
        break;
    }
  }
  GENERAL_NAMES_free(all);
  return names;
}

bool TlsStream::WaitForRequest(absl::Duration timeout) const {
  return SSL_pending(ssl_) > 0 || SocketStream::WaitForRequest(timeout);
}

bool TlsStream::is_readable() const {
  return SSL_pending(ssl_) > 0 || SocketStream::is_readable();
}

ssize_t TlsStream::read(char* data, size_t size) {
  const int most = static_cast<int>(std::min<size_t>(size, INT_MAX));
  return Drive([&] { return SSL_read(ssl_, data, most); });
}

ssize_t TlsStream::write(const char* data, size_t size) {
  const int most = static_cast<int>(std::min<size_t>(size, INT_MAX));
  return Drive([&] { return SSL_write(ssl_, data, most); });
}

}  // namespace muster::web
