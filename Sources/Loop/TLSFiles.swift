// Owns: the files of TLS: which there are, their reading, and what is read from them. Values; any
// thread.

/// Why TLS cannot be set up; a sentence with the file's path.
package struct TLSError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// The PEM files of one side of TLS, by their paths.
package struct TLSFiles: Sendable, Hashable {
  /// This side's certificate, and behind it those that lead to its authority.
  package var certificate: String?
  /// Its private key, without a passphrase.
  package var key: String?
  /// The authorities whose certificates a peer may have; without it those of the system for a
  /// client, and no check of callers for a server.
  package var authorities: String?

  package init(certificate: String? = nil, key: String? = nil, authorities: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.authorities = authorities
  }

  /// The contents of such files.
  struct Contents: Equatable, Sendable {
    var certificate: [UInt8]?
    var key: [UInt8]?
    var authorities: [UInt8]?
  }

  /// A system's list of authorities has some 200 KiB.
  private static let bytesMax = 4 << 20

  func read() throws(TLSError) -> Contents {
    Contents(
      certificate: try TLSFiles.read(certificate), key: try TLSFiles.read(key),
      authorities: try TLSFiles.read(authorities))
  }

  private static func read(_ path: String?) throws(TLSError) -> [UInt8]? {
    guard let path else { return nil }
    do throws(FileError) { return try RegularFile.read(path, bytesMax: bytesMax) } catch {
      throw TLSError(error.description)
    }
  }
}
