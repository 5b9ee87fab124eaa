// Owns: the address of a connection's peer. A value; any thread.

internal import CLinux
internal import Glibc

/// An IP address without a port; one of IPv4 counts as itself, however it was written.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address as one of IPv6, in the order of the network; `::ffff:a.b.c.d` for IPv4.
  private let high: UInt64
  private let low: UInt64

  /// Takes four bytes of IPv4 or sixteen of IPv6, in the order of the network.
  package init?(_ bytes: some Collection<UInt8>) {
    switch bytes.count {
    case 4:
      high = 0
      low = PeerAddress.mappedPrefix | PeerAddress.number(bytes)
    case 16:
      high = PeerAddress.number(bytes.prefix(8))
      low = PeerAddress.number(bytes.dropFirst(8))
    default: return nil
    }
  }

  private init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  private static let mappedPrefix: UInt64 = 0xFFFF << 32

  private static func number(_ bytes: some Collection<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

  /// The part that one host has: the address itself, or the first 64 bits of one of IPv6.
  package var host: PeerAddress { isIPv4 ? self : PeerAddress(high: high, low: 0) }

  package var description: String {
    if isIPv4 {
      return [24, 16, 8, 0].map { "\((low >> $0) & 0xFF)" }.joined(separator: ".")
    }
    var bytes = [high.bigEndian, low.bigEndian]
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count)) != nil else { return "?" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension Socket {
  /// The peer's address; nil if it is gone already, or has no IP address.
  package func peerAddress() -> PeerAddress? {
    var address = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getpeername(descriptor, $0, &size)
      }
    }
    guard result == 0 else { return nil }
    let family = Int32(address.ss_family)
    return withUnsafeBytes(of: &address) { bytes in
      switch family {
      case AF_INET: PeerAddress(bytes[4..<8])
      case AF_INET6: PeerAddress(bytes[8..<24])
      default: nil
      }
    }
  }

  /// Lets the kernel find out within some two minutes that the peer's machine is gone.
  package func setKeepAlive() {
    let size = socklen_t(MemoryLayout<Int32>.size)
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, size)
    for (option, value) in [(TCP_KEEPIDLE, 60), (TCP_KEEPINTVL, 15), (TCP_KEEPCNT, 4)] {
      var value = Int32(value)
      setsockopt(descriptor, Int32(IPPROTO_TCP), option, &value, size)
    }
  }
}
