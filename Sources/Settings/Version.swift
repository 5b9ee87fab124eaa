// Owns: the version of the program and that of its protocol.

/// The program's version and the protocol's.
package enum Version {
  package static let text = "0.1.0"
  package static let wireProtocol = 1
}
