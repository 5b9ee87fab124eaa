// Owns: how the values of a request are sealed before they go to Redis, if the worker has keys. A
// value; any thread.

internal import RedisConnection
package import Seal
internal import Wire

/// Seals the values of one device, or of the link of a profile; without keys it leaves them as they
/// are.
package struct Sealer: Sendable {
  package let seal: Seal?
  private let device: [UInt8]

  package init(_ seal: Seal?, of device: some Sequence<UInt8>) {
    self.seal = seal
    self.device = seal == nil ? [] : Array(device)
  }

  /// A payload for a script.
  func text(_ value: UnsafeBufferPointer<UInt8>, _ kind: SealedKind) -> ArgumentText {
    guard let seal else { return .lent(value) }
    return .owned(seal.seal(value, at: SealContext(kind, of: device)))
  }

  /// Adds a value to the parts for a script; `name` is the member of a field, or a document's key.
  func add(
    _ value: UnsafeBufferPointer<UInt8>, _ kind: SealedKind, name: [UInt8] = [],
    to parts: inout Parts
  ) {
    guard let seal else { return parts.add(value) }
    parts.add(seal.seal(value, at: SealContext(kind, of: device, name: name)))
  }

  /// The same of a value on its own.
  func bytes(
    _ value: UnsafeBufferPointer<UInt8>, _ kind: SealedKind, name: [UInt8] = []
  ) -> [UInt8] {
    guard let seal else { return Array(value) }
    return seal.seal(value, at: SealContext(kind, of: device, name: name))
  }

  /// The JSON of what a script gave, opened if it is sealed; nil if it does not open.
  func opened(_ value: [UInt8], _ kind: SealedKind) -> [UInt8]? {
    value.withUnsafeBufferPointer { bytes in
      guard SealedValue.isOne(bytes) else { return value }
      return SealedValue.opened(bytes, by: seal, at: SealContext(kind, of: device))
    }
  }
}

extension Call {
  /// Seals values of the device of the first word.
  var sealer: Sealer { Sealer(shared.seal, of: device) }

  /// The payload for a script, sealed.
  func sealedPayload(_ kind: SealedKind) -> ArgumentText? {
    payload.map { sealer.text($0, kind) }
  }
}
