// Owns: the tests of ids, durations and whole numbers.

import Testing
import Wire

@Suite struct ValueTextTests {
  func durationMs(_ text: String) throws(RequestError) -> Int64 {
    try DurationText.parseMs(text.bytes.span, whole(text.bytes))
  }

  func number(_ text: String, in range: ClosedRange<Int64>) throws(RequestError) -> Int64 {
    try IntegerText.parse(text.bytes.span, whole(text.bytes), in: range)
  }

  func isID(_ text: String, max bytesMax: Int = IDText.idBytesMax) -> Bool {
    IDText.isID(text.bytes.span, whole(text.bytes), bytesMax: bytesMax)
  }

  // MARK: - Quotas

  @Test func `a quota's text is read as it was written`() {
    let quota = QuotaText(50, of: 60, "live sessions on this device")
    #expect(quota.text == "quota exceeded: 50 of 60 live sessions on this device")
    #expect(QuotaText(quota.text) == quota)
    #expect(RequestError.quota(2, of: 1, "hooks").text == "quota exceeded: 2 of 1 hooks")
    for other in [
      "", "quota exceeded: all 9 numbers of chats are used", "quota exceeded: 1 of x hooks",
      "quota exceeded: 1 of 2", "1 of 2 hooks",
    ] { #expect(QuotaText(other) == nil, "\(other)") }
  }

  // MARK: - Durations

  static let durations: [(text: String, ms: Int64)] = [
    ("30", 30_000), ("1", 1000), ("30s", 30_000), ("10ms", 10), ("250ms", 250), ("5m", 300_000),
    ("24h", 86_400_000), ("7d", 604_800_000), ("3650d", 315_360_000_000),
    ("315360000000ms", 315_360_000_000), ("315360000", 315_360_000_000),
    ("0", 0), ("0ms", 0), ("0s", 0), ("0m", 0), ("0h", 0), ("0d", 0), ("000", 0), ("007s", 7000),
    ("0000000000000000001", 1000),
  ]

  @Test(arguments: durations)
  func `a duration is read in milliseconds`(_ item: (text: String, ms: Int64)) throws {
    #expect(try durationMs(item.text) == item.ms)
  }

  @Test(arguments: [
    "", "-1", "+1", "1e9", "1.5s", "5 m", "5m ", " 5m", "١", "5M", "5MS", "5S", "5H", "5D", "5w",
    "5y",
    "ms", "s", "5mss", "5sm", "5m5", "5ms5", "1h30m", "0x10", "five", "5μs", "m5", "5.", "1_000",
  ])
  func `an invalid duration is rejected with the form of one`(_ text: String) {
    let echo = "'\(text)' is not a duration: digits and ms, s, m, h or d"
    #expect(throws: RequestError(.badRequest, echo)) { try durationMs(text) }
  }

  @Test(arguments: [
    "1ms", "9ms", "3651d", "315360000001ms", "315360001", "87601h", "9999999999999999999",
    "9999999999999999999d", "99999999999999999999", "00000000000000000001",
    "18446744073709551616ms",
    "9223372036854775807d", "9223372036854775808",
  ])
  func `a duration out of range is refused with the range`(_ text: String) {
    let echo = "duration '\(text)' is not from 10ms to 3650d"
    #expect(throws: RequestError(.badRequest, echo)) { try durationMs(text) }
  }

  // MARK: - Numbers

  @Test func `a number is read if its digits and value are allowed`() throws {
    #expect(try number("0", in: 0...9) == 0)
    #expect(try number("9", in: 0...9) == 9)
    #expect(try number("0000000000000000009", in: 0...9) == 9)
    #expect(try number("9223372036854775807", in: 0...Int64.max) == Int64.max)
    #expect(try number("9007199254740991", in: 1...(1 << 53 - 1)) == 1 << 53 - 1)
  }

  @Test(arguments: [
    "", "-1", "+1", " 1", "1 ", "1e3", "1.0", "0x1", "a", "١", "00000000000000000001",
  ])
  func `an invalid number is rejected`(_ text: String) {
    let echo = "'\(text)' is not a number of 1 to 19 digits"
    #expect(throws: RequestError(.badRequest, echo)) { try number(text, in: 0...Int64.max) }
  }

  @Test func `a number out of range is refused with the range`() {
    for text in ["0", "11", "9223372036854775808", "9999999999999999999"] {
      let echo = "'\(text)' is not from 1 to 10"
      #expect(throws: RequestError(.badRequest, echo)) { try number(text, in: 1...10) }
    }
    let echo = "'9223372036854775808' is not from 0 to 9223372036854775807"
    #expect(throws: RequestError(.badRequest, echo)) {
      try number("9223372036854775808", in: 0...Int64.max)
    }
  }

  // MARK: - Names

  @Test func `each byte is allowed in an id exactly if the protocol lists it`() {
    let allowed = Set(
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-%~!*'()".utf8)
    #expect(allowed.count == 75)
    for byte in UInt8.min...UInt8.max {
      let bytes = [0x61, byte, 0x62]
      let isID = IDText.isID(bytes.span, whole(bytes), bytesMax: 128)
      #expect(isID == allowed.contains(byte), "byte \(byte)")
      #expect(IDText.isIDByte(byte) == isID, "byte \(byte)")
    }
  }

  @Test func `an id is as long as its limit at most and never empty`() {
    #expect(!isID(""))
    #expect(isID("a"))
    #expect(isID(String(repeating: "a", count: IDText.idBytesMax)))
    #expect(!isID(String(repeating: "a", count: IDText.idBytesMax + 1)))
    #expect(isID(String(repeating: "a", count: 128), max: IDText.agentBytesMax))
    #expect(!isID(String(repeating: "a", count: 129), max: IDText.agentBytesMax))
    #expect(IDText.idBytesMax == 512 && IDText.agentBytesMax == 128)
    for text in ["", "a", "a/b", "é", "*", "**", String(repeating: "a", count: 512)] {
      #expect(IDText.isID(text) == isID(text), "\(text)")
      #expect(!IDText.isID(text + String(repeating: "a", count: 513)))
    }
    #expect(!isID("*"))
    for text in ["**", "*a", "a*", "(", "'", "!", "(a)", "%2A"] { #expect(isID(text), "\(text)") }
    #expect(isID("Gr%C3%B6%C3%9Fe"))
    #expect(!isID("a/b"))
  }

  @Test func `an invalid id is rejected with the reason and the remedy`() {
    let none = "is none of A-Z a-z 0-9 . _ : @ + - % ~ ! * ' ( ): percent-encode it"
    for (text, fault) in [
      ("", "it is empty, and an id has 1 to 512 bytes"), ("*", "* alone stands for all"),
      (String(repeating: "é", count: 257), "it has 514 bytes, and 512 are allowed: shorten it"),
      ("a/b", "'/' \(none)"), ("a b", "U+0020 \(none)"), ("aé", "U+00E9 \(none)"),
      ("a\\", "'\\' \(none)"), ("\u{FEFF}a", "U+FEFF \(none)"), ("😀", "U+1F600 \(none)"),
      ("a\u{85}", "U+0085 \(none)"),
    ] {
      #expect(IDText.fault(text) == fault)
    }
    #expect(IDText.fault("a") == nil)
    let long = String(repeating: "g", count: 129)
    #expect(
      IDText.fault(long, bytesMax: IDText.agentBytesMax)
        == "it has 129 bytes, and 128 are allowed: shorten it")
  }

  @Test func `a UUID has its digits and dashes where they belong`() {
    func isUUID(_ text: String) -> Bool {
      #expect(IDText.isUUID(text) == IDText.isUUID(text.bytes.span, whole(text.bytes)))
      return IDText.isUUID(text)
    }
    let uuid = "123e4567-e89b-12d3-A456-42661417400F"
    #expect(isUUID(uuid))
    for index in uuid.indices {
      for wrong in ["g", "-", "1", "/", ":"] where !(uuid[index] != "-" && wrong == "1") {
        if wrong == "-", uuid[index] == "-" { continue }
        let broken = uuid[..<index] + wrong + uuid[uuid.index(after: index)...]
        #expect(!isUUID(String(broken)), "\(broken)")
      }
    }
    #expect(!isUUID(String(uuid.dropLast())))
    #expect(!isUUID(uuid + "0"))
    #expect(!isUUID("{\(uuid)}"))
    #expect(!isUUID(""))
  }
}
