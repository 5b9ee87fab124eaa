// Owns: one request to the admin port of a worker, for programs that ask and wait. Any thread.

internal import Loop

/// What the admin port of a worker says.
public struct AdminReply: Sendable, Equatable {
  /// The status of HTTP, such as 200.
  public let status: Int
  /// The lines of text.
  public let body: String

  private static let bytesMax = 1 << 20

  /// Asks for a path such as `/readyz`, over a connection of its own; all within `timeoutMs`
  /// milliseconds.
  ///
  /// - Throws: `LatchkeyError.cannotConnect`, `noReply` if none comes in time, `garbage` if it is
  ///   not HTTP or has over 1 MiB.
  public static func get(
    _ path: String, host: String, port: UInt16, timeoutMs: Int64
  ) throws(LatchkeyError) -> AdminReply {
    let untilMs = MonotonicTime.nowMs() + timeoutMs
    let transport = try LatchkeyConnection.connect(host, port, timeoutMs, nil)
    defer { transport.close() }
    // The request is shorter than any socket's buffer.
    let request = Array("GET \(path) HTTP/1.0\r\n\r\n".utf8)
    guard case .moved(request.count) = request.withUnsafeBytes({ transport.write($0) }) else {
      throw .noReply("the connection is broken")
    }
    return try reply(try read(transport, untilMs: untilMs))
  }

  /// All that comes until the end of the connection.
  private static func read(
    _ transport: Transport, untilMs: Int64
  ) throws(LatchkeyError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while bytes.count <= bytesMax {
      guard LatchkeyConnection.wait(transport, .read, untilMs: untilMs) else {
        throw .noReply("it did not come in time")
      }
      switch chunk.withUnsafeMutableBytes({ transport.read(into: $0) }) {
      case .moved(let count): bytes += chunk[..<count]
      case .wouldBlock: continue
      case .ended: return bytes
      case .broken(let number): throw .noReply(SystemError("read", number).description)
      }
    }
    throw .garbage("a page of more than 1 MiB")
  }

  private static func reply(_ bytes: [UInt8]) throws(LatchkeyError) -> AdminReply {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let head = text.firstRange(of: "\r\n\r\n"), text.hasPrefix("HTTP/1."),
      let status = Int(text.split(separator: " ", maxSplits: 2).dropFirst().first ?? "")
    else { throw .garbage(String(text.prefix { !$0.isNewline })) }
    return AdminReply(status: status, body: String(text[head.upperBound...]))
  }
}
