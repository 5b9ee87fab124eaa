// Owns: the payload that changes a session in several ways at once. A value; on the loop's thread.

internal import Wire

/// What a request changes in one session: messages that are said and members that are set.
struct SessionChanges {
  static let limits = JSONLimits(
    members: JSONLimit(
      countMax,
      RequestError(
        .badRequest, "the payload has over \(countMax) members: give each of \(names) once")),
    parts: [("say", Messages.limit), ("set", Members.limit)])
  /// More than there are names, for one that is repeated counts as its last value.
  private static let countMax = 16
  private static let names = "say, set, phase, step"

  private(set) var messages = Parts()
  private(set) var members: Members

  /// From the options `phase` and `step`, and the payload: an object with `say`, `set`, `phase` and
  /// `step`, each of which may be missing.
  init(_ call: borrowing Call) throws(RequestError) {
    members = Members(options: call)
    guard let payload = call.payload else { return }
    var walk = JSONMembers(0, payload.count)
    while let (key, range) = walk.next(in: payload.span) {
      var name: [UInt8] = []
      try JSONString.decode(payload.span, key, halves: .kept, into: &name)
      let value = UnsafeBufferPointer(rebasing: payload[range])
      switch String(decoding: name, as: UTF8.self) {
      case "say": messages = try SessionChanges.messages(value)
      case "set": try set(value)
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

  private static func messages(_ value: UnsafeBufferPointer<UInt8>) throws(RequestError) -> Parts {
    // No messages are nothing to say.
    var elements = JSONElements(0, value.count)
    if value.first == UInt8(ascii: "["), elements.next(in: value.span) == nil { return Parts() }
    return try Messages.parts(value)
  }

  private mutating func set(_ value: UnsafeBufferPointer<UInt8>) throws(RequestError) {
    guard value.first == UInt8(ascii: "{") else {
      throw RequestError(.badRequest, "the payload's member set must be an object")
    }
    try members.add(payload: value)
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
