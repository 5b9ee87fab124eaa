// The grammar of a request line. It knows where words, options and the payload are, but not what
// any verb allows: that is for the verb. It keeps offsets only, so the line must outlive them.
// Bytes in error texts count from 0, the line's first one.

/// Parses one line after another, with no allocation once its arrays have grown.
///
/// After `parse` has returned, the parts describe that line until the next call; after it has
/// thrown they mean nothing.
package struct RequestParser: ~Copyable {
  /// The most words after the verb, unless the parser is made with another number.
  package static let wordsMaxDefault = 8
  /// The most options of a request, unless the parser is made with another number.
  package static let optionsMaxDefault = 24
  /// How deep a payload may nest, unless the parser is made with another number.
  package static let payloadDepthMaxDefault = 64

  /// The first word of the line.
  package private(set) var verb: Range<Int> = 0..<0
  /// The words after the verb, in order.
  package private(set) var words: [Token] = []
  /// The options in order; no two have the same key in any spelling.
  package private(set) var options: [ParsedOption] = []
  /// The JSON object or array at the end of the line.
  package private(set) var payload: Range<Int>?

  /// The JSON string that ends a line of the string verb: it may be a value and no word.
  ///
  /// Behind an option it is none of the words.
  package private(set) var lastString: Token?

  /// The first word behind a first option `user=`, which may stand in place of the first word.
  package private(set) var wordBehindUser: Token?

  private let wordsMax: Int
  private let optionsMax: Int
  /// The limits of a payload, by the line, its verb and its words.
  package typealias PayloadLimits = (Span<UInt8>, Range<Int>, [Token]) -> JSONLimits
  private let limits: PayloadLimits
  private let stringVerb: StaticString
  /// Whether the line has characters that only a JSON string may have.
  private var hasHighControls = false

  /// Makes a parser with the limits of the protocol.
  package init() {
    self.init(wordsMax: Self.wordsMaxDefault)
  }

  /// Makes a parser with other limits.
  ///
  /// The payload of `stringVerb`, in any case, may be a string.
  package init(
    wordsMax: Int, optionsMax: Int = Self.optionsMaxDefault,
    stringVerb: StaticString = "", limits: @escaping PayloadLimits = { _, _, _ in .usual }
  ) {
    self.wordsMax = wordsMax
    self.optionsMax = optionsMax
    self.stringVerb = stringVerb
    self.limits = limits
    words.reserveCapacity(Self.wordsMaxDefault)
    options.reserveCapacity(Self.optionsMaxDefault)
  }

  /// Finds the parts of a line, or throws the error of the first part that is wrong.
  package mutating func parse(_ line: Span<UInt8>) throws(RequestError) {
    words.removeAll(keepingCapacity: true)
    options.removeAll(keepingCapacity: true)
    payload = nil
    lastString = nil
    wordBehindUser = nil
    try LineText.refuseByteOrderMark(line)
    do { hasHighControls = try LineText.check(line) } catch { throw LineText.error(error) }
    try checkEnds(line)
    var at = try parseVerb(line)
    while at < line.count { at = try parsePart(line, from: at + 1) }
  }

  private func checkEnds(_ line: Span<UInt8>) throws(RequestError) {
    if line.isEmpty { throw RequestError(.badRequest, "the line is empty") }
    if line[0] == ASCII.space {
      throw RequestError(.badRequest, "the line begins with a space: it begins with the verb")
    }
    if line[line.count - 1] == ASCII.space {
      throw RequestError(.badRequest, "the line ends with a space: nothing follows the last part")
    }
  }

  private mutating func parseVerb(_ line: Span<UInt8>) throws(RequestError) -> Int {
    var end = 0
    while end < line.count, ASCII.isVerbByte(line[end]) { end += 1 }
    guard end == line.count || line[end] == ASCII.space else {
      let echo = EchoText.quoted(line, 0..<endOfBare(line, from: 0))
      throw RequestError(.badRequest, "verb \(echo) is not letters, digits and _ only")
    }
    verb = 0..<end
    return end
  }

  /// Parses the part after a space and returns where it ends: at a space or the line's end.
  private mutating func parsePart(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    switch line[start] {
    case ASCII.space:
      throw RequestError(
        .badRequest, "two spaces in a row at byte \(start - 1): one parts two words")
    case ASCII.openBrace, ASCII.openBracket:
      return try parsePayload(line, from: start)
    case ASCII.quote:
      let word = try quotedToken(line, from: start)
      if word.end + 1 == line.count, CaseInsensitive.equal(line, verb, stringVerb) {
        lastString = word
        if !options.isEmpty { return word.end + 1 }
      }
      try appendWord(word, of: line)
      return word.end + 1
    default:
      return try parseBareOrOption(line, from: start)
    }
  }

  private mutating func parseBareOrOption(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    // As a buffer: a span's subscript checks its bounds for each byte.
    let (keyEnd, end) = line.withUnsafeBufferPointer { bytes in
      var at = start
      while at < bytes.count, ASCII.isKeyByte(bytes[at]) { at += 1 }
      // The kind of a link, in options such as `and.KIND=REF`, is an id.
      if at > start, at < bytes.count, bytes[at] == ASCII.point {
        while at < bytes.count, IDText.isIDByte(bytes[at]) { at += 1 }
      }
      let keyEnd = at
      while at < bytes.count, bytes[at] != ASCII.space { at += 1 }
      return (keyEnd, at)
    }
    if keyEnd > start, keyEnd < end, line[keyEnd] == ASCII.equals {
      return try parseOption(line, key: start..<keyEnd)
    }
    if keyEnd == start, LineText.isByteOrderMark(line, start) {
      throw LineText.byteOrderMark(at: start)
    }
    if hasHighControls { try LineText.refuseHighControls(line, keyEnd..<end) }
    try appendWord(Token(start: start, end: end, isQuoted: false), of: line)
    return end
  }

  private mutating func appendWord(
    _ word: Token, of line: Span<UInt8>
  ) throws(RequestError) {
    if !options.isEmpty {
      let isBehindUser =
        options.count == 1 && (words.isEmpty || wordBehindUser != nil)
        && CaseInsensitive.equal(line, options[0].key, "user")
      guard isBehindUser else { throw RequestParser.wordAfterOption(line, word) }
      wordBehindUser = wordBehindUser ?? word
    }
    guard words.count < wordsMax else {
      let echo = EchoText.quoted(line, word)
      throw RequestError(
        .badRequest, "word \(echo) is one more than \(wordsMax): quote a text that has spaces")
    }
    words.append(word)
  }

  /// The error of a word that stands behind an option.
  package static func wordAfterOption(_ line: Span<UInt8>, _ word: Token) -> RequestError {
    let echo = EchoText.quoted(line, word)
    return RequestError(
      .badRequest, "word \(echo) comes after an option: quote a text that has spaces")
  }

  private mutating func parseOption(
    _ line: Span<UInt8>, key: Range<Int>
  ) throws(RequestError) -> Int {
    for earlier in options where CaseInsensitive.equal(line, earlier.key, key) {
      throw RequestError(
        .badRequest, "option \(EchoText.quoted(line, key)) is repeated: give it once")
    }
    guard options.count < optionsMax else {
      throw RequestError(
        .badRequest, "option \(EchoText.quoted(line, key)) is one more than \(optionsMax)")
    }
    let value = try optionValue(line, key: key)
    options.append(ParsedOption(keyStart: key.lowerBound, keyEnd: key.upperBound, value: value))
    return value.isQuoted ? value.end + 1 : value.end
  }

  private func optionValue(
    _ line: Span<UInt8>, key: Range<Int>
  ) throws(RequestError) -> Token {
    let start = key.upperBound + 1
    guard start < line.count, line[start] != ASCII.space else {
      throw RequestError(
        .badRequest, "option \(EchoText.quoted(line, key)) has no value behind its =")
    }
    switch line[start] {
    case ASCII.quote:
      return try quotedToken(line, from: start)
    case ASCII.openBrace, ASCII.openBracket:
      let echo = EchoText.quoted(line, key)
      throw RequestError(
        .badRequest, "option \(echo) has a value that begins with { or [: quote it")
    default:
      let end = try checkedEndOfBare(line, from: start)
      return Token(start: start, end: end, isQuoted: false)
    }
  }

  private func endOfBare(_ line: Span<UInt8>, from start: Int) -> Int {
    // As a buffer: a span's subscript checks its bounds for each byte.
    line.withUnsafeBufferPointer { bytes in
      var at = start
      while at < bytes.count, bytes[at] != ASCII.space { at += 1 }
      return at
    }
  }

  /// The same, of a part that must not have characters that only a JSON string may have.
  private func checkedEndOfBare(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    let end = endOfBare(line, from: start)
    if hasHighControls { try LineText.refuseHighControls(line, start..<end) }
    return end
  }

  /// Parses a JSON string, after which a space or the end of the line must come.
  private func quotedToken(
    _ line: Span<UInt8>, from quote: Int
  ) throws(RequestError) -> Token {
    let end: Int
    do {
      end = try JSONValidator.endOfString(line, from: quote, to: line.count)
    } catch {
      throw RequestParser.error(error, in: "JSON string", of: line, depthMax: 0)
    }
    guard end == line.count || line[end] == ASCII.space else {
      throw RequestError(
        .badRequest, "JSON string without a space after it at byte \(end): escape a quote in it")
    }
    return Token(start: quote + 1, end: end - 1, isQuoted: true)
  }

  private mutating func parsePayload(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    let limits = limits(line, verb, words)
    do {
      try JSONValidator.validate(line, from: start, to: line.count, limits)
    } catch {
      throw RequestParser.error(error, in: "payload", of: line, depthMax: limits.depthMax)
    }
    payload = start..<line.count
    return line.count
  }

  /// The error of a fault; a character that cannot be seen is named.
  private static func error(
    _ fault: JSONFault, in part: String, of line: Span<UInt8>, depthMax: Int
  ) -> RequestError {
    if case .syntax(let at, _) = fault, at < line.count {
      if LineText.isByteOrderMark(line, at) { return LineText.byteOrderMark(at: at) }
      if LineText.isHighControl(line, at) { return LineText.error(LineText.control(line, at)) }
    }
    return fault.requestError(in: part, depthMax: depthMax)
  }
}
