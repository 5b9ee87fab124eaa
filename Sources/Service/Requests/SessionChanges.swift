// Owns: the payload that changes a session in several ways at once. A value; on the loop's thread.

internal import Seal
internal import Settings
internal import Wire

/// What a request changes in one session: messages that are said, members that are set, documents
/// that are written and removed.
struct SessionChanges {
  static let limits = JSONLimits(
    members: JSONLimit(
      countMax,
      RequestError(
        .badRequest, "the payload has over \(countMax) members: give each of \(names) once")),
    parts: [
      ("say", Messages.limit), ("set", Members.limit), ("put", documentsLimit),
      ("drop", documentsLimit),
    ])
  private static let documentsLimit = JSONLimit(
    TakeVerb.keysMax,
    .quota(TakeVerb.keysMax + 1, of: TakeVerb.keysMax, "documents of one request"))
  private static let countMax = 6
  private static let names = "say, set, put, drop, phase, step"

  private(set) var messages = Parts()
  private(set) var members: Members
  /// The members as scripts take them.
  var memberParts: Parts { members.parts(sealer) }
  /// Keys and values in turn.
  private(set) var puts = Parts()
  private(set) var drops = Parts()
  private let sealer: Sealer
  /// The keys of both, each of which may stand there once.
  private var keys: Set<[UInt8]> = []

  /// From the options `phase` and `step`, and the payload: an object with `say`, `set`, `put`,
  /// `drop`, `phase` and `step`, each of which may be missing.
  init(_ call: borrowing Call) throws(RequestError) {
    members = Members(options: call)
    sealer = call.sealer
    guard let payload = call.payload else { return }
    let bytesMax = call.shared.settings.valueBytesMax
    var seen: Set<[UInt8]> = []
    var walk = JSONMembers(0, payload.count)
    while let (key, range) = walk.next(in: payload.span) {
      var name: [UInt8] = []
      try JSONString.decode(payload.span, key, halves: .kept, into: &name)
      guard seen.insert(name).inserted else {
        let shown = EchoText.quoted(name.span, name.indices)
        throw RequestError(.badRequest, "the payload has the member \(shown) twice")
      }
      let value = UnsafeBufferPointer(rebasing: payload[range])
      switch String(decoding: name, as: UTF8.self) {
      case "say": messages = try SessionChanges.messages(value, sealer, bytesMax)
      case "set": try set(value, bytesMax)
      case "put": try put(value, bytesMax)
      case "drop": try drop(value)
      case "phase": try set("phase", .phase, value, call)
      case "step": try set("step", .step, value, call)
      default:
        let shown = EchoText.quoted(name.span, name.indices)
        throw RequestError(
          .badRequest,
          "the payload has the member \(shown), which is none of \(SessionChanges.names)")
      }
    }
  }

  private static func messages(
    _ value: UnsafeBufferPointer<UInt8>, _ sealer: Sealer, _ bytesMax: Int
  ) throws(RequestError) -> Parts {
    // No messages are nothing to say.
    var elements = JSONElements(0, value.count)
    if value.first == UInt8(ascii: "["), elements.next(in: value.span) == nil { return Parts() }
    return try Messages.parts(value, sealer, bytesMax: bytesMax)
  }

  private mutating func set(
    _ value: UnsafeBufferPointer<UInt8>, _ bytesMax: Int
  ) throws(RequestError) {
    guard value.first == UInt8(ascii: "{") else {
      throw RequestError(.badRequest, "the payload's member set must be an object")
    }
    try members.add(payload: value, bytesMax: bytesMax)
  }

  private mutating func put(
    _ value: UnsafeBufferPointer<UInt8>, _ bytesMax: Int
  ) throws(RequestError) {
    guard value.first == UInt8(ascii: "{") else {
      throw RequestError(.badRequest, "the payload's member put must be an object")
    }
    var walk = JSONMembers(0, value.count)
    while let (key, range) = walk.next(in: value.span) {
      let name = try take(key, of: value)
      puts.add(name)
      guard let first = value[range].first, "{[\"".utf8.contains(first) else {
        throw RequestError(
          .badRequest, "a document must be an object, an array or a string; drop removes one")
      }
      guard range.count <= bytesMax else {
        throw RequestError(.tooLarge, "a document may have \(bytesMax) bytes at most")
      }
      sealer.add(UnsafeBufferPointer(rebasing: value[range]), .document, name: name, to: &puts)
    }
  }

  private mutating func drop(_ value: UnsafeBufferPointer<UInt8>) throws(RequestError) {
    let isList = value.first == UInt8(ascii: "[")
    var walk = JSONElements(0, value.count)
    while isList, let range = walk.next(in: value.span) {
      guard value[range.lowerBound] == UInt8(ascii: "\"") else {
        throw RequestError(.badRequest, "the payload's member drop must be an array of keys")
      }
      let key = Token(start: range.lowerBound + 1, end: range.upperBound - 1, isQuoted: true)
      drops.add(try take(key, of: value))
    }
    guard isList else {
      throw RequestError(.badRequest, "the payload's member drop must be an array of keys")
    }
  }

  /// A document's key, as it stands in Redis.
  private mutating func take(
    _ key: Token, of value: UnsafeBufferPointer<UInt8>
  ) throws(RequestError) -> [UInt8] {
    var name: [UInt8] = []
    try JSONString.decode(value.span, key, into: &name)
    guard 1...DocumentKey.bytesMax ~= name.count else {
      throw RequestError(.badRequest, "key must have 1 to \(DocumentKey.bytesMax) bytes")
    }
    guard keys.insert(name).inserted else {
      let shown = EchoText.quoted(name.span, name.indices)
      throw RequestError(.badRequest, "the payload has the document \(shown) twice")
    }
    guard keys.count <= TakeVerb.keysMax else { throw SessionChanges.documentsLimit.error }
    return DocumentKey.escaped(name)
  }

  /// Sets a text of the session, or removes it with null.
  private mutating func set(
    _ name: String, _ option: OptionName, _ value: UnsafeBufferPointer<UInt8>,
    _ call: borrowing Call
  ) throws(RequestError) {
    guard call.option(option) == nil else {
      throw RequestError(.badRequest, "\(name) stands twice: as an option and in the payload")
    }
    let isText = value.first == UInt8(ascii: "\"") && value.count > 2
    guard isText || value.elementsEqual("null".utf8) else {
      throw RequestError(.badRequest, "the payload's member \(name) must be a text, or null")
    }
    guard value.count <= ValueKind.storedTextBytesMax + 2 else {
      throw RequestError(
        .badRequest, "\(name) must have 1 to \(ValueKind.storedTextBytesMax) bytes")
    }
    members.set(name.utf8, value)
  }
}
