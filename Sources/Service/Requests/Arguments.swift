// Owns: the step from a parsed line to typed values, as the verb declares them. Runs on the loop's
// thread, where one value is used again for every request, or its line reader's.

internal import SessionModel
package import Settings
internal import Store
package import Wire

/// A checked value: where its text stands, and its number if it has one.
package struct Argument: Sendable {
  package var token: Token
  package var number: Int64
}

/// A link that an option names: where its kind and its ref stand.
package struct LinkArgument: Sendable {
  package let kind: Token
  package let ref: Token
}

/// The checked words and options of one request.
///
/// Where devices are UUIDs, one in capitals is spelt in small letters here: keys, partitions,
/// rights and replies are made from what stands here. The device of an import stands in its
/// payload, where `ExportedRecord` does the same.
package struct Arguments: Sendable {
  package private(set) var words: [Argument] = []
  private var options = [Argument?](repeating: nil, count: OptionName.allCases.count)
  /// Those of the options that are given, which most requests do without.
  private var given: [Int] = []
  /// The links that options name, in the order given.
  package private(set) var links: [LinkArgument] = []
  package private(set) var payload: Range<Int>?
  /// The parent of the request's trace, which every verb takes.
  package private(set) var trace: [UInt8]?
  /// Whether `user=` stands in place of the first word, which is then not among the words.
  package private(set) var isOfUser = false
  /// The line with other texts behind it, where words were decoded or spelt anew; else empty.
  package private(set) var decoded: [UInt8] = []
  /// The most bytes of the refs in one option: as many as all links of a session may have.
  private static let refsBytesMax = 32 << 10
  /// Whether devices are UUIDs.
  private let devicesAreUUIDs: Bool

  package init(deviceIDs: DeviceIDs) { devicesAreUUIDs = deviceIDs == .uuid }

  package subscript(option: OptionName) -> Argument? { options[option.rawValue] }

  /// Gives the request the parent of a trace that it came with, unless it names one itself.
  package mutating func inherit(trace inherited: [UInt8]) { trace = trace ?? inherited }

  /// Checks a parsed line against what the verb declares.
  package mutating func bind(
    _ verb: Verb, _ parser: borrowing RequestParser, _ line: Span<UInt8>
  ) throws(RequestError) {
    words.removeAll(keepingCapacity: true)
    for index in given { options[index] = nil }
    given.removeAll(keepingCapacity: true)
    if !links.isEmpty { links.removeAll() }
    decoded.removeAll(keepingCapacity: true)
    trace = nil
    payload = parser.payload
    let count = takeString(verb, parser)
    isOfUser =
      verb.isAddressedByUser(words: count)
      && parser.options.contains { $0.names(OptionName.user.text, in: line) }
    if let word = parser.wordBehindUser, !isOfUser {
      throw RequestParser.wordAfterOption(line, word)
    }
    try bindWords(verb, parser, count, line)
    try bindOptions(verb, parser, line)
    try checkPayload(verb, line)
  }

  /// Takes a string at the end of the line as the payload, if the verb may have one; gives how
  /// many words are left.
  private mutating func takeString(_ verb: Verb, _ parser: borrowing RequestParser) -> Int {
    let count = parser.words.count
    guard verb.payload == .document, payload == nil, let string = parser.lastString else {
      return count
    }
    let isWord = parser.words.last == string
    guard !isWord || count > verb.words.count else { return count }
    payload = string.start - 1..<string.end + 1
    return isWord ? count - 1 : count
  }

  private mutating func bindWords(
    _ verb: Verb, _ parser: borrowing RequestParser, _ count: Int, _ line: Span<UInt8>
  ) throws(RequestError) {
    let rules = verb.words.dropFirst(isOfUser ? 1 : 0)
    for (index, rule) in rules.enumerated() {
      if index == 0, let link = Arguments.link(verb, parser, line) {
        words.append(try check(link, rule.kind, rule.name, line))
        continue
      }
      guard index < count else {
        if rule.isOptional { break }
        throw RequestError(.badRequest, "missing word \(rule.name): \(verb.usage)")
      }
      words.append(try check(parser.words[index], rule.kind, rule.name, line))
    }
    if let last = verb.words.last, last.isRepeated, count > rules.count {
      for token in parser.words[rules.count...] {
        words.append(try check(token, last.kind, last.name, line))
      }
    } else if count > rules.count {
      let extra = EchoText.quoted(line, parser.words[rules.count])
      throw RequestError(
        .badRequest, "extra word \(extra) (quote a text that has spaces): \(verb.usage)")
    }
  }

  /// The link of `LIST kind=ref`, which looks like an option that no verb has.
  private static func link(
    _ verb: Verb, _ parser: borrowing RequestParser, _ line: Span<UInt8>
  ) -> Token? {
    guard verb.words.first?.kind == .listed, parser.words.isEmpty,
      let first = parser.options.first, !first.value.isQuoted,
      !verb.options.contains(where: { first.names($0.text, in: line) }),
      linkKind(verb, first, line) == nil
    else { return nil }
    return Token(start: first.keyStart, end: first.value.end, isQuoted: false)
  }

  private mutating func bindOptions(
    _ verb: Verb, _ parser: borrowing RequestParser, _ line: Span<UInt8>
  ) throws(RequestError) {
    let isLinkFirst = Arguments.link(verb, parser, line) != nil
    for given in parser.options.dropFirst(isLinkFirst ? 1 : 0) {
      if let kind = Arguments.linkKind(verb, given, line) {
        try takeLinks(kind, given.value, line)
        continue
      }
      if given.names("trace", in: line) {
        trace = try Arguments.trace(given.value, line)
        continue
      }
      guard let option = verb.options.first(where: { given.names($0.text, in: line) }) else {
        let name = EchoText.quoted(line, given.key)
        throw RequestError(.badRequest, "unknown option \(name): \(verb.usage)")
      }
      options[option.rawValue] = try check(given.value, option.kind, option.text, line)
      self.given.append(option.rawValue)
    }
    for option in verb.required where options[option.rawValue] == nil {
      throw RequestError(.badRequest, "missing option \(option.text)=: \(verb.usage)")
    }
  }

  private static func trace(
    _ value: Token, _ line: Span<UInt8>
  ) throws(RequestError) -> [UInt8] {
    guard TraceText.isParent(line.extracting(value.range)) else {
      throw RequestError(
        .badRequest,
        "trace= is no traceparent of W3C Trace Context, such as 00-TRACE-SPAN-01 with 32 and 16 "
          + "hexadecimal digits in small letters")
    }
    return value.range.map { line[$0] }
  }

  /// The kind of an option that names a link, such as `and.user=ada`; nil if it is none.
  private static func linkKind(
    _ verb: Verb, _ option: ParsedOption, _ line: Span<UInt8>
  ) -> Token? {
    guard let prefix = verb.linkOption, option.key.count > prefix.utf8.count + 1 else { return nil }
    let end = option.keyStart + prefix.utf8.count
    let word = ParsedOption(keyStart: option.keyStart, keyEnd: end, value: option.value)
    guard line[end] == UInt8(ascii: "."), word.names(prefix, in: line) else { return nil }
    return Token(start: end + 1, end: option.keyEnd, isQuoted: false)
  }

  /// Takes the links of a kind, whose refs have commas between them.
  private mutating func takeLinks(
    _ kind: Token, _ refs: Token, _ line: Span<UInt8>
  ) throws(RequestError) {
    try checkKind(kind, line)
    let all = try check(refs, .text(bytesMax: Arguments.refsBytesMax), "ref", line).token
    var start = all.start
    for end in all.range.filter({ byte(line, $0) == UInt8(ascii: ",") }) + [all.end] {
      let ref = Token(start: start, end: end, isQuoted: all.isQuoted)
      if all.isQuoted {
        try checkID(ref, "ref", decoded.span)
      } else {
        try checkID(ref, "ref", line)
      }
      links.append(LinkArgument(kind: kind, ref: ref))
      start = end + 1
    }
  }

  private func byte(_ line: Span<UInt8>, _ at: Int) -> UInt8 {
    at < line.count ? line[at] : decoded[at]
  }

  private func checkPayload(_ verb: Verb, _ line: Span<UInt8>) throws(RequestError) {
    guard let payload else {
      guard [.any, .object, .record, .document].contains(verb.payload) else { return }
      throw RequestError(.badRequest, "missing payload: \(verb.usage)")
    }
    switch verb.payload {
    case .none: throw RequestError(.badRequest, "unexpected payload: \(verb.usage)")
    case .optionalObject, .object, .record:
      guard line[payload.lowerBound] == UInt8(ascii: "{") else {
        throw RequestError(.badRequest, "the payload of \(verb.name) must be an object")
      }
    case .any, .optionalAny, .document: break
    }
  }

  /// Checks one value.
  ///
  /// A quoted one is decoded first: behind a copy of the line, so that every token of the request
  /// goes on pointing into one text.
  private mutating func check(
    _ given: Token, _ kind: ValueKind, _ name: String, _ line: Span<UInt8>
  ) throws(RequestError) -> Argument {
    guard given.isQuoted else {
      let argument = try checkBare(given, kind, name, line)
      guard devicesAreUUIDs, let spelt = inSmallLetters(argument.token, kind, line) else {
        return argument
      }
      return append(spelt, argument, line)
    }
    copyLine(line)
    let start = decoded.count
    try JSONString.decode(line, given, into: &decoded)
    let token = Token(start: start, end: decoded.count, isQuoted: true)
    let argument = try checkBare(token, kind, name, decoded.span)
    guard let spelt = inSmallLetters(token, kind, decoded.span) else { return argument }
    return append(spelt, argument, line)
  }

  private mutating func copyLine(_ line: Span<UInt8>) {
    if decoded.isEmpty { line.withUnsafeBufferPointer { decoded.append(contentsOf: $0) } }
  }

  /// The bytes of a checked value with the device in it in small letters; nil where they are that
  /// already, or devices are no UUIDs.
  private func inSmallLetters(
    _ token: Token, _ kind: ValueKind, _ text: Span<UInt8>
  ) -> [UInt8]? {
    guard devicesAreUUIDs, let device = Arguments.device(token, kind, text) else { return nil }
    return IDText.uuidSpelling(text, token.range, device: device)
  }

  /// The same value, spelt so: behind the copy of the line.
  private mutating func append(
    _ spelt: [UInt8], _ argument: Argument, _ line: Span<UInt8>
  ) -> Argument {
    copyLine(line)
    let start = decoded.count
    decoded += spelt
    return Argument(
      token: Token(start: start, end: decoded.count, isQuoted: argument.token.isQuoted),
      number: argument.number)
  }

  /// Where the device of a checked value stands, at its beginning; nil if it has none.
  private static func device(
    _ token: Token, _ kind: ValueKind, _ text: Span<UInt8>
  ) -> Range<Int>? {
    switch kind {
    case .device, .deviceOrAll: return token.range
    case .address, .addressOrAll:
      let slash = token.range.first { text[$0] == UInt8(ascii: "/") }
      return token.start..<(slash ?? token.end)
    case .listed:
      return token.range.contains { text[$0] == UInt8(ascii: "=") } ? nil : token.range
    case .id, .linkKind, .linkRef, .group, .agent, .text, .duration, .integer, .oneOf, .someOf:
      return nil
    }
  }

  private func checkBare(
    _ token: Token, _ kind: ValueKind, _ name: String, _ text: Span<UInt8>
  ) throws(RequestError) -> Argument {
    switch kind {
    case .device:
      try checkDevice(token, name, text)
    case .deviceOrAll:
      if token.range.count == 1, text[token.start] == UInt8(ascii: "*") { break }
      try checkDevice(token, name, text)
    case .addressOrAll:
      if token.range.count == 1, text[token.start] == UInt8(ascii: "*") { break }
      try checkAddress(token, name, 3, text)
    case .listed: try checkListed(token, name, text)
    case .linkKind: try checkKind(token, text)
    case .id, .linkRef, .group, .agent:
      let bytesMax = kind == .agent ? IDText.agentBytesMax : IDText.idBytesMax
      if !IDText.isID(text, token, bytesMax: bytesMax),
        let fault = IDText.fault(text, token, bytesMax: bytesMax)
      {
        throw RequestError(
          .badRequest, "\(name) \(EchoText.quoted(text, token)) is not an id: \(fault)")
      }
    case .text(let bytesMax):
      guard 1...bytesMax ~= token.range.count else {
        throw RequestError(.badRequest, "\(name) must have 1 to \(bytesMax) bytes")
      }
    case .address(let parts): try checkAddress(token, name, parts, text)
    case .oneOf(let words): try check([token], among: words, name, text)
    case .someOf(let words):
      var (tokens, start) = ([Token](), token.start)
      for at in token.range where text[at] == UInt8(ascii: ",") {
        tokens.append(Token(start: start, end: at, isQuoted: false))
        start = at + 1
      }
      tokens.append(Token(start: start, end: token.end, isQuoted: false))
      try check(tokens, among: words, name, text)
    case .duration(let allowsZero):
      let ms = try named(name) { () throws(RequestError) in try DurationText.parseMs(text, token) }
      guard ms > 0 || allowsZero else {
        throw RequestError(.badRequest, "\(name)=0: a duration from 10ms to 3650d is needed")
      }
      return Argument(token: token, number: ms)
    case .integer(let range):
      let number = try named(name) { () throws(RequestError) in
        try IntegerText.parse(text, token, in: range)
      }
      return Argument(token: token, number: number)
    }
    return Argument(token: token, number: 0)
  }

  /// Refuses a value of which a part is none of the words.
  private func check(
    _ tokens: [Token], among words: [String], _ name: String, _ text: Span<UInt8>
  ) throws(RequestError) {
    for token in tokens {
      let given = text.extracting(token.range).withUnsafeBufferPointer {
        String(decoding: $0, as: UTF8.self)
      }
      guard words.contains(given) else {
        let known = words.joined(separator: ", ")
        throw RequestError(
          .badRequest, "\(name)=\(EchoText.quoted(text, token)) is none of \(known)")
      }
    }
  }

  private func checkDevice(
    _ token: Token, _ name: String, _ text: Span<UInt8>
  ) throws(RequestError) {
    try checkID(token, name, text)
    guard devicesAreUUIDs, !IDText.isUUID(text, token) else { return }
    throw RequestError(
      .badRequest, "\(name) \(EchoText.quoted(text, token)) is not a UUID, as this worker asks for")
  }

  private func checkListed(
    _ token: Token, _ name: String, _ text: Span<UInt8>
  ) throws(RequestError) {
    guard let equals = token.range.first(where: { text[$0] == UInt8(ascii: "=") }) else {
      _ = try checkBare(token, .deviceOrAll, name, text)
      return
    }
    let kind = Token(start: token.start, end: equals, isQuoted: false)
    let ref = Token(start: equals + 1, end: token.end, isQuoted: false)
    if text.extracting(kind.range).withUnsafeBufferPointer({
      $0.elementsEqual(LinkName.threadKind.utf8)
    }) {
      _ = try checkBare(ref, OptionName.thread.kind, OptionName.thread.text, text)
      return
    }
    try checkKind(kind, text)
    try checkID(ref, "ref", text)
  }

  /// A kind of link; what has a meaning of its own for LIST is none.
  private func checkKind(_ token: Token, _ text: Span<UInt8>) throws(RequestError) {
    try checkID(token, "kind", text)
    let kind = text.extracting(token.range).withUnsafeBufferPointer {
      String(decoding: $0, as: UTF8.self)
    }
    guard LinkKind.isReserved(kind) else { return }
    throw RequestError(.badRequest, LinkKind.whyReserved(kind))
  }

  private func checkAddress(
    _ token: Token, _ name: String, _ partsMax: Int, _ text: Span<UInt8>
  ) throws(RequestError) {
    let bad = RequestError(
      .badRequest,
      "\(name) \(EchoText.quoted(text, token)) is not device"
        + (partsMax == 2 ? " or device/session" : ", device/session or device/session/chat"))
    var parts: [Range<Int>] = []
    var start = token.start
    for at in token.range where text[at] == UInt8(ascii: "/") {
      // A line of slashes is not kept.
      guard parts.count < 3 else { throw bad }
      parts.append(start..<at)
      start = at + 1
    }
    parts.append(start..<token.end)
    if parts.count == 3, partsMax == 2 {
      let chat = Token(start: parts[2].lowerBound, end: parts[2].upperBound, isQuoted: false)
      throw RequestError(
        .badRequest,
        "\(name) \(EchoText.quoted(text, token)) goes on to a chat, but this is about a session: "
          + "leave out '/' and \(EchoText.quoted(text, chat))")
    }
    guard parts.count <= partsMax else { throw bad }
    let device = Token(start: parts[0].lowerBound, end: parts[0].upperBound, isQuoted: false)
    try checkDevice(device, name, text)
    for (index, part) in parts.dropFirst().enumerated() {
      let isGood = text.extracting(part).withUnsafeBufferPointer { bytes in
        if bytes.elementsEqual("current".utf8) { return true }
        if index == 0 { return SessionID.isOne(bytes) }
        if bytes.first == UInt8(ascii: "@") { return ChatName.decoded(bytes.dropFirst()) != nil }
        return 1...6 ~= bytes.count && bytes[0] != UInt8(ascii: "0")
          && bytes.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
      }
      guard isGood else { throw bad }
    }
  }

  private func checkID(_ token: Token, _ name: String, _ text: Span<UInt8>) throws(RequestError) {
    _ = try checkBare(token, .id, name, text)
  }

  /// Puts the option's name before what is wrong with its value.
  private func named<Value>(
    _ name: String, _ body: () throws(RequestError) -> Value
  ) throws(RequestError) -> Value {
    do throws(RequestError) {
      return try body()
    } catch {
      throw RequestError(error.code, "\(name)=\(error.text)")
    }
  }
}

extension ParsedOption {
  /// Whether this is the option of that name, in any case.
  fileprivate func names(_ text: String, in line: Span<UInt8>) -> Bool {
    guard text.utf8.count == key.count else { return false }
    var at = keyStart
    for byte in text.utf8 {
      // Letters in any case; the other bytes of names differ in more than that bit.
      let isLetter = UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
      guard line[at] == byte || isLetter && line[at] | 0x20 == byte else { return false }
      at += 1
    }
    return true
  }
}

/// What was made of a payload for its verb.
protocol ReadPayload: Sendable {}

/// A large request that was read beside its loop.
///
/// A class, so that a call keeps one reference.
package final class ReadRequest: Sendable {
  package let arguments: Arguments
  /// The payload of a verb whose payload takes long to read.
  let payload: (any ReadPayload)?
  /// That of a request with `req=`.
  let fingerprint: String?

  init(_ arguments: Arguments, _ payload: (any ReadPayload)?, _ fingerprint: String?) {
    self.arguments = arguments
    self.payload = payload
    self.fingerprint = fingerprint
  }
}
