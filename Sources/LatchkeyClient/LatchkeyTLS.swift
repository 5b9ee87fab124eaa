// Owns: how a caller's TLS is set up. A value; any thread.

package import Loop

/// TLS to a worker: the files, in PEM, that a caller needs.
///
/// The worker's certificate has to be of the host that is connected to.
public struct LatchkeyTLS: Sendable {
  /// The authorities of the worker's certificate; nil means those of the system.
  public var authorities: String?
  /// The caller's certificate, where the worker wants one, and its private key.
  public var certificate: String?
  public var key: String?

  public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
  }

  package func context() throws(LatchkeyError) -> TLSContext {
    let files = TLSFiles(certificate: certificate, key: key, authorities: authorities)
    do throws(TLSError) { return try TLSContext(.client, files) } catch {
      throw .cannotConnect(error.description)
    }
  }
}
