// Owns: the tests of which file has the system's certificate authorities.

import Testing

@testable import Loop

struct SystemAuthoritiesTests {
  private let redHat = "/etc/pki/tls/certs/ca-bundle.crt"
  private let alpine = "/etc/ssl/cert.pem"

  @Test func `the first known file is read where OpenSSL's own places have nothing`() {
    let bundle = { (found: Set<String>) in
      SystemAuthorities.bundle(isSet: { _ in false }, exists: { found.contains($0) })
    }
    #expect(bundle([redHat]) == redHat)
    #expect(bundle([alpine, redHat]) == redHat)
    #expect(bundle([]) == nil)
  }

  @Test func `OpenSSL's own places and its variables come first`() {
    // Whatever is asked for, it is there: OpenSSL's places too.
    #expect(SystemAuthorities.bundle(isSet: { _ in false }, exists: { _ in true }) == nil)
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
      #expect(
        SystemAuthorities.bundle(isSet: { $0 == name }, exists: { $0 == redHat }) == nil, "\(name)")
    }
  }
}
