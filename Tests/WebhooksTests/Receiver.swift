// Owns: a receiver of webhooks for the tests here: it listens on loopback, on the loop of its test,
// and answers as the test says.

import Foundation
import Testing

@testable import Loop
@testable import Webhooks

/// What a receiver does once a request is there.
enum Reaction {
  /// Sends these bytes, and keeps the connection.
  case answer(String)
  /// Sends these bytes, and ends the connection.
  case answerAndClose(String)
  /// Sends these bytes over and over.
  case stream(String)
  /// Sends the first once, and then the second over and over.
  case answerAndStream(String, String)
  /// Says nothing.
  case hang

  /// A reply without a body.
  static func status(_ line: String, _ headers: String...) -> Reaction {
    let more = headers.map { $0 + "\r\n" }.joined()
    return .answer("HTTP/1.1 \(line)\r\nContent-Length: 0\r\n\(more)\r\n")
  }
}

/// A listener and its connections.
final class Receiver: FileWatchOwner {
  /// One connection; its requests are taken one after the other.
  private final class Peer: FileWatchOwner {
    let transport: Transport
    private unowned let receiver: Receiver
    private var isReady = false
    private var bytes: [UInt8] = []
    private var streamed: [UInt8] = []
    private lazy var watch = FileWatch(receiver.loop, transport.socket.descriptor, owner: self)

    init(_ receiver: Receiver, _ transport: Transport) {
      self.receiver = receiver
      self.transport = transport
      watch.want(.read)
    }

    func close() {
      watch.want(.none)
      transport.close()
    }

    func fileReady(_ readiness: Readiness) {
      if !isReady {
        let state = transport.shakeHands()
        if case .failed = state { return receiver.drop(self) }
        guard state == .done else { return watch.want(Readiness.read.or(transport.wants)) }
        isReady = true
      }
      var room = [UInt8](repeating: 0, count: 65_536)
      while true {
        switch room.withUnsafeMutableBytes({ transport.read(into: $0) }) {
        case .moved(let count): bytes += room[..<count]
        case .wouldBlock:
          serve()
          return
        case .ended, .broken:
          receiver.drop(self)
          return
        }
      }
    }

    private func serve() {
      if !streamed.isEmpty { return stream() }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let head = text.firstRange(of: "\r\n\r\n") else { return }
      let header = String(text[..<head.lowerBound])
      let length =
        header.lowercased().firstMatch(of: /content-length: (\d+)/).flatMap { Int($0.1) } ?? 0
      let body = Array(text[head.upperBound...].utf8)
      guard body.count >= length else { return }
      bytes = Array(body[length...])
      let request = Received(
        header: header, body: String(decoding: body[..<length], as: UTF8.self))
      receiver.requests.append(request)
      switch receiver.react(request) {
      case .answer(let reply): write(Array(reply.utf8))
      case .answerAndClose(let reply):
        write(Array(reply.utf8))
        receiver.drop(self)
      case .stream(let piece):
        streamed = Array(piece.utf8)
        stream()
      case .answerAndStream(let reply, let piece):
        write(Array(reply.utf8))
        streamed = Array(piece.utf8)
        stream()
      case .hang: break
      }
    }

    private func write(_ reply: [UInt8]) { _ = reply.withUnsafeBytes { transport.write($0) } }

    private func stream() {
      watch.want(.both)
      while case .moved(let count) = streamed.withUnsafeBytes({ transport.write($0) }) {
        receiver.streamedBytes += count
      }
    }
  }

  struct Received {
    let header: String
    let body: String

    func value(_ name: String) -> String? {
      header.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }
        .map { String($0.dropFirst(name.count + 2)) }
    }
  }

  let loop: EventLoop
  let port: UInt16
  private let listener: Loop.Socket
  private let tls: TLSContext?
  private let react: (Received) -> Reaction
  private var peers: [Peer] = []
  private lazy var watch = FileWatch(loop, listener.descriptor, owner: self)
  private(set) var requests: [Received] = []
  private(set) var connectionCount = 0
  private(set) var streamedBytes = 0

  init(
    _ loop: EventLoop, tls: TLSContext? = nil, _ react: @escaping (Received) -> Reaction
  ) throws {
    self.loop = loop
    self.tls = tls
    self.react = react
    listener = try SocketAddress.resolve(.tcp(host: "127.0.0.1", port: 0)).bind(sharingPort: false)
    try listener.listen(backlog: 128)
    port = try listener.localPort()
    watch.want(.read)
  }

  deinit {
    watch.want(.none)
    listener.close()
    for peer in peers { peer.close() }
  }

  func fileReady(_ readiness: Readiness) {
    while let socket = try? listener.accept() {
      connectionCount += 1
      let transport =
        tls.map { Transport(server: $0, socket) } ?? Transport(plain: socket)
      peers.append(Peer(self, transport))
    }
  }

  private func drop(_ peer: Peer) {
    // It may be within its own callback: it is freed with the receiver.
    peer.close()
    gone.append(peer)
    peers.removeAll { $0 === peer }
  }

  private var gone: [Peer] = []
}

/// A sender on a loop of its own, and the running of that loop.
struct Sending {
  let loop: EventLoop
  let sender: WebhookSender

  init(
    policy: AddressPolicy = AddressPolicy(allowsPrivate: false, allowsLoopback: true),
    connectionsMax: Int = 8, authorities: String? = nil,
    _ change: (inout WebhookLimits) -> Void = { _ in }
  ) throws {
    loop = try EventLoop()
    var limits = WebhookLimits(
      policy: policy, connectionsMax: connectionsMax, authorities: authorities,
      userAgent: "latchkey/test")
    change(&limits)
    sender = try WebhookSender(loop, limits)
  }

  func address(_ text: String) throws -> WebhookAddress {
    try WebhookAddress(text, AddressPolicy(allowsPrivate: true, allowsLoopback: true))
  }

  /// Sends one request and waits for its outcome.
  func post(
    _ url: String, body: String = "{}", headers: [(name: String, value: String)] = [],
    timeoutMs: Int64 = 5_000
  ) throws -> WebhookOutcome? {
    var outcome: WebhookOutcome?
    let request = WebhookRequest(
      address: try address(url), headers: headers, body: Array(body.utf8), timeoutMs: timeoutMs)
    sender.post(request) {
      outcome = $0
      loop.stop()
    }
    run()
    return outcome
  }

  /// Runs the loop until it is stopped, and fails the test if that takes longer than 20 s.
  func run(sourceLocation: SourceLocation = #_sourceLocation) {
    var isLate = false
    let limit = LoopTimer(loop) {
      isLate = true
      loop.stop()
    }
    limit.set(afterMs: 20_000)
    withExtendedLifetime((limit, sender)) { loop.run() }
    #expect(!isLate, "the loop did not stop within 20 s", sourceLocation: sourceLocation)
  }
}
