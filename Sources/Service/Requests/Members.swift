// Owns: how a payload becomes an argument of the session scripts: parts, one after another, each
// with its length before it. Values are not touched, byte for byte.

internal import Seal
internal import Settings
internal import Wire

/// Parts for a script, `<n> <n bytes>` each.
package struct Parts {
  package private(set) var bytes: [UInt8] = []

  package mutating func add(_ part: some Collection<UInt8>) {
    bytes.append(Int64(part.count))
    bytes.append(UInt8(ascii: " "))
    bytes.append(contentsOf: part)
  }
}

/// The changes of one request to a session, by name; a repeated member counts as its last value.
struct Members {
  /// The most bytes of a member's name.
  static let nameBytesMax = ValueKind.memberNameBytesMax
  /// More than this in one request is refused while it is read.
  static let countMax = 512
  static let limit = JSONLimit(
    countMax, .quota(countMax + 1, of: countMax, "fields of one request"))

  private var order: [[UInt8]] = []
  private var values: [[UInt8]: [UInt8]] = [:]

  mutating func set(_ name: some Collection<UInt8>, _ json: some Collection<UInt8>) {
    let key = Array(name)
    if values.updateValue(Array(json), forKey: key) == nil { order.append(key) }
  }

  init() {}

  /// The members that the options and the payload of OPEN, SET or RECOVER name.
  init(_ call: borrowing Call) throws(RequestError) {
    self.init(options: call)
    if let payload = call.payload {
      try add(payload: payload, bytesMax: call.shared.settings.valueBytesMax)
    }
  }

  /// The members that the options name.
  init(options call: borrowing Call) {
    for (name, option) in [("name", OptionName.name), ("phase", .phase), ("step", .step)] {
      if let json = call.json(option) { set(name.utf8, json) }
    }
  }

  /// Adds the members of a payload, each as a field.
  ///
  /// Each may have `bytesMax` bytes.
  mutating func add(
    payload: UnsafeBufferPointer<UInt8>, bytesMax: Int
  ) throws(RequestError) {
    var members = JSONMembers(0, payload.count)
    let text = payload.span
    while let (key, value) = members.next(in: text) {
      var name: [UInt8] = []
      try JSONString.decode(text, key, halves: .kept, into: &name)
      guard value.count <= bytesMax, name.count <= Members.nameBytesMax else {
        throw RequestError(
          .tooLarge,
          "a field may have \(bytesMax) bytes, its name \(Members.nameBytesMax)")
      }
      // Names are written one way, however the caller has escaped them.
      var field = Array("f:".utf8)
      field.appendJSONString(name.span)
      set(field, payload[value])
      guard order.count <= Members.countMax else { throw Members.limit.error }
    }
  }

  /// Names and values in turn; those of fields are sealed, unless they are removed.
  func parts(_ sealer: Sealer) -> Parts {
    var parts = Parts()
    for name in order {
      let value = values[name] ?? []
      parts.add(name)
      guard name.starts(with: "f:".utf8), !value.elementsEqual("null".utf8) else {
        parts.add(value)
        continue
      }
      value.withUnsafeBufferPointer {
        sealer.add($0, .field, name: Array(name.dropFirst(2)), to: &parts)
      }
    }
    return parts
  }
}

/// The messages of a SAY.
enum Messages {
  /// So many in one request, which bounds how long it occupies Redis.
  static let countMax = 10_000
  static let limit = JSONLimit(
    countMax, RequestError(.tooLarge, "one request may say \(countMax) messages"))

  /// An object is one message, an array of objects several.
  ///
  /// Before each, of `bytesMax` bytes at most, stands whose it is.
  static func parts(
    _ payload: UnsafeBufferPointer<UInt8>, _ sealer: Sealer, bytesMax: Int, mayBeNone: Bool = false
  ) throws(RequestError) -> Parts {
    var parts = Parts()
    guard payload.first == UInt8(ascii: "[") else {
      try add(payload[...], sealer, bytesMax, to: &parts)
      return parts
    }
    var elements = JSONElements(0, payload.count)
    var count = 0
    while let range = elements.next(in: payload.span) {
      try add(payload[range], sealer, bytesMax, to: &parts)
      count += 1
      guard count <= countMax else { throw limit.error }
    }
    guard count > 0 || mayBeNone else {
      throw RequestError(.badRequest, "an array of messages must have at least one")
    }
    return parts
  }

  private static func add(
    _ message: Slice<UnsafeBufferPointer<UInt8>>, _ sealer: Sealer, _ bytesMax: Int,
    to parts: inout Parts
  ) throws(RequestError) {
    try check(message, bytesMax)
    parts.add(try whose(message).utf8)
    sealer.add(UnsafeBufferPointer(rebasing: message), .message, to: &parts)
  }

  /// Refuses what is no message.
  static func check(
    _ message: Slice<UnsafeBufferPointer<UInt8>>, _ bytesMax: Int
  ) throws(RequestError) {
    guard message.first == UInt8(ascii: "{") else {
      throw RequestError(.badRequest, "a message must be a JSON object")
    }
    guard message.count <= bytesMax else {
      throw RequestError(.tooLarge, "a message may have \(bytesMax) bytes at most")
    }
  }

  /// Whether a message is the user's or another's, by its member `role`; empty without one.
  private static func whose(
    _ message: Slice<UnsafeBufferPointer<UInt8>>
  ) throws(RequestError) -> String {
    let text = UnsafeBufferPointer(rebasing: message).span
    var members = JSONMembers(0, text.count)
    var found = ""
    while let (key, value) = members.next(in: text) {
      guard text[value.lowerBound] == UInt8(ascii: "\""), spells("role", text, key.range) else {
        continue
      }
      let inside = value.lowerBound + 1..<value.upperBound - 1
      found = spells("user", text, inside) ? "user" : "other"
    }
    return found
  }

  /// Whether the inside of a JSON string is a word, however it is escaped.
  private static func spells(
    _ word: StaticString, _ text: Span<UInt8>, _ inside: Range<Int>
  ) -> Bool {
    let string = text.extracting(inside)
    if inside.count == word.utf8CodeUnitCount { return string.elements(equal: word) }
    // An escape has six bytes at most.
    guard inside.count <= 6 * word.utf8CodeUnitCount, string.contains(UInt8(ascii: "\\")) else {
      return false
    }
    var decoded: [UInt8] = []
    let token = Token(start: inside.lowerBound, end: inside.upperBound, isQuoted: true)
    do { try JSONString.decode(text, token, halves: .kept, into: &decoded) } catch { return false }
    return decoded.span.elements(equal: word)
  }
}

extension Span<UInt8> {
  fileprivate func contains(_ byte: UInt8) -> Bool {
    for at in indices where self[at] == byte { return true }
    return false
  }

  fileprivate func elements(equal text: StaticString) -> Bool {
    guard count == text.utf8CodeUnitCount else { return false }
    for at in indices where self[at] != text.utf8Start[at] { return false }
    return true
  }
}
