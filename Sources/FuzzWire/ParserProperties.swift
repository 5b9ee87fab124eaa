// Properties of parsing: nothing traps, a refusal is one clean line, and the parts of an accepted
// line can be written down and parsed again with the same result.

import Wire

/// Runs line after line through one parser, as a connection does.
struct ParserProperties: ~Copyable {
  private var parser = RequestParser()

  /// The first property that the line breaks; nil if all hold.
  mutating func broken(by line: [UInt8]) -> String? {
    if Self.isText(line) != Self.isTextBySwift(line) { return "Swift disagrees on the text" }
    do {
      try parser.parse(line.span)
    } catch {
      return Self.broken(by: error)
    }
    let tokens = parser.words + parser.options.map(\.value)
    for token in tokens {
      if let broken = Self.broken(by: token, of: line) { return broken }
    }
    if let broken = brokenByPayload(of: line) { return broken }
    return brokenByReparsing(line)
  }

  // MARK: - Text

  private static func isText(_ line: [UInt8]) -> Bool {
    do { try LineText.check(line.span) } catch { return false }
    return true
  }

  private static func isTextBySwift(_ line: [UInt8]) -> Bool {
    guard let text = String(validating: line, as: UTF8.self) else { return false }
    return text.unicodeScalars.allSatisfy { $0.value >= 0x20 }
  }

  private static func hasControls(_ line: [UInt8]) -> Bool {
    guard let text = String(validating: line, as: UTF8.self) else { return true }
    return text.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }

  private static func broken(by error: RequestError) -> String? {
    if error.code != .badRequest { return "a parser's error is not bad_request" }
    var reply: [UInt8] = []
    reply.appendError(error)
    if reply.count > 256 { return "an error text is too long: \(reply.count) bytes" }
    if reply.popLast() != UInt8(ascii: "\n") { return "an error line does not end" }
    return hasControls(reply) ? "an error line is not text without controls" : nil
  }

  // MARK: - Tokens

  private static func broken(by token: Token, of line: [UInt8]) -> String? {
    if !token.isQuoted, token.range.isEmpty { return "a bare token is empty" }
    if !token.isQuoted, hasControls(Array(line[token.range])) { return "a bare token has controls" }
    _ = try? DurationText.parseMs(line.span, token)
    _ = try? IntegerText.parse(line.span, token, in: 0...Int64.max)
    _ = IDText.isUUID(line.span, token)
    let idBytesMax = IDText.idBytesMax
    let isID = IDText.isID(line.span, token, bytesMax: idBytesMax)
    if isID, token.range.count > idBytesMax { return "an id is longer than its limit" }
    let fault = IDText.fault(line.span, token, bytesMax: idBytesMax)
    if isID != (fault == nil) { return "an id has a fault, or what is none has not" }
    if let broken = brokenByHalves(token, of: line) { return broken }
    var text: [UInt8] = []
    do { try JSONString.decode(line.span, token, into: &text) } catch {
      return token.isQuoted && text.isEmpty ? nil : "a failed decode left bytes behind"
    }
    var encoded: [UInt8] = []
    JSONString.encode(text.span, into: &encoded)
    if !isText(encoded) { return "an encoded string is not text" }
    var again: [UInt8] = []
    let inside = Token(start: 1, end: encoded.count - 1, isQuoted: true)
    do { try JSONString.decode(encoded.span, inside, into: &again) } catch {
      return "an encoded string does not decode"
    }
    return again == text ? nil : "a string changes when it is encoded and decoded"
  }

  /// A name with halves of surrogate pairs is written in one way, however it was escaped.
  private static func brokenByHalves(_ token: Token, of line: [UInt8]) -> String? {
    guard token.isQuoted else { return nil }
    var name: [UInt8] = []
    do { try JSONString.decode(line.span, token, halves: .kept, into: &name) } catch {
      return "a valid JSON string is no name"
    }
    var encoded: [UInt8] = []
    JSONString.encode(name.span, into: &encoded)
    if !isText(encoded) { return "an encoded name is not text" }
    var again: [UInt8] = []
    let inside = Token(start: 1, end: encoded.count - 1, isQuoted: true)
    do { try JSONString.decode(encoded.span, inside, halves: .kept, into: &again) } catch {
      return "an encoded name does not decode"
    }
    return again == name ? nil : "a name changes when it is encoded and decoded"
  }

  // MARK: - Payload

  private func brokenByPayload(of line: [UInt8]) -> String? {
    guard let payload = parser.payload else { return nil }
    let text = Array(line[payload])
    guard let compact = Self.rejoined(text) else { return "a walk yields what is not JSON" }
    guard let again = Self.rejoined(compact), again == compact else {
      return "a payload changes when its parts are walked again"
    }
    let hasSpace = text.contains(UInt8(ascii: " "))
    return hasSpace || compact == text ? nil : "a walk lost a part of the payload"
  }

  /// Writes the parts of an object or array down again; nil if one of them is not valid.
  private static func rejoined(_ text: [UInt8]) -> [UInt8]? {
    let isObject = text[0] == UInt8(ascii: "{")
    var out: [UInt8] = [text[0]]
    func append(_ range: Range<Int>) -> Bool {
      out.append(contentsOf: text[range])
      let depth = try? JSONValidator.validate(
        text.span, from: range.lowerBound, to: range.upperBound, depthMax: 64)
      return depth != nil
    }
    if isObject {
      var members = JSONMembers(0, text.count)
      while let (key, value) = members.next(in: text.span) {
        if out.count > 1 { out.append(UInt8(ascii: ",")) }
        guard append(key.start - 1..<key.end + 1) else { return nil }
        out.append(UInt8(ascii: ":"))
        guard append(value) else { return nil }
      }
    } else {
      var elements = JSONElements(0, text.count)
      while let value = elements.next(in: text.span) {
        if out.count > 1 { out.append(UInt8(ascii: ",")) }
        guard append(value) else { return nil }
      }
    }
    out.append(UInt8(ascii: isObject ? "}" : "]"))
    return out
  }

  // MARK: - The whole line

  /// Writes the parts of the line down and parses that, with a parser that is new.
  private func brokenByReparsing(_ line: [UInt8]) -> String? {
    var out = Array(line[parser.verb])
    func append(_ token: Token) {
      let around = token.isQuoted ? 1 : 0
      out.append(contentsOf: line[token.start - around..<token.end + around])
    }
    func append(_ option: ParsedOption) {
      out.append(UInt8(ascii: " "))
      out.append(contentsOf: line[option.key])
      out.append(UInt8(ascii: "="))
      append(option.value)
    }
    // Words may stand behind a user.
    let first = parser.wordBehindUser == nil ? 0 : 1
    for option in parser.options.prefix(first) { append(option) }
    for word in parser.words {
      out.append(UInt8(ascii: " "))
      append(word)
    }
    for option in parser.options.dropFirst(first) { append(option) }
    if let payload = parser.payload {
      out.append(UInt8(ascii: " "))
      out.append(contentsOf: line[payload])
    }
    if out != line { return "the parts of a line do not add up to it" }
    var second = RequestParser()
    do { try second.parse(out.span) } catch { return "a line does not parse twice" }
    let same =
      second.verb == parser.verb && second.words == parser.words
      && second.options == parser.options && second.payload == parser.payload
    return same ? nil : "a line parses to other parts the second time"
  }
}
