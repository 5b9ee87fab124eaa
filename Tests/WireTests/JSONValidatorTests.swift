// Owns: the tests of the JSON validator.

import Testing
import Wire

@Suite struct JSONValidatorTests {
  /// The fault of a whole text; nil if it is JSON.
  func fault(_ text: String, depthMax: Int = 64) -> JSONFault? {
    let bytes = text.bytes
    do {
      try JSONValidator.validate(bytes.span, from: 0, to: bytes.count, depthMax: depthMax)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: JSONCases.all)
  func `a text is accepted exactly if the grammar allows it`(_ item: JSONCase) {
    #expect((fault(item.text) == nil) == item.isValid)
  }

  @Test(arguments: JSONCases.all)
  func `a text within others is judged by its own bytes alone`(_ item: JSONCase) {
    for around in ["x", "\"", "]", "1", ",", "\\", " "] {
      let bytes = around.bytes + item.text.bytes + around.bytes
      let depth = try? JSONValidator.validate(
        bytes.span, from: 1, to: bytes.count - 1, depthMax: 64)
      #expect((depth != nil) == item.isValid)
    }
  }

  @Test(arguments: JSONCases.all)
  func `a text nested in an array is judged as it is alone`(_ item: JSONCase) {
    // Nothing at all is right between brackets, so these are no longer broken there.
    let becomesValid = ["n_empty", "n_only_space"]
    guard !becomesValid.contains(item.name) else { return }
    #expect((fault("[\(item.text)]") == nil) == item.isValid)
  }

  @Test func `each text that is cut short is refused`() {
    let text = #"{"a":[1.5e+3,"b\u00e9\n",true,null,{"c":{}}],"d":-0}"#
    #expect(fault(text) == nil)
    for count in 0..<text.utf8.count {
      let cut = String(decoding: text.bytes.prefix(count), as: UTF8.self)
      guard case .syntax(let at, _) = fault(cut) else {
        Issue.record("accepted \(cut)")
        continue
      }
      #expect(at <= count)
    }
  }

  @Test func `a nesting of sixty-four is accepted and sixty-five is too deep`() {
    let shapes = [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")]
    for (open, close) in shapes {
      let step = open.hasPrefix("[{") ? 2 : 1
      let full = 64 / step
      func nested(_ times: Int, _ inside: String) -> String {
        String(repeating: open, count: times) + inside + String(repeating: close, count: times)
      }
      #expect(fault(nested(full, "1")) == nil)
      #expect(fault(nested(full, "[]")) == .tooDeep(at: full * open.utf8.count))
      #expect(fault(nested(full, "{}")) == .tooDeep(at: full * open.utf8.count))
    }
  }

  @Test func `siblings do not add to the depth`() {
    let wide = "[" + Array(repeating: "[[]],{\"a\":{}}", count: 500).joined(separator: ",") + "]"
    #expect(fault(wide, depthMax: 3) == nil)
    #expect(fault(wide, depthMax: 2) != nil)
  }

  @Test func `the depth that was reached is returned`() throws {
    let depths = [("1", 0), ("[]", 1), ("{}", 1), ("[[],[[]]]", 3), ("{\"a\":[{}],\"b\":[]}", 3)]
    for (text, depth) in depths {
      let found = try JSONValidator.validate(
        text.bytes.span, from: 0, to: text.utf8.count, depthMax: 64)
      #expect(found == depth)
    }
  }

  @Test func `a hundred thousand brackets are refused at the sixty-fifth`() {
    #expect(fault(String(repeating: "[", count: 100_000)) == .tooDeep(at: 64))
    #expect(fault(String(repeating: "[", count: 100_000), depthMax: 128) == .tooDeep(at: 128))
  }

  @Test func `numbers of four hundred digits are accepted`() {
    let digits = String(repeating: "7", count: 400)
    let zeros = String(repeating: "0", count: 400)
    for number in [
      digits, "-\(digits)", "0.\(zeros)", "1e\(digits)", "\(digits).\(digits)E-\(zeros)",
    ] {
      #expect(fault(number) == nil)
      #expect(fault("[\(number)]") == nil)
      #expect(fault("0\(number)") != nil)
    }
  }

  @Test func `a control character is found at every place of a string`() {
    for control in UInt8(0)..<0x20 {
      for before in 0...17 {
        let text = "\"" + String(repeating: "x", count: before)
        let broken = text + String(Unicode.Scalar(control)) + "yyyyyyyyy\""
        #expect(fault(broken) == .syntax(at: before + 1, expected: .noControl))
      }
    }
  }

  @Test func `a fault has its place and the expected text`() {
    #expect(fault("") == .syntax(at: 0, expected: .value))
    #expect(fault("[") == .syntax(at: 1, expected: .valueOrEnd))
    #expect(fault("[1") == .syntax(at: 2, expected: .commaOrBracket))
    #expect(fault("[1,]") == .syntax(at: 3, expected: .value))
    #expect(fault("{") == .syntax(at: 1, expected: .keyOrEnd))
    #expect(fault("{\"a\"") == .syntax(at: 4, expected: .colon))
    #expect(fault("{\"a\":1") == .syntax(at: 6, expected: .commaOrBrace))
    #expect(fault("{\"a\":1,}") == .syntax(at: 7, expected: .key))
    #expect(fault("1 2") == .syntax(at: 2, expected: .endOfText))
    #expect(fault("01") == .syntax(at: 1, expected: .endOfText))
    #expect(fault("1.") == .syntax(at: 2, expected: .digit))
    #expect(fault("\"a") == .syntax(at: 2, expected: .stringEnd))
    #expect(fault("\"\\q\"") == .syntax(at: 2, expected: .escape))
    #expect(fault("\"\\u00x0\"") == .syntax(at: 5, expected: .hexDigit))
    #expect(fault("\"\n\"") == .syntax(at: 1, expected: .noControl))
  }
}
