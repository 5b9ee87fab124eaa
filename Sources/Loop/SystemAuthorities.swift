// Owns: where the system's certificate authorities are. The program has an OpenSSL of its own, and
// that looks where Debian has them.

internal import COpenSSL
internal import Glibc

enum SystemAuthorities {
  /// Where other systems have all of them in one file: Red Hat and Amazon, SUSE, Alpine and Arch.
  static let bundles = [
    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
  ]

  /// The file to read beside OpenSSL's places; nil if these have something or were set by
  /// `SSL_CERT_FILE` or `SSL_CERT_DIR`, or if there is no such file.
  static func bundle(
    isSet: (String) -> Bool = { getenv($0) != nil },
    exists: (String) -> Bool = { access($0, R_OK) == 0 }
  ) -> String? {
    let variables = [X509_get_default_cert_file_env(), X509_get_default_cert_dir_env()]
    let places = [X509_get_default_cert_file(), X509_get_default_cert_dir()]
    let isFound =
      variables.contains { $0.map { isSet(String(cString: $0)) } ?? false }
      || places.contains { $0.map { exists(String(cString: $0)) } ?? false }
    return isFound ? nil : bundles.first(where: exists)
  }
}
