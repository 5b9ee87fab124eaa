// Owns: how values that are sealed in Redis come into a reply line: opened for the place at which
// they are shown, or, in an export that says so, as they are. On a loop's thread.

package import Seal
internal import Wire

extension RecordLine {
  /// Puts a caller's JSON value, opened if it is sealed; null where there is none.
  ///
  /// `member` is that of a field or a document's key, as Redis has it. One that does not open here
  /// is corrupt.
  mutating func put(
    value: LentBytes?, _ kind: SealedKind, of member: LentBytes? = nil, _ name: ValueName
  ) {
    guard !showsSealed else { return put(asItIs: value, name) }
    guard let value, SealedValue.isOne(value) else { return put(json: value, name) }
    guard let json = opened(value, kind, of: member) else { return putCorrupt(name) }
    put(json)
  }

  /// The JSON of a sealed value of this device; nil if it does not open here.
  func opened(_ value: LentBytes, _ kind: SealedKind, of member: LentBytes? = nil) -> [UInt8]? {
    SealedValue.opened(
      value, by: seal,
      at: SealContext(kind, of: device, name: member.map { Array($0) } ?? []))
  }

  /// Puts a value as an export has it that shows sealed ones as they are: `{"sealed":"…"}`, or
  /// `{"plain":…}`.
  private mutating func put(asItIs value: LentBytes?, _ name: ValueName) {
    guard let value else { return put("null") }
    let start = bytes.count
    if SealedValue.isOne(value) {
      put("{\"sealed\":\"")
      put(value.dropFirst(2))
    } else {
      put("{\"plain\":")
      put(value)
    }
    put("}")
    if isValue(from: start) { return }
    cut(to: start)
    putCorrupt(name)
  }

  /// Puts JSON that a script has put together of values of one kind, each opened if it is sealed.
  ///
  /// Those that do not open here are null, and `name` is corrupt.
  package mutating func put(
    composed text: some Collection<UInt8>, _ kind: SealedKind, _ name: ValueName
  ) {
    let copy = Array(text)
    copy.withUnsafeBufferPointer { text in
      var rest = text[...]
      while let range = SealedValue.first(in: rest) {
        put(rest[..<range.lowerBound])
        if let json = opened(LentBytes(rebasing: text[range]), kind) {
          put(json)
        } else {
          putCorrupt(name)
        }
        rest = rest[range.upperBound...]
      }
      put(rest)
    }
  }
}
