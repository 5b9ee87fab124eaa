// Owns: the callers' values in an exported session: opened if the export has them sealed, and
// sealed for the device that they go to. On the thread that reads the record.

internal import Seal
internal import Settings
internal import Wire

extension ExportedRecord {
  /// A value of the caller's as the record keeps it, sealed where the worker has keys.
  ///
  /// `name` is the member of a field as JSON, or a document's key as Redis has it.
  func kept(
    _ range: Range<Int>, _ kind: SealedKind, name: [UInt8] = []
  ) throws(RequestError) -> [UInt8] {
    let value = try opened(range, kind, name)
    return value.withUnsafeBufferPointer { sealer.bytes($0, kind, name: name) }
  }

  /// The same; nil if the value begins with a byte that it must not begin with.
  func kept(
    _ range: Range<Int>, _ kind: SealedKind, name: [UInt8] = [], beginsWith: (UInt8) -> Bool
  ) throws(RequestError) -> [UInt8]? {
    let value = try opened(range, kind, name)
    guard let first = value.first, beginsWith(first) else { return nil }
    return value.withUnsafeBufferPointer { sealer.bytes($0, kind, name: name) }
  }

  /// The plain value.
  ///
  /// Where the export shows sealed ones as they are, each is `{"sealed":"…"}` or `{"plain":…}`.
  private func opened(
    _ range: Range<Int>, _ kind: SealedKind, _ name: [UInt8]
  ) throws(RequestError) -> [UInt8] {
    guard isSealed else { return Array(try value(range)) }
    let wrapped = try list(range, "a value of a sealed export")
    guard wrapped.count == 1, let (word, inside) = wrapped.first else {
      throw ExportedRecord.bad("a value of a sealed export is neither sealed nor plain")
    }
    switch word {
    case "plain": return Array(try value(inside))
    case "sealed":
      let sealed = Array(try string(inside, "a sealed value").utf8)
      guard let json = open(sealed, kind, name) else {
        throw ExportedRecord.bad(
          "a sealed value does not open: this worker has not its key (--seal-keys), or it was "
            + "sealed for another device or namespace, or changed")
      }
      guard json.count <= settings.valueBytesMax else {
        throw RequestError(
          .tooLarge, "a field, message or document may have \(settings.valueBytesMax) bytes")
      }
      return json
    default:
      throw ExportedRecord.bad("a value of a sealed export is neither sealed nor plain")
    }
  }

  private func open(
    _ sealed: [UInt8], _ kind: SealedKind, _ name: [UInt8]
  ) -> [UInt8]? {
    let value = SealedValue.text(exported: sealed)
    return value.withUnsafeBufferPointer {
      SealedValue.opened($0, by: sealer.seal, at: SealContext(kind, of: device.utf8, name: name))
    }
  }
}
