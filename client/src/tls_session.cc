#include "client/src/tls_session.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <utility>

namespace muster {
namespace {

// The functions of OpenSSL 3 that are used, as libssl.so.3 has them.
#define MUSTER_OPENSSL_FUNCTIONS(FUNCTION)     \
  FUNCTION(BIO_new)                            \
  FUNCTION(BIO_read)                           \
  FUNCTION(BIO_s_mem)                          \
  FUNCTION(BIO_write)                          \
  FUNCTION(ERR_clear_error)                    \
  FUNCTION(ERR_get_error)                      \
  FUNCTION(ERR_reason_error_string)            \
  FUNCTION(OPENSSL_init_ssl)                   \
  FUNCTION(SSL_CTX_check_private_key)          \
  FUNCTION(SSL_CTX_ctrl)                       \
  FUNCTION(SSL_CTX_free)                       \
  FUNCTION(SSL_CTX_load_verify_file)           \
  FUNCTION(SSL_CTX_new)                        \
  FUNCTION(SSL_CTX_set_default_passwd_cb)      \
  FUNCTION(SSL_CTX_set_default_verify_paths)   \
  FUNCTION(SSL_CTX_set_verify)                 \
  FUNCTION(SSL_CTX_use_PrivateKey_file)        \
  FUNCTION(SSL_CTX_use_certificate_chain_file) \
  FUNCTION(SSL_ctrl)                           \
  FUNCTION(SSL_do_handshake)                   \
  FUNCTION(SSL_free)                           \
  FUNCTION(SSL_get0_alpn_selected)             \
  FUNCTION(SSL_get0_param)                     \
  FUNCTION(SSL_get_error)                      \
  FUNCTION(SSL_get_verify_result)              \
  FUNCTION(SSL_new)                            \
  FUNCTION(SSL_read)                           \
  FUNCTION(SSL_set0_rbio)                      \
  FUNCTION(SSL_set0_wbio)                      \
  FUNCTION(SSL_set1_host)                      \
  FUNCTION(SSL_set_alpn_protos)                \
  FUNCTION(SSL_set_connect_state)              \
  FUNCTION(SSL_set_hostflags)                  \
  FUNCTION(SSL_write)                          \
  FUNCTION(TLS_client_method)                  \
  FUNCTION(X509_VERIFY_PARAM_set1_ip_asc)      \
  FUNCTION(X509_verify_cert_error_string)

constexpr char kLibrary[] = "libssl.so.3";
constexpr size_t kReadBytes = size_t{16} << 10;

struct OpenSsl {
#define MUSTER_DECLARE(name) decltype(&::name) name = nullptr;
  MUSTER_OPENSSL_FUNCTIONS(MUSTER_DECLARE)
#undef MUSTER_DECLARE
};

// False with *error set if the library or one of its functions is missing. The
// library stays for the life of the process.
bool Load(OpenSsl* openssl, std::string* error) {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    *error = std::string("a tls:// address needs OpenSSL 3: ") + dlerror();
    return false;
  }
#define MUSTER_LOOK_UP(name)                                            \
  openssl->name =                                                       \
      reinterpret_cast<decltype(openssl->name)>(dlsym(library, #name)); \
  if (openssl->name == nullptr) {                                       \
    *error = std::string(kLibrary) + " has no " #name;                  \
    return false;                                                       \
  }
  MUSTER_OPENSSL_FUNCTIONS(MUSTER_LOOK_UP)
#undef MUSTER_LOOK_UP
  // A handler of OpenSSL's at exit would free what the sender thread uses.
  return openssl->OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr) == 1;
}

// An enciphered key must not make OpenSSL ask on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

bool IsNumeric(const std::string& host) {
  unsigned char number[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), number) == 1 ||
         inet_pton(AF_INET6, host.c_str(), number) == 1;
}

class OpenSslSession : public TlsSession {
 public:
  ~OpenSslSession() override {
    // No close_notify: a connection is given up without a word.
    if (ssl_ != nullptr) openssl_.SSL_free(ssl_);
    if (context_ != nullptr) openssl_.SSL_CTX_free(context_);
  }

  bool Init(const TlsFiles& files, const std::string& host,
            std::string* error) {
    if (!Load(&openssl_, error)) return false;
    openssl_.ERR_clear_error();
    context_ = openssl_.SSL_CTX_new(openssl_.TLS_client_method());
    if (context_ == nullptr) return Broken(error);
    openssl_.SSL_CTX_ctrl(context_, SSL_CTRL_SET_MIN_PROTO_VERSION,
                          TLS1_2_VERSION, nullptr);
    openssl_.SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    openssl_.SSL_CTX_set_default_passwd_cb(context_, NoPassword);
    if (!Trust(files.ca, error) || !Identify(files, error)) return false;

    ssl_ = openssl_.SSL_new(context_);
    if (ssl_ == nullptr) return Broken(error);
    received_ = openssl_.BIO_new(openssl_.BIO_s_mem());
    if (received_ == nullptr) return Broken(error);
    openssl_.SSL_set0_rbio(ssl_, received_);
    to_send_ = openssl_.BIO_new(openssl_.BIO_s_mem());
    if (to_send_ == nullptr) return Broken(error);
    openssl_.SSL_set0_wbio(ssl_, to_send_);

    static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    if (openssl_.SSL_set_alpn_protos(ssl_, kHttp2, sizeof(kHttp2)) != 0 ||
        !Expect(host)) {
      return Broken(error);
    }
    openssl_.SSL_set_connect_state(ssl_);
    return true;
  }

  bool Receive(std::string_view bytes, std::string* text,
               std::string* error) override {
    openssl_.ERR_clear_error();
    if (!bytes.empty() &&
        openssl_.BIO_write(received_, bytes.data(),
                           static_cast<int>(bytes.size())) <= 0) {
      return Broken(error);
    }
    if (!ready_) {
      const int done = openssl_.SSL_do_handshake(ssl_);
      if (done != 1) return Tolerable(done, error);
      const unsigned char* protocol = nullptr;
      unsigned size = 0;
      openssl_.SSL_get0_alpn_selected(ssl_, &protocol, &size);
      if (std::string_view(reinterpret_cast<const char*>(protocol), size) !=
          "h2") {
        *error = "TLS: the daemon speaks no HTTP/2";
        return false;
      }
      ready_ = true;
    }
    char buffer[kReadBytes];
    while (true) {
      const int count = openssl_.SSL_read(ssl_, buffer, sizeof(buffer));
      if (count <= 0) return Tolerable(count, error);
      text->append(buffer, static_cast<size_t>(count));
    }
  }

  bool Send(std::string_view text, std::string* error) override {
    openssl_.ERR_clear_error();
    const int count =
        openssl_.SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    return count > 0 || Broken(error);
  }

  void TakeOutput(std::string* output) override {
    char buffer[kReadBytes];
    int count = 0;
    while ((count = openssl_.BIO_read(to_send_, buffer, sizeof(buffer))) > 0) {
      output->append(buffer, static_cast<size_t>(count));
    }
  }

  bool ready() const override { return ready_; }

 private:
  bool Trust(const std::string& path, std::string* error) {
    if (path.empty()) {
      return openssl_.SSL_CTX_set_default_verify_paths(context_) == 1 ||
             Broken(error);
    }
    return Readable("MUSTER_CA_FILE", path, error) &&
           (openssl_.SSL_CTX_load_verify_file(context_, path.c_str()) == 1 ||
            Unusable("MUSTER_CA_FILE", path, error));
  }

  bool Identify(const TlsFiles& files, std::string* error) {
    if (files.certificate.empty() && files.key.empty()) return true;
    if (files.certificate.empty() || files.key.empty()) {
      *error = "MUSTER_CERT_FILE and MUSTER_KEY_FILE: one needs the other";
      return false;
    }
    if (!Readable("MUSTER_CERT_FILE", files.certificate, error) ||
        !Readable("MUSTER_KEY_FILE", files.key, error)) {
      return false;
    }
    if (openssl_.SSL_CTX_use_certificate_chain_file(
            context_, files.certificate.c_str()) != 1) {
      return Unusable("MUSTER_CERT_FILE", files.certificate, error);
    }
    return (openssl_.SSL_CTX_use_PrivateKey_file(context_, files.key.c_str(),
                                                 SSL_FILETYPE_PEM) == 1 &&
            openssl_.SSL_CTX_check_private_key(context_) == 1) ||
           Unusable("MUSTER_KEY_FILE", files.key, error);
  }

  // Only a certificate for `host` will do.
  bool Expect(const std::string& host) {
    if (IsNumeric(host)) {
      return openssl_.X509_VERIFY_PARAM_set1_ip_asc(
                 openssl_.SSL_get0_param(ssl_), host.c_str()) == 1;
    }
    openssl_.SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return openssl_.SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME,
                             TLSEXT_NAMETYPE_host_name,
                             const_cast<char*>(host.c_str())) == 1 &&
           openssl_.SSL_set1_host(ssl_, host.c_str()) == 1;
  }

  static bool Readable(const char* variable, const std::string& path,
                       std::string* error) {
    if (access(path.c_str(), R_OK) == 0) return true;
    *error = std::string(variable) + ": cannot read " + path;
    return false;
  }

  bool Unusable(const char* variable, const std::string& path,
                std::string* error) {
    Broken(error);
    *error =
        std::string(variable) + ": cannot use " + path + " (" + *error + ")";
    return false;
  }

  // Whether the call that returned `result` only waits for more bytes.
  bool Tolerable(int result, std::string* error) {
    const int code = openssl_.SSL_get_error(ssl_, result);
    if (code == SSL_ERROR_WANT_READ) return true;
    if (code == SSL_ERROR_ZERO_RETURN) {
      *error = "the daemon closed the connection";
      return false;
    }
    const long verdict = openssl_.SSL_get_verify_result(ssl_);
    if (ready_ || verdict == X509_V_OK) return Broken(error);
    *error = std::string("TLS: the daemon's certificate: ") +
             openssl_.X509_verify_cert_error_string(verdict);
    return false;
  }

  // Always false.
  bool Broken(std::string* error) {
    const char* reason =
        openssl_.ERR_reason_error_string(openssl_.ERR_get_error());
    *error =
        std::string("TLS: ") + (reason == nullptr ? "internal error" : reason);
    return false;
  }

  OpenSsl openssl_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  BIO* received_ = nullptr;  // of ssl_
  BIO* to_send_ = nullptr;   // of ssl_
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<TlsSession> TlsSession::Create(const TlsFiles& files,
                                               const std::string& host,
                                               std::string* error) {
  auto session = std::make_unique<OpenSslSession>();
  if (!session->Init(files, host, error)) return nullptr;
  return session;
}

}  // namespace muster
