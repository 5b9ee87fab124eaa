// Owns: the tests of framing bytes into lines.

import Testing
import Wire

@Suite struct LineFramerTests {
  /// A frame with the text of its line, so that whole and joined lines compare equal.
  enum Framed: Equatable {
    case line(String)
    case tooLong
    case other(OtherProtocol)
  }

  /// Feeds chunks to a framer as a connection would and collects its frames.
  func framed(_ framer: inout LineFramer, _ chunks: [[UInt8]]) -> [Framed] {
    var all: [Framed] = []
    for chunk in chunks {
      var offset = 0
      reading: while true {
        switch framer.next(in: chunk.span, at: &offset) {
        case .line(let range): all.append(.line(Array(chunk[range]).text))
        case .joinedLine: all.append(.line(framer.held.text))
        case .tooLong: all.append(.tooLong)
        case .otherProtocol(let other): all.append(.other(other))
        case .needMore: break reading
        }
      }
      #expect(offset == chunk.count)
      #expect(framer.held.count <= framer.lineBytesMax + 1)
    }
    return all
  }

  func framed(_ text: String, max lineBytesMax: Int) -> [Framed] {
    var framer = LineFramer(lineBytesMax: lineBytesMax)
    return framed(&framer, [text.bytes])
  }

  @Test func `a joined line is given away once, and the framer goes on behind it`() {
    var framer = LineFramer(lineBytesMax: 100)
    var offset = 0
    #expect(framer.next(in: "a long ".bytes.span, at: &offset) == .needMore)
    offset = 0
    let rest = "line\r\nnext\nlast".bytes
    #expect(framer.next(in: rest.span, at: &offset) == .joinedLine)
    #expect(framer.takeJoinedLine().text == "a long line")
    #expect(framer.held.isEmpty && framer.heldBytes == 0 && !framer.holdsPartialLine)
    #expect(framer.next(in: rest.span, at: &offset) == .line(6..<10))
    #expect(framer.next(in: rest.span, at: &offset) == .needMore)
    #expect(framer.held.text == "last")
  }

  @Test(arguments: [1, 2, 7, 100])
  func `lines that begin with the prefix have a limit of their own`(chunk: Int) {
    let text = "import 78901\nIMPORT 789012\nIMPORTS 9\n123456789\nIMPOR\nB\nIMPORT 78\r\nC\n"
    var framer = LineFramer(lineBytesMax: 8, longLinePrefix: "IMPORT ", longLineBytesMax: 12)
    let bytes = text.bytes
    var all: [Framed] = []
    for start in stride(from: 0, to: bytes.count, by: chunk) {
      let piece = Array(bytes[start..<min(start + chunk, bytes.count)])
      var offset = 0
      reading: while true {
        switch framer.next(in: piece.span, at: &offset) {
        case .line(let range): all.append(.line(Array(piece[range]).text))
        case .joinedLine: all.append(.line(framer.held.text))
        case .tooLong: all.append(.tooLong)
        case .otherProtocol(let other): all.append(.other(other))
        case .needMore: break reading
        }
      }
      #expect(framer.held.count <= 13)
    }
    #expect(
      all == [
        .line("import 78901"), .tooLong, .tooLong, .tooLong, .line("IMPOR"), .line("B"),
        .line("IMPORT 78"), .line("C"),
      ])
  }

  static let streams: [(text: String, max: Int, frames: [Framed])] = [
    ("PING\n", 8, [.line("PING")]),
    ("PING\r\n", 8, [.line("PING")]),
    ("PING\nINFO\nQUIT\n", 8, [.line("PING"), .line("INFO"), .line("QUIT")]),
    ("\n\r\n\nPING\n\n\r\n", 8, [.line("PING")]),
    ("PING\r\r\n", 8, [.line("PING\r")]),
    ("\r\r\n", 8, [.line("\r")]),
    ("A\rB\n", 8, [.line("A\rB")]),
    ("\rA\n", 8, [.line("\rA")]),
    ("12345678\n", 8, [.line("12345678")]),
    ("12345678\r\n", 8, [.line("12345678")]),
    ("123456789\n", 8, [.tooLong]),
    ("123456789\r\n", 8, [.tooLong]),
    ("12345678\r\r\n", 8, [.tooLong]),
    ("12345678\r9\nPING\n", 8, [.tooLong, .line("PING")]),
    ("1234567\r\r\nPING\n", 8, [.line("1234567\r"), .line("PING")]),
    ("A\n123456789012345678901234567890\nB\n", 8, [.line("A"), .tooLong, .line("B")]),
    ("123456789\n123456789\n\nB\r\n", 8, [.tooLong, .tooLong, .line("B")]),
    ("x\n\ny\n", 1, [.line("x"), .line("y")]),
    ("x\r\nxy\nz\n", 1, [.line("x"), .tooLong, .line("z")]),
    ("\r\n\r\r\n\r\r\r\nz\n", 1, [.line("\r"), .tooLong, .line("z")]),
    ("a\0b\n", 8, [.line("a\0b")]),
    ("", 8, []),
  ]

  @Test(arguments: streams)
  func `a stream in one chunk gives its lines`(
    _ stream: (text: String, max: Int, frames: [Framed])
  ) {
    #expect(framed(stream.text, max: stream.max) == stream.frames)
  }

  @Test(arguments: streams)
  func `a stream byte by byte gives the same lines`(
    _ stream: (text: String, max: Int, frames: [Framed])
  ) {
    var framer = LineFramer(lineBytesMax: stream.max)
    #expect(framed(&framer, stream.text.bytes.map { [$0] }) == stream.frames)
    #expect(framer.held.capacity == 0 && !framer.holdsPartialLine)
  }

  @Test(arguments: streams)
  func `a stream split at each pair of places gives the same lines`(
    _ stream: (text: String, max: Int, frames: [Framed])
  ) {
    let bytes = stream.text.bytes
    for first in 0...bytes.count {
      for second in first...bytes.count {
        var framer = LineFramer(lineBytesMax: stream.max)
        let chunks = [bytes[..<first], bytes[first..<second], bytes[second...]].map { Array($0) }
        #expect(framed(&framer, chunks) == stream.frames, "split at \(first) and \(second)")
      }
    }
  }

  @Test func `a line of exactly the limit is accepted and one byte more is not`() {
    for max in [1, 7, 8, 9, 100, 4096] {
      let full = String(repeating: "x", count: max)
      #expect(framed(full + "\n", max: max) == [.line(full)])
      #expect(framed(full + "\r\n", max: max) == [.line(full)])
      #expect(framed(full + "x\n", max: max) == [.tooLong])
      #expect(framed(full + "x\r\n", max: max) == [.tooLong])
    }
  }

  @Test func `a newline is found at every place of a long line`() {
    for length in 1...70 {
      let line = String(repeating: "\u{B}", count: length)
      let wanted: [Framed] = [.line(line), .line("y")]
      #expect(framed(line + "\ny\n", max: 100) == wanted, "length \(length)")
    }
  }

  @Test func `an overlong line is reported as soon as the limit is passed and only once`() {
    var framer = LineFramer(lineBytesMax: 4)
    #expect(framed(&framer, ["1234".bytes]) == [])
    #expect(framed(&framer, ["5".bytes]) == [.tooLong])
    #expect(framer.held.capacity == 0)
    #expect(framer.holdsPartialLine)
    #expect(framed(&framer, ["6789".bytes, "012345678901234567".bytes]) == [])
    #expect(framed(&framer, ["\nPING\n".bytes]) == [.line("PING")])
    #expect(!framer.holdsPartialLine)
  }

  @Test func `a full line and a carriage return wait for the newline`() {
    var framer = LineFramer(lineBytesMax: 4)
    #expect(framed(&framer, ["1234\r".bytes]) == [])
    #expect(framer.held.count == 5)
    #expect(framed(&framer, ["\n".bytes]) == [.line("1234")])
  }

  @Test func `the limit may change between lines and within one`() {
    var framer = LineFramer(lineBytesMax: 4)
    #expect(framed(&framer, ["12345\n".bytes]) == [.tooLong])
    framer.lineBytesMax = 5
    #expect(framed(&framer, ["12345\n".bytes, "12345".bytes]) == [.line("12345")])
    framer.lineBytesMax = 6
    #expect(framed(&framer, ["6\n".bytes, "123456".bytes]) == [.line("123456")])
    framer.lineBytesMax = 3
    #expect(framed(&framer, ["\n".bytes, "x\n".bytes]) == [.tooLong, .line("x")])
  }

  @Test func `the held bytes are freed by the call after a joined line`() {
    var framer = LineFramer(lineBytesMax: 100)
    #expect(framed(&framer, ["PI".bytes]) == [])
    #expect(framer.holdsPartialLine)
    let rest = "NG\n".bytes
    var offset = 0
    let joined = framer.next(in: rest.span, at: &offset)
    #expect(joined == .joinedLine)
    #expect(framer.held == "PING".bytes)
    #expect(!framer.holdsPartialLine)
    let last = framer.next(in: rest.span, at: &offset)
    #expect(last == .needMore)
    #expect(framer.held.capacity == 0)
  }

  @Test func `a line that is dropped leaves nothing, and the next one is read`() {
    var framer = LineFramer(lineBytesMax: 8)
    framer.discardLine()
    #expect(framed(&framer, ["A\nPI".bytes]) == [.line("A")])
    #expect(framer.heldBytes >= 2)
    framer.discardLine()
    #expect(framer.heldBytes == 0 && framer.holdsPartialLine)
    framer.discardLine()
    #expect(framed(&framer, ["NG".bytes, String(repeating: "x", count: 20).bytes]) == [])
    #expect(framer.heldBytes == 0)
    #expect(framed(&framer, ["x\nB\nP".bytes, "ING".bytes]) == [.line("B")])
    let rest = "\nC\n".bytes
    var offset = 0
    let joined = framer.next(in: rest.span, at: &offset)
    #expect(joined == .joinedLine)
    framer.discardLine()
    #expect(framer.heldBytes == 0 && !framer.holdsPartialLine)
    let next = framer.next(in: rest.span, at: &offset)
    #expect(next == .line(1..<2))
  }

  @Test func `the storage of a long held line does not double past the limit`() {
    let lineBytesMax = 100_000
    var framer = LineFramer(lineBytesMax: lineBytesMax)
    for _ in 0..<100 { _ = framed(&framer, [Array(repeating: 0x78, count: 1000)]) }
    #expect(framer.held.count == lineBytesMax)
    #expect(framer.held.capacity < lineBytesMax + lineBytesMax / 4)
    #expect(framed(&framer, ["\n".bytes]).count == 1)
  }
}
