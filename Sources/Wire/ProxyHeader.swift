// Owns: the header of the PROXY protocol, versions 1 and 2, in which a load balancer names the peer
// of a connection. Pure functions over bytes; any thread.

/// The beginning of a connection that comes through a proxy.
package enum ProxyHeader: Equatable, Sendable {
  /// More bytes have to come before it can be read.
  case needMore
  /// This is no header.
  case invalid
  /// A header of so many bytes: the caller's address, of 4 or 16 bytes; empty where the proxy
  /// speaks for itself, as in a health check, or does not know.
  case header(source: [UInt8], length: Int)

  /// Longer headers, with a lot of fields that are not read here, are refused.
  package static let bytesMax = 4_096
  /// CR and LF included.
  private static let textBytesMax = 107

  private static let signature: [UInt8] = [
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
  ]

  /// Reads the bytes up to now.
  package static func read(_ bytes: Span<UInt8>) -> ProxyHeader {
    guard bytes.count > 0 else { return .needMore }
    if bytes[0] == signature[0] { return readBinary(bytes) }
    return readText(bytes)
  }

  // MARK: Version 2

  private static func readBinary(_ bytes: Span<UInt8>) -> ProxyHeader {
    for at in 0..<min(bytes.count, signature.count) where bytes[at] != signature[at] {
      return .invalid
    }
    guard bytes.count >= 16 else { return .needMore }
    let length = 16 + Int(bytes[14]) << 8 + Int(bytes[15])
    let (version, command) = (bytes[12] >> 4, bytes[12] & 0x0F)
    guard version == 2, command <= 1, length <= bytesMax else { return .invalid }
    guard bytes.count >= length else { return .needMore }
    // The address families of the protocol: 1 is IPv4, 2 is IPv6, over TCP.
    let size: Int
    switch (command, bytes[13]) {
    case (0, _), (1, 0x00): return .header(source: [], length: length)
    case (1, 0x11): size = 4
    case (1, 0x21): size = 16
    default: return .invalid
    }
    // Two addresses and two ports.
    guard length >= 16 + 2 * size + 4 else { return .invalid }
    return .header(source: (16..<16 + size).map { bytes[$0] }, length: length)
  }

  // MARK: Version 1

  private static func readText(_ bytes: Span<UInt8>) -> ProxyHeader {
    let start = Array("PROXY ".utf8)
    for at in 0..<min(bytes.count, start.count) where bytes[at] != start[at] { return .invalid }
    guard let end = ByteSearch.newline(in: bytes, from: 0) else {
      return bytes.count < textBytesMax ? .needMore : .invalid
    }
    guard end < textBytesMax, bytes[end - 1] == ASCII.carriageReturn else { return .invalid }
    let line = String(
      decoding: (0..<end - 1).map { bytes[$0] < 0x80 ? bytes[$0] : 0 }, as: UTF8.self)
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    if words.count >= 2, words[1] == "UNKNOWN" { return .header(source: [], length: end + 1) }
    guard words.count == 6, isPort(words[4]), isPort(words[5]) else { return .invalid }
    let source: [UInt8]?
    switch words[1] {
    case "TCP4": source = IPText.v4(words[2])
    case "TCP6": source = IPText.v6(words[2])
    default: source = nil
    }
    guard let source else { return .invalid }
    return .header(source: source, length: end + 1)
  }

  private static func isPort(_ text: Substring) -> Bool {
    (1...5).contains(text.utf8.count) && UInt16(text) != nil && !text.hasPrefix("+")
  }
}

/// Addresses as text, read strictly.
enum IPText {
  /// Four numbers with points between them.
  static func v4(_ text: Substring) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part -> UInt8? in
      let isNumber = (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { 48...57 ~= $0 }
      return isNumber ? UInt8(part) : nil
    }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  /// Eight groups of hex digits, of which `::` leaves some out; the last two may be as in IPv4.
  static func v6(_ text: Substring) -> [UInt8]? {
    guard text.utf8.count <= 45 else { return nil }
    guard let gap = text.firstRange(of: "::") else {
      return groups(text, mayEndAsIPv4: true).flatMap { $0.count == 16 ? $0 : nil }
    }
    guard let head = groups(text[..<gap.lowerBound], mayEndAsIPv4: false),
      let tail = groups(text[gap.upperBound...], mayEndAsIPv4: true),
      head.count + tail.count <= 14
    else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring, mayEndAsIPv4: Bool) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    var bytes: [UInt8] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if part.contains(".") {
        guard mayEndAsIPv4, index == parts.count - 1, let last = v4(part) else { return nil }
        bytes += last
      } else {
        guard (1...4).contains(part.utf8.count), !part.hasPrefix("+"), !part.hasPrefix("-"),
          let group = UInt16(part, radix: 16)
        else { return nil }
        bytes += [UInt8(group >> 8), UInt8(group & 0xFF)]
      }
    }
    return bytes
  }
}
