// Owns: the place of a sealed value, to which it is bound, and the form of one in Redis. Values;
// any thread.

internal import Synchronization

/// The kinds of values that are sealed.
package enum SealedKind: UInt8, Sendable, CaseIterable {
  case field = 0x66
  case message = 0x6D
  case document = 0x64
  case configuration = 0x63
  case note = 0x6E
  /// A piece of an answer that a turn is writing.
  case part = 0x70
  /// The payload of an event of a caller's own.
  case event = 0x65
  /// The address and the secret of a hook; its name stands for the device.
  case hook = 0x68
}

/// The place of a value: it opens nowhere else.
package struct SealContext: Sendable, Equatable {
  package let kind: SealedKind
  /// The device, or the link of a profile as Redis has it.
  package let device: [UInt8]
  /// The member of a field as JSON, or a document's key as Redis has it; empty for other kinds.
  package let name: [UInt8]

  package init(_ kind: SealedKind, of device: some Sequence<UInt8>, name: [UInt8] = []) {
    self.kind = kind
    self.device = Array(device)
    self.name = name
  }

  /// What is authenticated with the value.
  ///
  /// Neither namespaces nor devices contain a zero, so no two places have the same text.
  func text(namespace: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(namespace.count + device.count + name.count + 4)
    text += namespace
    text.append(0)
    text += device
    text.append(0)
    text.append(kind.rawValue)
    text.append(0)
    text += name
    return text
  }
}

/// A sealed value as it is in Redis: `"`, the byte 30, the key's id, a colon, Base64 of nonce, text
/// and tag, `"`.
///
/// To the scripts it is a JSON string, which they copy like any other value. No caller's value can
/// be taken for one: JSON allows no control character within a string, so none that a worker
/// accepts has this byte.
package enum SealedValue {
  package static let mark: UInt8 = 0x1E

  private static let unopened = Atomic(0)

  /// How many values did not open to this process: it has not their key, or they are not as they
  /// were sealed, or not where.
  package static var unopenedCount: Int { unopened.load(ordering: .relaxed) }

  /// The JSON of a sealed value of this place, by the keys of a worker that has any; nil, which is
  /// counted, if it does not open.
  package static func opened(
    _ value: UnsafeBufferPointer<UInt8>, by seal: Seal?, at place: SealContext
  ) -> [UInt8]? {
    let json = seal?.open(value, at: place)
    if json == nil { unopened.add(1, ordering: .relaxed) }
    return json
  }

  /// Whether a value of Redis is a sealed one.
  package static func isOne(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
    value.count > 2 && value[1] == mark && value[0] == UInt8(ascii: "\"")
  }

  /// The id of the key by which a value is sealed; nil if it is not sealed.
  package static func keyID(of value: UnsafeBufferPointer<UInt8>) -> String? {
    parts(value).map { String(decoding: $0.id, as: UTF8.self) }
  }

  /// The key's id and the Base64 of a sealed value.
  static func parts(
    _ value: UnsafeBufferPointer<UInt8>
  ) -> (id: UnsafeBufferPointer<UInt8>, sealed: UnsafeBufferPointer<UInt8>)? {
    guard isOne(value), value.last == UInt8(ascii: "\"") else { return nil }
    let inside = value[2..<(value.count - 1)]
    let id = inside.prefix(SealKey.idBytesMax + 1).prefix { $0 != UInt8(ascii: ":") }
    guard 1...SealKey.idBytesMax ~= id.count, id.endIndex < inside.endIndex,
      id.allSatisfy(SealKey.isIDByte)
    else { return nil }
    return (
      UnsafeBufferPointer(rebasing: id), UnsafeBufferPointer(rebasing: inside[(id.endIndex + 1)...])
    )
  }

  /// The value of these parts.
  static func text(id: String, sealed: [UInt8]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(id.utf8.count + sealed.count + 4)
    text.append(UInt8(ascii: "\""))
    text.append(mark)
    text += id.utf8
    text.append(UInt8(ascii: ":"))
    text += sealed
    text.append(UInt8(ascii: "\""))
    return text
  }

  /// The value of which an export has the part between mark and quote.
  package static func text(exported inside: [UInt8]) -> [UInt8] {
    [UInt8(ascii: "\""), mark] + inside + [UInt8(ascii: "\"")]
  }

  /// Whether bytes that scripts have put together have a sealed value in them.
  package static func isWithin(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    bytes.contains(mark)
  }

  /// Where the first sealed value begins and ends; nil if there is none.
  package static func first(in bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Range<Int>? {
    guard let at = bytes.firstIndex(of: mark), at > bytes.startIndex,
      bytes[at - 1] == UInt8(ascii: "\""),
      let end = bytes[at...].firstIndex(of: UInt8(ascii: "\""))
    else { return nil }
    return (at - 1)..<(end + 1)
  }
}
