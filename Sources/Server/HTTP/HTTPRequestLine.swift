// Owns: the line that a request of HTTP becomes: the path's segments are its words, the query its
// options, the body its payload. So both wires have the same parser, limits and rights. No state;
// the loop's thread.

internal import Service
internal import Wire

/// What a request's path is about.
enum HTTPRoute: Equatable {
  /// A verb, by its number.
  case verb(Int)
  /// Lines in the body.
  case lines
}

/// Makes the lines of requests, with buffers that are used again.
struct HTTPRequestLine {
  private static let root: StaticString = "/v1/"
  private static let nothingHere = HTTPRefusal(
    RequestError(
      .unknownVerb,
      "there is nothing at this path; there are POST /v1/VERB/word?option=value, POST /v1/lines "
        + "and GET /v1/watch/address"))

  /// The line up to its payload; then the whole of it.
  private(set) var bytes: [UInt8] = []
  private var payloadStart = 0
  private var decoded: [UInt8] = []
  /// The session and the chat of the address that is the first word.
  private var session: Range<Int>?
  private var chat: Range<Int>?
  /// Whether a body may be a string.
  private var mayBeString = false

  /// Forgets the line, and a large buffer with it.
  mutating func clear() { bytes.removeAll(keepingCapacity: bytes.capacity <= 1_024) }

  /// Gives the line away.
  mutating func take() -> [UInt8] {
    defer { bytes = [] }
    return bytes
  }

  /// Finds out what a path is about.
  static func route(
    _ head: HTTPHead, _ text: Span<UInt8>, _ verbs: VerbTable
  ) throws(HTTPRefusal) -> HTTPRoute {
    let path = head.path
    guard begins(text, path, root) else { throw nothingHere }
    let start = path.lowerBound + root.utf8CodeUnitCount
    let end = (start..<path.upperBound).first { text[$0] == UInt8(ascii: "/") } ?? path.upperBound
    if CaseInsensitive.equal(text, start..<end, "lines"), end == path.upperBound { return .lines }
    guard start < end else { throw nothingHere }
    do throws(RequestError) { return .verb(try verbs.find(text, start..<end)) } catch {
      throw HTTPRefusal(error)
    }
  }

  /// Whether the query has an option of that name.
  static func hasOption(_ name: StaticString, _ head: HTTPHead, _ text: Span<UInt8>) -> Bool {
    guard let query = head.query else { return false }
    return pieces(text, query, UInt8(ascii: "&")).contains { piece in
      PercentText.spells(text.extracting(key(text, piece)), name)
    }
  }

  /// The name of an option, as it was sent; all of a piece that has no value.
  private static func key(_ text: Span<UInt8>, _ piece: Range<Int>) -> Range<Int> {
    piece.lowerBound..<(piece.first { text[$0] == UInt8(ascii: "=") } ?? piece.upperBound)
  }

  private static func begins(
    _ text: Span<UInt8>, _ range: Range<Int>, _ word: StaticString
  ) -> Bool {
    guard range.count >= word.utf8CodeUnitCount else { return false }
    for at in 0..<word.utf8CodeUnitCount where text[range.lowerBound + at] != word.utf8Start[at] {
      return false
    }
    return true
  }

  /// Begins the line of a verb: everything before the payload.
  mutating func begin(
    _ verb: Verb, _ head: HTTPHead, _ text: Span<UInt8>
  ) throws(HTTPRefusal) {
    clear()
    bytes += verb.name.utf8
    mayBeString = verb.payload == .document
    (session, chat) = (nil, nil)
    if HTTPRequestLine.takesAddress(verb) { findAddress(head, text) }
    let start = head.path.lowerBound + HTTPRequestLine.root.utf8CodeUnitCount + verb.name.utf8.count
    try appendWords(verb, text, start..<head.path.upperBound)
    if let query = head.query { try appendOptions(verb, head, text, query) }
    if let key = head.idempotencyKey { try appendKey(text, key) }
    if verb.name == "WATCH", let id = head.lastEventID, !id.isEmpty {
      try appendOption(of: verb, name: Array("after".utf8), value: text.extracting(id))
    }
    // One that is malformed is not the caller's word: W3C has it ignored.
    if let trace = head.traceParent, TraceText.isParent(text.extracting(trace)) {
      bytes += " trace=".utf8
      for at in trace { bytes.append(text[at]) }
    }
    payloadStart = bytes.count
  }

  // MARK: - Words

  private static func takesAddress(_ verb: Verb) -> Bool {
    switch verb.words.first?.kind {
    case .address, .addressOrAll: true
    default: false
    }
  }

  private mutating func findAddress(_ head: HTTPHead, _ text: Span<UInt8>) {
    guard let query = head.query else { return }
    for piece in HTTPRequestLine.pieces(text, query, UInt8(ascii: "&")) {
      let key = HTTPRequestLine.key(text, piece)
      guard key.upperBound < piece.upperBound else { continue }
      let value = key.upperBound + 1..<piece.upperBound
      let name = text.extracting(key)
      if PercentText.spells(name, "session") {
        session = value
      } else if PercentText.spells(name, "chat") {
        chat = value
      }
    }
  }

  private mutating func appendWords(
    _ verb: Verb, _ text: Span<UInt8>, _ path: Range<Int>
  ) throws(HTTPRefusal) {
    var words: [Range<Int>] = []
    if !path.isEmpty {
      words = HTTPRequestLine.pieces(
        text, path.lowerBound + 1..<path.upperBound, UInt8(ascii: "/"))
    }
    guard !words.isEmpty || session == nil && chat == nil else {
      throw HTTPRefusal(.badRequest, "session= and chat= need a device in the path")
    }
    for (index, word) in words.enumerated() {
      guard !word.isEmpty else {
        throw HTTPRefusal(.badRequest, "the path has an empty segment: each is one word")
      }
      try decode(text, word)
      bytes.append(UInt8(ascii: " "))
      let rule = index < verb.words.count ? verb.words[index] : verb.words.last
      appendWord(rule?.kind ?? .text(bytesMax: 1))
      if index == 0 { try appendAddress(text) }
    }
  }

  /// Appends the decoded word as its kind has it.
  private mutating func appendWord(_ kind: ValueKind) {
    switch kind {
    case .device, .deviceOrAll, .addressOrAll, .address, .id, .linkKind, .linkRef, .group, .agent:
      PercentText.appendID(decoded[...], into: &bytes)
    case .listed:
      guard let equals = decoded.firstIndex(of: UInt8(ascii: "=")) else {
        return PercentText.appendID(decoded[...], into: &bytes)
      }
      var word: [UInt8] = []
      PercentText.appendID(decoded[..<equals], into: &word)
      word.append(UInt8(ascii: "="))
      // A thread is any text.
      if decoded[..<equals].elementsEqual("thread".utf8) {
        word += decoded[(equals + 1)...]
      } else {
        PercentText.appendID(decoded[(equals + 1)...], into: &word)
      }
      appendQuoted(word)
    case .text, .duration, .integer, .oneOf, .someOf: appendQuoted(decoded)
    }
  }

  private mutating func appendQuoted(_ text: [UInt8]) { bytes.appendJSONString(text.span) }

  /// Appends the session and the chat of an address.
  private mutating func appendAddress(_ text: Span<UInt8>) throws(HTTPRefusal) {
    guard session != nil || chat != nil else { return }
    bytes.append(UInt8(ascii: "/"))
    if let session { try appendPart(text, session, "session") } else { bytes += "current".utf8 }
    guard let chat else { return }
    bytes.append(UInt8(ascii: "/"))
    try appendPart(text, chat, "chat")
  }

  private mutating func appendPart(
    _ text: Span<UInt8>, _ part: Range<Int>, _ name: String
  ) throws(HTTPRefusal) {
    guard !part.isEmpty else { throw HTTPRefusal(.badRequest, "option '\(name)' has no value") }
    try decode(text, part)
    PercentText.appendID(decoded[...], into: &bytes)
  }

  // MARK: - Options

  private mutating func appendOptions(
    _ verb: Verb, _ head: HTTPHead, _ text: Span<UInt8>, _ query: Range<Int>
  ) throws(HTTPRefusal) {
    for piece in HTTPRequestLine.pieces(text, query, UInt8(ascii: "&")) where !piece.isEmpty {
      guard let equals = piece.first(where: { text[$0] == UInt8(ascii: "=") }) else {
        throw HTTPRefusal(
          .badRequest, "option \(EchoText.quoted(text, piece)) has no value: write name=value")
      }
      let (key, value) = (piece.lowerBound..<equals, equals + 1..<piece.upperBound)
      let name = text.extracting(key)
      if session != nil, PercentText.spells(name, "session") {
        guard value == session else { throw HTTPRequestLine.repeated("session") }
        continue
      }
      if chat != nil, PercentText.spells(name, "chat") {
        guard value == chat else { throw HTTPRequestLine.repeated("chat") }
        continue
      }
      // It was taken with the head.
      if verb.name == "WATCH", head.method == .get, PercentText.spells(name, "ticket") { continue }
      // A browser that connects again asks by the header for what it has not had.
      if verb.name == "WATCH", let id = head.lastEventID, !id.isEmpty,
        PercentText.spells(name, "after")
      {
        try HTTPRequestLine.requireOnce("after", head, text)
        continue
      }
      try decode(text, key)
      try appendOption(of: verb, name: decoded, value: text.extracting(value))
    }
  }

  /// The ticket in the query of a WATCH, which a browser's EventSource can send nowhere else.
  static func ticket(_ head: HTTPHead, _ text: Span<UInt8>, _ verbs: VerbTable) -> [UInt8]? {
    guard head.method == .get, let query = head.query,
      case .verb(let index)? = try? route(head, text, verbs), VerbTable.all[index].name == "WATCH"
    else { return nil }
    for piece in pieces(text, query, UInt8(ascii: "&")) {
      let key = HTTPRequestLine.key(text, piece)
      guard key.upperBound < piece.upperBound, PercentText.spells(text.extracting(key), "ticket")
      else { continue }
      var bytes: [UInt8] = []
      _ = PercentText.decode(text.extracting(key.upperBound + 1..<piece.upperBound), into: &bytes)
      return bytes
    }
    return nil
  }

  /// Refuses a query in which an option stands twice: of two rights another reader might take the
  /// other one.
  static func requireOnce(
    _ name: StaticString, _ head: HTTPHead, _ text: Span<UInt8>
  ) throws(HTTPRefusal) {
    guard let query = head.query else { return }
    var isThere = false
    for piece in pieces(text, query, UInt8(ascii: "&"))
    where PercentText.spells(text.extracting(key(text, piece)), name) {
      guard !isThere else { throw repeated("\(name)") }
      isThere = true
    }
  }

  private static func repeated(_ name: String) -> HTTPRefusal {
    HTTPRefusal(.badRequest, "option '\(name)' is repeated: give it once")
  }

  private mutating func appendOption(
    of verb: Verb, name: [UInt8], value: Span<UInt8>
  ) throws(HTTPRefusal) {
    bytes.append(UInt8(ascii: " "))
    let start = bytes.count
    PercentText.appendID(name[...], into: &bytes)
    guard OptionText.isName(bytes.span.extracting(start..<bytes.count)) else {
      throw HTTPRefusal(
        .badRequest,
        "\(EchoText.quoted(name.span, 0..<name.count)) is no name of an option")
    }
    bytes.append(UInt8(ascii: "="))
    let text = String(decoding: name, as: UTF8.self).lowercased()
    if let prefix = verb.linkOption, text.hasPrefix(prefix + ".") { return try appendRefs(value) }
    try decode(value, 0..<value.count)
    switch verb.options.first(where: { $0.text == text })?.kind {
    case .device, .deviceOrAll, .addressOrAll, .address, .listed, .id, .linkKind, .linkRef, .group,
      .agent:
      PercentText.appendID(decoded[...], into: &bytes)
    // What LIST is about may stand there as a link; a thread is any text.
    case nil where verb.words.first?.kind == .listed && text != "thread":
      PercentText.appendID(decoded[...], into: &bytes)
    case .text, .duration, .integer, .oneOf, .someOf, nil:
      let isBare = !decoded.isEmpty && decoded.allSatisfy { IDText.isIDByte($0) }
      if isBare {
        bytes += decoded
      } else if !decoded.isEmpty {
        appendQuoted(decoded)
      }
    }
  }

  /// Appends the refs of an option that names links.
  ///
  /// They have commas between them; a comma that is percent-encoded is a part of a ref.
  private mutating func appendRefs(_ value: Span<UInt8>) throws(HTTPRefusal) {
    var start = 0
    for end in 0...value.count where end == value.count || value[end] == UInt8(ascii: ",") {
      if start > 0 { bytes.append(UInt8(ascii: ",")) }
      try decode(value, start..<end)
      PercentText.appendID(decoded[...], into: &bytes)
      start = end + 1
    }
  }

  /// Appends the header Idempotency-Key, with or without the quotes that it has as a string.
  private mutating func appendKey(
    _ text: Span<UInt8>, _ given: Range<Int>
  ) throws(HTTPRefusal) {
    var key = given
    let quote = UInt8(ascii: "\"")
    if key.count >= 2, text[key.lowerBound] == quote, text[key.upperBound - 1] == quote {
      key = key.lowerBound + 1..<key.upperBound - 1
    }
    guard !key.isEmpty else {
      throw HTTPRefusal(.badRequest, "the header Idempotency-Key is empty")
    }
    bytes += " req=".utf8
    PercentText.appendID(key.map { text[$0] }[...], into: &bytes)
  }

  // MARK: - The payload

  /// Appends a part of the body.
  mutating func append(_ part: UnsafeBufferPointer<UInt8>) {
    if bytes.count == payloadStart { bytes.append(UInt8(ascii: " ")) }
    bytes.append(contentsOf: part)
  }

  /// Ends the line: the body is one payload, or nothing.
  ///
  /// Line breaks and tabs between the parts of JSON become spaces: a line has none.
  mutating func end() throws(HTTPRefusal) {
    guard bytes.count > payloadStart else { return }
    var start = payloadStart + 1
    while start < bytes.count, HTTPRequestLine.isBlank(bytes[start]) { start += 1 }
    while bytes.count > start, HTTPRequestLine.isBlank(bytes[bytes.count - 1]) {
      bytes.removeLast()
    }
    guard start < bytes.count else { return bytes.removeSubrange(payloadStart...) }
    bytes.removeSubrange(payloadStart + 1..<start)
    start = payloadStart + 1
    switch bytes[start] {
    case UInt8(ascii: "{"), UInt8(ascii: "["): JSONBlanks.makeSpaces(&bytes, from: start)
    case UInt8(ascii: "\"") where mayBeString && JSONBlanks.isOneString(bytes.span, from: start):
      break
    default:
      // A byte order mark is named by the parser.
      guard bytes[start] != 0xEF else { return }
      throw HTTPRefusal(
        .badRequest,
        "the body is no JSON object or array" + (mayBeString ? ", and no single string" : ""))
    }
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || 0x09...0x0D ~= byte && byte != 0x0B && byte != 0x0C
  }

  // MARK: - Pieces

  private static let badPercent = HTTPRefusal(
    .badRequest, "a % in the target has no two hexadecimal digits behind it: write %25 for it")

  private mutating func decode(_ text: Span<UInt8>, _ part: Range<Int>) throws(HTTPRefusal) {
    decoded.removeAll(keepingCapacity: true)
    guard PercentText.decode(text.extracting(part), into: &decoded) else {
      throw HTTPRequestLine.badPercent
    }
  }

  /// The parts of a range between separators; one that is empty is one too.
  private static func pieces(
    _ text: Span<UInt8>, _ range: Range<Int>, _ separator: UInt8
  ) -> [Range<Int>] {
    var (pieces, start) = ([Range<Int>](), range.lowerBound)
    for at in range where text[at] == separator {
      pieces.append(start..<at)
      start = at + 1
    }
    pieces.append(start..<range.upperBound)
    return pieces
  }
}
