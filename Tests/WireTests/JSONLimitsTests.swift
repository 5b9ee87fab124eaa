// Owns: the tests of the limits of a payload: they hold at the most, and the first part one too
// many ends the reading, whatever comes behind it.

import Testing
import Wire

@Suite struct JSONLimitsTests {
  private static let tooMany = RequestError(.quota, "too many members")
  private static let tooLong = RequestError(.tooLarge, "too many elements")
  private static let inPart = RequestError(.tooLarge, "too many in the part")

  private static let limits = JSONLimits(
    members: JSONLimit(3, tooMany), elements: JSONLimit(2, tooLong),
    parts: [("say", JSONLimit(2, inPart)), ("set", JSONLimit(1, inPart))])

  private func fault(_ text: String, _ limits: JSONLimits = limits) -> JSONFault? {
    let bytes = "x \(text)".bytes
    do {
      try JSONValidator.validate(bytes.span, from: 2, to: bytes.count, limits)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [
    "{}", "[]", "[[1,2,3,4],[5,6,7]]", #"{"a":1,"b":2,"c":3}"#, #"{ "a" : {} , "a":[] }"#,
    #"{"say":[1,2],"set":{"a":[1,2,3,4,5]}}"#, #"{"say":{"a":1,"b":2}}"#,
    #"{"other":[1,2,3,4,5],"deep":{"say":[1,2,3,4]}}"#, #"[{"say":[1,2,3,4]}]"#,
    #"{"\u0073ay":[1,2,3,4]}"#, #"{"say":"[1,2,3,4]","says":[1,2,3],"sa":[1,2,3]}"#,
  ])
  func `a value within its limits is valid`(text: String) {
    #expect(fault(text) == nil)
  }

  /// Each ends in the middle: all that stands before the end was read.
  @Test(arguments: [
    (#"{"a":1,"b":2,"c":3,"#, #""d":"#, tooMany), ("[1,{},", "3", tooLong),
    ("[ [9,9,9] , [] , ", "[", tooLong),
    (#"{"say":[1,[1,2,3],"#, "3", inPart), (#"{"x":0,"set":{"a":1,"#, #""b":"#, inPart),
    (#"{"say":[1],"say":[1,2,"#, "3", inPart), (#"{"set":[{},"#, "{", inPart),
  ])
  func `the first part that is one too many ends the reading`(
    item: (before: String, next: String, error: RequestError)
  ) {
    guard case .syntax = fault(item.before) else {
      Issue.record("refused before it was over the limit: \(item.before)")
      return
    }
    for behind in ["", " no JSON at all", "\u{1}", "]]]}"] {
      #expect(fault(item.before + item.next + behind) == .overLimit(item.error))
    }
  }

  @Test func `a value that is too long is read so far and no further`() {
    let limits = JSONLimits(bytes: JSONLimit(8, Self.tooLong))
    #expect(fault(#"[1,2,34]"#, limits) == nil)
    for text in [#"[1,2,345]"#, "[1,2,34] ", "[1,2,3,4, no JSON", #"{"abcdefg":1}"#] {
      #expect(fault(text, limits) == .overLimit(Self.tooLong), "\(text)")
    }
    for text in ["[1,2,34", "no JSON, and long", "[1,2,,3,4,5,6,7]"] {
      guard case .syntax = fault(text, limits) else {
        Issue.record("a fault before the limit is not the one that is given: \(text)")
        continue
      }
    }
  }

  @Test func `a limit's depth holds as well`() {
    let limits = JSONLimits(depthMax: 2, members: JSONLimit(1, Self.tooMany))
    #expect(fault(#"{"a":[1]}"#, limits) == nil)
    #expect(fault(#"{"a":[[]]}"#, limits) == .tooDeep(at: 8))
  }

  @Test func `a parser asks for the limits of each line, and gives the limit's error`() throws {
    var asked: [String] = []
    var parser = RequestParser(wordsMax: 8) { line, verb, words in
      let text = line.extracting(verb).withUnsafeBufferPointer {
        String(decoding: $0, as: UTF8.self)
      }
      asked.append("\(text) \(words.count)")
      return CaseInsensitive.equal(line, verb, "FEW") ? Self.limits : .usual
    }
    try parser.parse("MANY a b [1,2,3]".bytes.span)
    #expect(throws: Self.tooLong) { try parser.parse("few a [1,2,3".bytes.span) }
    try parser.parse("FEW [1,2]".bytes.span)
    try parser.parse("PING".bytes.span)
    #expect(asked == ["MANY 2", "few 1", "FEW 0"])
  }
}
