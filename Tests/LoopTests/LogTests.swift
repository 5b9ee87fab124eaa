// Owns: the tests of the format of log lines.

import Glibc
import Testing

@testable import Loop

struct LogTests {
  @Test(
    arguments: [
      ("plain", "plain"), ("", "\"\""), ("two words", "\"two words\""),
      ("a=b", "\"a=b\""), ("say \"x\"", #""say \"x\"""#), (#"back\slash"#, #"back\slash"#),
      (#"back\slash and space"#, #""back\\slash and space""#), ("a\nb", #""a\nb""#),
      ("a\tb\r\u{0}\u{1B}[31m", "\"a b   [31m\""), ("größe", "\"größe\""), ("日本", "\"日本\""),
      ("redis://h:1/2", "redis://h:1/2"), ("127.0.0.1:5282", "127.0.0.1:5282"),
      ("{\"a\":1}", #""{\"a\":1}""#), ("'", "'"), ("\u{7F}\u{9B}x", "\"  x\""),
    ] as [(String, String)])
  func `a value is bare where that is clear, else quoted`(text: String, quoted: String) {
    #expect(Log.quoted(text) == quoted)
  }

  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"),
      (999, "1970-01-01T00:00:00.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (1_795_229_092_123, "2026-11-21T02:44:52.123Z"),
      (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
      (4_102_444_800_050, "2100-01-01T00:00:00.050Z"),
    ] as [(Int64, String)])
  func `a time is written in UTC with milliseconds`(ms: Int64, text: String) {
    #expect(WallTime.text(ms: ms) == text)
  }

  @Test func `the wall clock is shown as HTTP has it`() {
    #expect(WallTime.httpText(ms: 784_111_777_000) == "Sun, 06 Nov 1994 08:49:37 GMT")
  }

  @Test func `the wall clock goes with the system's`() {
    let before = WallTime.nowMs()
    let text = WallTime.text(ms: WallTime.nowMs())
    #expect(before > 1_700_000_000_000)
    #expect(text.utf8.count == 24 && text.hasSuffix("Z"))
  }

  @Test func `a line goes to standard error if its level is high enough`() async throws {
    let result = try await #require(
      processExitsWith: .success, observing: [\.standardErrorContent]
    ) {
      let log = Log(level: .warn)
      log.debug("not this")
      log.info("nor this")
      log.warn("this one", ["reason": "two words", "empty": "", "n": "1"])
      log.error("oops", ["text": "a\u{1B}[0m\u{9B}31m\u{7F}b\tc"])
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("time=") }
    try #require(lines.count == 2, "\(text)")
    let stamp = /time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)/
    let rests = lines.map { $0.wholeMatch(of: stamp)?.1 }
    #expect(rests[0] == #"level=warn msg="this one" reason="two words" empty="" n=1"#)
    #expect(rests[1] == "level=error msg=oops text=\"a [0m 31m b c\"")
  }

  @Test func `a stalled reader holds nothing up, and learns what it has missed`() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    try #require(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
    try #require(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
    let page = [UInt8](repeating: UInt8(ascii: "x"), count: 4_096)
    while write(ends[1], page, page.count) > 0 {}
    // From here on a write to it would wait.
    try #require(fcntl(ends[1], F_SETFL, 0) == 0)
    let output = LogOutput(ends[1])
    func line(_ number: Int) -> String { "\(number) " + String(repeating: "-", count: 97) + "\n" }
    let most = LogOutput.bytesMax / line(1_000).utf8.count
    for number in 0..<most + 5 { output.write(line(1_000 + number)) { "\($0) dropped\n" } }
    #expect(output.dropped == 5)
    func text() -> String {
      var read = [UInt8](repeating: 0, count: 1 << 20)
      let count = Glibc.read(ends[0], &read, read.count)
      return String(decoding: read.prefix(max(0, count)), as: UTF8.self)
    }
    _ = text()
    output.flush { "\($0) dropped\n" }
    output.write("next\n") { "\($0) dropped\n" }
    let kept = (0..<most).map { line(1_000 + $0) }.joined()
    #expect(text() == kept)
    output.flush { "\($0) dropped\n" }
    #expect(text() == "5 dropped\nnext\n")
    #expect(output.dropped == 5)
  }

  @Test func `a line of JSON has the same fields, each a string`() throws {
    let text = Log.json([
      LogField(name: "msg", value: "a \"b\" \\ c\nd"), LogField(name: "n", value: "1"),
      LogField(name: "text", value: "\u{1B}[0m\u{9B}é\u{7F}"),
    ])
    #expect(text == #"{"msg":"a \"b\" \\ c\nd","n":"1","text":" [0m é "}"#)
  }

  @Test func `repeated lines are one line and a count, shared by a log's copies`() async throws {
    let result = try await #require(
      processExitsWith: .success, observing: [\.standardErrorContent]
    ) {
      let log = Log(level: .warn)
      let copy = log
      for number in 0..<100 {
        let isWritten = copy.repeated(.warn, "it fails", cause: "A", ["error": "a \(number)"])
        guard isWritten == (number == 0) else { return }
        copy.repeated(.info, "not this")
      }
      log.repeated(.error, "it fails", cause: "B", count: 3)
      log.writeRepeats()
      log.writeLastRepeats()
      log.error("suppressed", ["n": "\(log.suppressedLines)"])
    }
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("time=") }
    let rests = lines.map { $0.split(separator: " ", maxSplits: 1)[1] }
    #expect(
      rests == [
        #"level=warn msg="it fails" error="a 0" count=1"#,
        #"level=error msg="it fails" count=3"#,
        #"level=warn msg="it fails" error="a 99" count=99 seconds=0"#,
        "level=error msg=suppressed n=99",
      ])
  }
}
