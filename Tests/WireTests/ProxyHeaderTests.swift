// Owns: the tests of the PROXY protocol's header, whole, cut at each byte, and wrong.

import Testing

@testable import Wire

struct ProxyHeaderTests {
  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

  private static func binary(
    _ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil
  ) -> [UInt8] {
    let length = length ?? rest.count
    return signature + [command, family, UInt8(length >> 8), UInt8(length & 0xFF)] + rest
  }

  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private static let v4 = binary(0x21, 0x11, [10, 1, 2, 3, 127, 0, 0, 1, 0, 80, 20, 162])
  private static let v6 = binary(
    0x21, 0x21,
    [0x20, 1] + [UInt8](repeating: 0, count: 13) + [7]
      + [UInt8](repeating: 0, count: 20))

  private func read(_ bytes: [UInt8]) -> ProxyHeader { ProxyHeader.read(bytes.span) }

  /// Headers, and the address in each.
  static let good: [(header: [UInt8], source: [UInt8])] = [
    (v4, [10, 1, 2, 3]),
    (v6, [0x20, 1] + [UInt8](repeating: 0, count: 13) + [7]),
    // With more behind the addresses, which is skipped.
    (binary(0x21, 0x11, Array(v4.dropFirst(16)) + [3, 0, 1, 9]), [10, 1, 2, 3]),
    (binary(0x20, 0x11, [10, 1, 2, 3, 127, 0, 0, 1, 0, 80, 20, 162]), []),
    (binary(0x20, 0x00, []), []),
    (binary(0x21, 0x00, []), []),
    (bytes("PROXY TCP4 10.1.2.3 127.0.0.1 80 5282\r\n"), [10, 1, 2, 3]),
    (bytes("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"), [255, 255, 255, 255]),
    (
      bytes("PROXY TCP6 2001::7 ::1 80 5282\r\n"),
      [0x20, 1] + [UInt8](repeating: 0, count: 13) + [7]
    ),
    (
      bytes("PROXY TCP6 ::ffff:10.1.2.3 ::1 80 5282\r\n"),
      [UInt8](repeating: 0, count: 10) + [255, 255, 10, 1, 2, 3]
    ),
    (bytes("PROXY UNKNOWN\r\n"), []),
    (bytes("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), []),
  ]

  @Test(arguments: good.indices)
  func `a header is read whole, and with the bytes behind it`(index: Int) {
    let (header, source) = Self.good[index]
    let wanted = ProxyHeader.header(source: source, length: header.count)
    #expect(read(header) == wanted)
    let more = header + Self.bytes("LOCK d a\n")
    #expect(read(more) == wanted)
  }

  @Test(arguments: good.indices)
  func `a header that is cut anywhere is waited for`(index: Int) {
    let header = Self.good[index].header
    for count in 0..<header.count {
      let part = Array(header.prefix(count))
      #expect(read(part) == .needMore, "\(count) bytes")
    }
  }

  static let bad: [[UInt8]] = [
    bytes("PING\n"), bytes("LOCK d a\n"), bytes("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
    bytes("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n"), bytes("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n"),
    bytes("PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n"), bytes("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
    bytes("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), bytes("PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n"),
    bytes("PROXY TCP4 1.2.3.+4 1.2.3.4 1 1\r\n"), bytes("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n"),
    bytes("PROXY TCP6 1::2::3 ::1 1 1\r\n"), bytes("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 1\r\n"),
    bytes("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 1\r\n"), bytes("PROXY TCP6 12345:: ::1 1 1\r\n"),
    bytes("PROXY TCP6 g:: ::1 1 1\r\n"), bytes("PROXY TCP6 1.2.3.4:: ::1 1 1\r\n"),
    bytes("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"), bytes("PROXY \r\n"), bytes("\r\n\r\nPING\r\n"),
    bytes("PROXY TCP4 " + String(repeating: "1", count: 100)),
    bytes("PROXY UNKNOWN " + String(repeating: "x", count: 100) + "\r\n"),
    binary(0x11, 0x11, Array(v4.dropFirst(16))), binary(0x22, 0x11, Array(v4.dropFirst(16))),
    binary(0x21, 0x12, Array(v4.dropFirst(16))), binary(0x21, 0x31, Array(v4.dropFirst(16))),
    binary(0x21, 0x11, [1, 2, 3, 4]), binary(0x21, 0x21, Array(v4.dropFirst(16))),
    binary(0x21, 0x11, [], length: 4_081), binary(0x21, 0x11, [], length: 65_535),
  ]

  @Test(arguments: bad.indices)
  func `an invalid header is rejected`(index: Int) {
    #expect(read(Self.bad[index]) == .invalid)
  }

  @Test func `the longest header is accepted`() {
    let rest = Array(Self.v4.dropFirst(16))
    let longest = Self.binary(0x21, 0x11, rest + [UInt8](repeating: 0, count: 4_080 - rest.count))
    #expect(longest.count == ProxyHeader.bytesMax)
    #expect(
      read(longest) == .header(source: [10, 1, 2, 3], length: 4_096))
  }

  @Test func `any bytes are read without a trap`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      var bytes = Self.good[Int.random(in: 0..<Self.good.count, using: &random)].header
      for _ in 0..<Int.random(in: 0...3, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0 ... .max)
      }
      switch read(bytes) {
      case .needMore, .invalid: break
      case .header(let source, let length):
        #expect([0, 4, 16].contains(source.count) && length <= bytes.count)
      }
    }
  }
}
