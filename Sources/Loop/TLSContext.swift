// Owns: what the TLS sessions of one side share: certificate, key, authorities, versions and the
// keys of tickets. It never changes: when its files do, another one is made. Any thread.

internal import COpenSSL
internal import Glibc
internal import Synchronization

/// The settings of TLS sessions of one side.
///
/// TLS 1.2 and 1.3, without renegotiation and compression, with OpenSSL's choice of ciphers.
package final class TLSContext: Sendable {
  package enum Side: Sendable {
    /// Callers connect to it. With authorities in its files a caller needs a certificate of one.
    case server
    /// It connects. The server's certificate has to be an authority's, and of the server's name.
    case client
  }

  package let side: Side
  let contents: TLSFiles.Contents
  /// OpenSSL counts the sessions that use it, and locks what they share.
  nonisolated(unsafe) let handle: OpaquePointer

  /// The keys by which tickets are made and read: of a process, so that a caller can resume its
  /// session on another loop, and after the certificate was renewed.
  private static let ticketKeys: [UInt8]? =
    try? Digest.randomBytes(Int(tls_ticket_keys_bytes))

  /// Reads the files.
  ///
  /// - Throws: `TLSError` if one cannot be read, has not what it should have, or they do not match.
  package convenience init(_ side: Side, _ files: TLSFiles) throws(TLSError) {
    try self.init(side, files, files.read())
  }

  init(_ side: Side, _ files: TLSFiles, _ contents: TLSFiles.Contents) throws(TLSError) {
    self.side = side
    self.contents = contents
    let method = side == .server ? TLS_server_method() : TLS_client_method()
    guard let handle = SSL_CTX_new(method) else {
      throw TLSContext.failure("OpenSSL has no TLS")
    }
    self.handle = handle
    tls_set_modes(handle)
    guard tls_require_version_1_2(handle) == 1 else {
      throw TLSContext.failure("OpenSSL has no TLS 1.2")
    }
    if let certificate = contents.certificate {
      try useCertificate(certificate, files.certificate ?? "")
    }
    if let key = contents.key { try useKey(key, files) }
    if let authorities = contents.authorities { try trust(authorities, files.authorities ?? "") }
    switch side {
    case .server: try beServer()
    case .client: try beClient()
    }
  }

  deinit { SSL_CTX_free(handle) }

  /// A context of the files as they are now; nil if they are as they were.
  package func renewed(from files: TLSFiles) throws(TLSError) -> TLSContext? {
    let contents = try files.read()
    return contents == self.contents ? nil : try TLSContext(side, files, contents)
  }

  private func beServer() throws(TLSError) {
    // A session is resumed only where it was made for this program.
    var name = Array("latchkey".utf8)
    SSL_CTX_set_session_id_context(handle, &name, UInt32(name.count))
    guard var keys = TLSContext.ticketKeys, tls_set_ticket_keys(handle, &keys) == 1 else {
      throw TLSContext.failure("no keys for session tickets")
    }
    // A caller makes one connection after another, and needs one ticket for the next.
    SSL_CTX_set_num_tickets(handle, 1)
    guard contents.authorities != nil else { return }
    SSL_CTX_set_verify(handle, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
  }

  private func beClient() throws(TLSError) {
    // OpenSSL writes in a way that raises the signal where the peer has gone; the write fails too.
    signal(SIGPIPE, SIG_IGN)
    SSL_CTX_set_verify(handle, SSL_VERIFY_PEER, nil)
    guard contents.authorities == nil else { return }
    guard SSL_CTX_set_default_verify_paths(handle) == 1 else {
      throw TLSContext.failure("the system's certificate authorities cannot be read")
    }
    guard let bundle = SystemAuthorities.bundle() else { return }
    guard SSL_CTX_load_verify_locations(handle, bundle, nil) == 1 else {
      throw TLSContext.failure("\(bundle): the system's certificate authorities cannot be read")
    }
  }
}

// MARK: Files

extension TLSContext {
  /// The first certificate is this side's; the others lead to its authority.
  private func useCertificate(_ pem: [UInt8], _ path: String) throws(TLSError) {
    let chain = try TLSContext.certificates(pem, path)
    defer { for certificate in chain { X509_free(certificate) } }
    guard SSL_CTX_use_certificate(handle, chain[0]) == 1 else {
      throw TLSContext.failure("\(path): its first certificate cannot be used")
    }
    for certificate in chain.dropFirst() {
      X509_up_ref(certificate)
      guard tls_add_chain_certificate(handle, certificate) == 1 else {
        X509_free(certificate)
        throw TLSContext.failure("\(path): its chain of certificates cannot be used")
      }
    }
  }

  private func useKey(_ pem: [UInt8], _ files: TLSFiles) throws(TLSError) {
    let path = files.key ?? ""
    // A key with a passphrase would ask for it on the terminal.
    let source = BIO_new_mem_buf(pem, Int32(pem.count))
    defer { BIO_free(source) }
    ERR_clear_error()
    guard let key = PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil) else {
      throw TLSContext.failure("\(path) has no private key in PEM, or one with a passphrase")
    }
    defer { EVP_PKEY_free(key) }
    guard SSL_CTX_use_PrivateKey(handle, key) == 1, SSL_CTX_check_private_key(handle) == 1 else {
      throw TLSContext.failure(
        "the key in \(path) is not that of the certificate in \(files.certificate ?? "")")
    }
  }

  private func trust(_ pem: [UInt8], _ path: String) throws(TLSError) {
    let authorities = try TLSContext.certificates(pem, path)
    defer { for authority in authorities { X509_free(authority) } }
    let trusted = SSL_CTX_get_cert_store(handle)
    for authority in authorities {
      guard X509_STORE_add_cert(trusted, authority) == 1 else {
        throw TLSContext.failure("\(path): a certificate of it cannot be used")
      }
      // Callers learn whose certificates are taken.
      if side == .server { SSL_CTX_add_client_CA(handle, authority) }
    }
  }

  /// The certificates of a file, at least one; the receiver frees them.
  private static func certificates(
    _ pem: [UInt8], _ path: String
  ) throws(TLSError) -> [OpaquePointer] {
    let source = BIO_new_mem_buf(pem, Int32(pem.count))
    defer { BIO_free(source) }
    var found: [OpaquePointer] = []
    ERR_clear_error()
    while let next = PEM_read_bio_X509(source, nil, nil, nil) { found.append(next) }
    let isAtEnd = tls_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE
    guard isAtEnd, !found.isEmpty else {
      for certificate in found { X509_free(certificate) }
      throw failure(
        found.isEmpty ? "\(path) has no certificate in PEM" : "\(path) has a corrupt certificate")
    }
    ERR_clear_error()
    return found
  }

  /// An error with OpenSSL's own reason behind it, where there is one.
  static func failure(_ text: String) -> TLSError {
    let code = ERR_peek_last_error()
    defer { ERR_clear_error() }
    guard code != 0, let reason = ERR_reason_error_string(code) else { return TLSError(text) }
    return TLSError("\(text) (\(String(cString: reason)))")
  }
}

/// The context of clients whose files may be replaced while they run: those of a rotated
/// certificate count from the next connection on.
package final class TLSClient: Sendable {
  package let files: TLSFiles
  private let latest = Mutex<TLSContext?>(nil)

  package init(_ files: TLSFiles) { self.files = files }

  /// The context of the files as they are now.
  package func context() throws(TLSError) -> TLSContext {
    let contents = try files.read()
    return try latest.withLock { latest throws(TLSError) in
      if let known = latest, known.contents == contents { return known }
      let made = try TLSContext(.client, files, contents)
      latest = made
      return made
    }
  }
}
