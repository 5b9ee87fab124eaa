// Owns: which addresses of the network a webhook may reach. Pure values; any thread.
//
// An address is judged when a connection to it is made, whatever name has led to it: a name that
// was public when the hook was set may be private a moment later.

internal import Glibc
internal import Loop

/// The kinds of addresses.
package enum AddressClass: Equatable, Sendable {
  case `public`
  /// Of a private network, or of one that only its operator's machines reach.
  case `private`
  /// Of the worker's own machine.
  case loopback
  /// None to which anything may be sent; which range it is of.
  case reserved(String)

  /// Takes four bytes of IPv4 or sixteen of IPv6, in the order of the network.
  package init(_ bytes: [UInt8]) {
    switch bytes.count {
    case 4: self = AddressClass.of(bytes[0], bytes[1], bytes[2], bytes[3])
    case 16: self = AddressClass.of(v6: bytes)
    default: self = .reserved("unknown")
    }
  }

  private static func of(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> AddressClass {
    switch (a, b, c, d) {
    case (0, _, _, _): .reserved("this host's")
    case (100, 100, 100, 200), (168, 63, 129, 16): .reserved("a cloud's metadata")
    case (10, _, _, _), (172, 16...31, _, _), (192, 168, _, _): .private
    case (100, 64...127, _, _), (198, 18...19, _, _): .private
    case (127, _, _, _): .loopback
    case (169, 254, _, _): .reserved("a link-local")
    case (192, 0, 0, _): .reserved("a protocol's")
    case (192, 0, 2, _), (198, 51, 100, _), (203, 0, 113, _): .reserved("a documentation")
    case (192, 88, 99, _): .reserved("a relay's")
    case (224...239, _, _, _): .reserved("a multicast")
    case (240...255, _, _, _): .reserved("an unassigned")
    default: .public
    }
  }

  private static func of(v6 bytes: [UInt8]) -> AddressClass {
    let inner = AddressClass(Array(bytes[12...]))
    let begin = (UInt16(bytes[0]) << 8 | UInt16(bytes[1]), UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    if bytes[..<10].allSatisfy({ $0 == 0 }) {
      if bytes[10] == 0xFF, bytes[11] == 0xFF { return inner }
      return bytes[10..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
        ? .loopback : .reserved("an unassigned")
    }
    switch begin {
    // A translator's: what it leads to counts; in a network of its own any address may be within.
    case (0x64, 0xFF9B) where bytes[4..<12].allSatisfy { $0 == 0 }: return translated(inner)
    case (0x64, 0xFF9B): return .private
    case (0x2002, _): return translated(AddressClass(Array(bytes[2..<6])))
    case (0x2001, 0): return .reserved("a tunnel's")
    case (0x2001, 0xDB8), (0x3FFF, 0...0xFFF): return .reserved("a documentation")
    case (0xFD00, 0xEC2) where bytes[4..<14].allSatisfy { $0 == 0 }:
      return .reserved("a cloud's metadata")
    case (0xFC00...0xFDFF, _), (0xFEC0...0xFEFF, _): return .private
    case (0xFE80...0xFEBF, _): return .reserved("a link-local")
    case (0xFF00...0xFFFF, _): return .reserved("a multicast")
    case (0x2000...0x3FFF, _): return .public
    default: return .reserved("an unassigned")
    }
  }

  /// Nothing that is translated comes back to this machine.
  private static func translated(_ inner: AddressClass) -> AddressClass {
    inner == .loopback ? .reserved("this host's") : inner
  }
}

/// Which classes of addresses webhooks may reach beside public ones.
package struct AddressPolicy: Equatable, Sendable {
  /// `--hooks-private yes`.
  package let allowsPrivate: Bool
  /// Where the worker itself listens on loopback only.
  package let allowsLoopback: Bool

  package init(allowsPrivate: Bool, allowsLoopback: Bool) {
    self.allowsPrivate = allowsPrivate
    self.allowsLoopback = allowsLoopback
  }

  /// Why an address of four or sixteen bytes may not be reached; nil if it may.
  package func refusal(_ bytes: [UInt8]) -> String? {
    let text = PeerAddress(bytes).map { "\($0)" } ?? "?"
    switch AddressClass(bytes) {
    case .public: return nil
    case .private:
      return allowsPrivate
        ? nil
        : "\(text) is a private address: hooks reach it where workers have --hooks-private yes"
    case .loopback:
      return allowsLoopback
        ? nil : "\(text) is a loopback address: hooks reach it where --listen is loopback"
    case .reserved(let range): return "\(text) is \(range) address: no hook may reach it"
    }
  }

  /// The bytes of an address as it is written in a URL, without brackets; nil for a name.
  static func bytes(ofLiteral host: String) -> [UInt8]? {
    var room = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, host, &room) == 1 { return Array(room[..<4]) }
    return inet_pton(AF_INET6, host, &room) == 1 ? room : nil
  }
}
