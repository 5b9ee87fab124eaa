// The grammar of a request line. It knows where words, options and the payload are, but not what
// any verb allows: that is for the verb. It keeps offsets only, so the line must outlive them.

/// Parses one line after another, with no allocation once its arrays have grown.
///
/// After `parse` has returned, the parts describe that line until the next call; after it has
/// thrown they mean nothing.
package struct RequestParser: Sendable {
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
  /// How deep the payload nests; 0 without one.
  package private(set) var payloadDepth = 0

  private let wordsMax: Int
  private let optionsMax: Int
  private let payloadDepthMax: Int

  /// Makes a parser with the limits of the protocol.
  package init() {
    self.init(wordsMax: Self.wordsMaxDefault)
  }

  /// Makes a parser with other limits; a payload may nest 128 deep at the very most.
  package init(
    wordsMax: Int, optionsMax: Int = Self.optionsMaxDefault,
    payloadDepthMax: Int = Self.payloadDepthMaxDefault
  ) {
    self.wordsMax = wordsMax
    self.optionsMax = optionsMax
    self.payloadDepthMax = payloadDepthMax
    words.reserveCapacity(Self.wordsMaxDefault)
    options.reserveCapacity(Self.optionsMaxDefault)
  }

  /// Finds the parts of a line, or says what is wrong with the first part that is.
  package mutating func parse(_ line: Span<UInt8>) throws(RequestError) {
    words.removeAll(keepingCapacity: true)
    options.removeAll(keepingCapacity: true)
    payload = nil
    payloadDepth = 0
    do { try LineText.check(line) } catch { throw LineText.error(error) }
    try checkEnds(line)
    var at = try parseVerb(line)
    while at < line.count { at = try parsePart(line, from: at + 1) }
  }

  /// Refuses a payload that nests deeper than the protocol allows most verbs, and says where.
  package func refuseDeepPayload(_ line: Span<UInt8>) throws(RequestError) {
    guard let payload else { return }
    let depthMax = Self.payloadDepthMaxDefault
    do {
      try JSONValidator.validate(
        line, from: payload.lowerBound, to: payload.upperBound, depthMax: depthMax)
    } catch {
      throw error.requestError(in: "payload", depthMax: depthMax)
    }
  }

  private func checkEnds(_ line: Span<UInt8>) throws(RequestError) {
    if line.isEmpty { throw RequestError(.badRequest, "the line is empty") }
    if line[0] == ASCII.space {
      throw RequestError(.badRequest, "the line begins with a space")
    }
    if line[line.count - 1] == ASCII.space {
      throw RequestError(.badRequest, "the line ends with a space")
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
      throw RequestError(.badRequest, "two spaces in a row at byte \(start - 1)")
    case ASCII.openBrace, ASCII.openBracket:
      return try parsePayload(line, from: start)
    case ASCII.quote:
      let word = try quotedToken(line, from: start)
      try appendWord(word, of: line)
      return word.end + 1
    default:
      return try parseBareOrOption(line, from: start)
    }
  }

  private mutating func parseBareOrOption(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    var at = start
    while at < line.count, ASCII.isKeyByte(line[at]) { at += 1 }
    if at > start, at < line.count, line[at] == ASCII.equals {
      return try parseOption(line, key: start..<at)
    }
    let end = endOfBare(line, from: at)
    try appendWord(Token(start: start, end: end, isQuoted: false), of: line)
    return end
  }

  private mutating func appendWord(
    _ word: Token, of line: Span<UInt8>
  ) throws(RequestError) {
    guard options.isEmpty else {
      let echo = EchoText.quoted(line, word)
      throw RequestError(.badRequest, "word \(echo) comes after an option")
    }
    guard words.count < wordsMax else {
      throw RequestError(.badRequest, "more than \(wordsMax) words")
    }
    words.append(word)
  }

  private mutating func parseOption(
    _ line: Span<UInt8>, key: Range<Int>
  ) throws(RequestError) -> Int {
    for earlier in options where CaseInsensitive.equal(line, earlier.key, key) {
      throw RequestError(.badRequest, "option \(EchoText.quoted(line, key)) is repeated")
    }
    guard options.count < optionsMax else {
      throw RequestError(.badRequest, "more than \(optionsMax) options")
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
      throw RequestError(.badRequest, "option \(EchoText.quoted(line, key)) has no value")
    }
    switch line[start] {
    case ASCII.quote:
      return try quotedToken(line, from: start)
    case ASCII.openBrace, ASCII.openBracket:
      let echo = EchoText.quoted(line, key)
      throw RequestError(
        .badRequest, "option \(echo) has a value that begins with { or [ outside quotes")
    default:
      return Token(start: start, end: endOfBare(line, from: start), isQuoted: false)
    }
  }

  private func endOfBare(_ line: Span<UInt8>, from start: Int) -> Int {
    var at = start
    while at < line.count, line[at] != ASCII.space { at += 1 }
    return at
  }

  /// Parses a JSON string, after which a space or the end of the line must come.
  private func quotedToken(
    _ line: Span<UInt8>, from quote: Int
  ) throws(RequestError) -> Token {
    let end: Int
    do {
      end = try JSONValidator.endOfString(line, from: quote, to: line.count)
    } catch {
      throw error.requestError(in: "JSON string", depthMax: payloadDepthMax)
    }
    guard end == line.count || line[end] == ASCII.space else {
      throw RequestError(.badRequest, "JSON string without a space after it at byte \(end)")
    }
    return Token(start: quote + 1, end: end - 1, isQuoted: true)
  }

  private mutating func parsePayload(
    _ line: Span<UInt8>, from start: Int
  ) throws(RequestError) -> Int {
    do {
      payloadDepth = try JSONValidator.validate(
        line, from: start, to: line.count, depthMax: payloadDepthMax)
    } catch {
      throw error.requestError(in: "payload", depthMax: payloadDepthMax)
    }
    payload = start..<line.count
    return line.count
  }
}
