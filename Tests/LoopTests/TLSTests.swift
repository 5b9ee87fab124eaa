// Owns: the tests of TLS between two transports in one process, on a pair of sockets.

import Foundation
import TestSupport
import Testing

@testable import Loop

/// Both sides of a handshake, and what they exchange afterwards.
private struct Peers {
  let pair: SocketPair
  let client: Transport
  let server: Transport

  init(
    _ clientContext: TLSContext, _ serverContext: TLSContext, host: String,
    early: ArraySlice<UInt8> = [], resuming ticket: TLSTicket? = nil
  ) throws {
    pair = try SocketPair()
    client = Transport(client: clientContext, pair.near, host: host, resuming: ticket)
    server = Transport(server: serverContext, pair.far, early: early)
  }

  /// Shakes hands until both sides are done or one has failed.
  func shakeHands() -> (client: Handshake, server: Handshake) {
    var states = (client: client.shakeHands(), server: server.shakeHands())
    for _ in 0..<20 {
      if states.client == .done, states.server == .done { break }
      if states.client == .underWay { states.client = client.shakeHands() }
      if states.server == .underWay { states.server = server.shakeHands() }
    }
    return states
  }

  /// Reads until there is nothing more.
  static func drain(_ transport: Transport) -> (bytes: [UInt8], last: Transfer) {
    var bytes: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 5_000)
    while true {
      let outcome = room.withUnsafeMutableBytes { transport.read(into: $0) }
      guard case .moved(let count) = outcome else { return (bytes, outcome) }
      bytes += room[..<count]
    }
  }
}

struct TLSTests {
  private let certificates: Certificates
  private let server: TLSContext
  private let client: TLSContext

  init() throws {
    certificates = try Certificates()
    try certificates.make("server", for: "DNS:cache.example,IP:127.0.0.1")
    server = try TLSContext(.server, certificates.files("server"))
    client = try TLSContext(.client, TLSFiles(authorities: certificates.authority))
  }

  @Test(arguments: ["cache.example", "127.0.0.1"])
  func `bytes go both ways, more than a socket takes at once`(host: String) throws {
    let peers = try Peers(client, server, host: host)
    #expect(peers.shakeHands() == (.done, .done))
    let sent = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    var taken: [UInt8] = []
    var at = 0
    while at < sent.count {
      // A copy of the rest each time: its bytes lie elsewhere.
      let rest = Array(sent[at...])
      if case .moved(let count) = rest.withUnsafeBytes({ peers.client.write($0) }) { at += count }
      taken += Peers.drain(peers.server).bytes
    }
    taken += Peers.drain(peers.server).bytes
    #expect(taken == sent)
    #expect(Array("back".utf8).withUnsafeBytes { peers.server.write($0) } == .moved(4))
    #expect(Peers.drain(peers.client).bytes == Array("back".utf8))
  }

  @Test func `a session is resumed by its ticket, where the certificate was renewed too`() throws {
    let first = try Peers(client, server, host: "cache.example")
    #expect(first.shakeHands() == (.done, .done) && !first.client.isResumed)
    #expect(Array("x".utf8).withUnsafeBytes { first.server.write($0) } == .moved(1))
    #expect(Peers.drain(first.client).bytes == Array("x".utf8))
    let ticket = try #require(first.client.ticket)
    let second = try Peers(client, server, host: "cache.example", resuming: ticket)
    #expect(second.shakeHands() == (.done, .done) && second.client.isResumed)
    try certificates.make("server", for: "DNS:cache.example")
    let renewed = try TLSContext(.server, certificates.files("server"))
    let third = try Peers(client, renewed, host: "cache.example", resuming: ticket)
    #expect(third.shakeHands() == (.done, .done) && third.client.isResumed)
  }

  @Test func `a part of a record that was read is known to be there`() throws {
    let peers = try Peers(client, server, host: "cache.example")
    #expect(peers.shakeHands() == (.done, .done))
    _ = Array("abcdef".utf8).withUnsafeBytes { peers.client.write($0) }
    var room = [UInt8](repeating: 0, count: 4)
    #expect(room.withUnsafeMutableBytes { peers.server.read(into: $0) } == .moved(4))
    #expect(peers.server.hasBufferedInput && peers.server.hasInput)
    #expect(Peers.drain(peers.server).bytes == Array("ef".utf8))
    #expect(!peers.server.hasBufferedInput)
  }

  @Test func `a certificate of another name, or of an unknown authority, is refused`() throws {
    let states = try Peers(client, server, host: "elsewhere.example").shakeHands()
    guard case .failed(let text) = states.client else {
      Issue.record("\(states)")
      return
    }
    #expect(text.contains("does not verify") && text.lowercased().contains("mismatch"), "\(text)")
    let other = try Certificates()
    let stranger = try TLSContext(.client, TLSFiles(authorities: other.authority))
    guard case .failed = try Peers(stranger, server, host: "cache.example").shakeHands().client
    else {
      Issue.record("a stranger's authority was taken")
      return
    }
  }

  @Test func `where callers need a certificate, one without is refused`() throws {
    try certificates.make("caller", for: "DNS:caller")
    var files = certificates.files("server")
    files.authorities = certificates.authority
    let strict = try TLSContext(.server, files)
    guard case .failed = try Peers(client, strict, host: "cache.example").shakeHands().server
    else {
      Issue.record("a caller without a certificate was taken")
      return
    }
    var own = certificates.files("caller")
    own.authorities = certificates.authority
    let known = try TLSContext(.client, own)
    #expect(try Peers(known, strict, host: "cache.example").shakeHands() == (.done, .done))
  }

  @Test func `what was read before the session began is a part of it`() throws {
    let pair = try SocketPair()
    let client = Transport(client: client, pair.near, host: "cache.example")
    #expect(client.shakeHands() == .underWay)
    var hello = [UInt8](repeating: 0, count: 4_096)
    guard case .moved(let count) = hello.withUnsafeMutableBytes({ pair.far.read(into: $0) })
    else { throw TestFailure("no hello") }
    // A part of it only: the rest comes over the socket.
    let split = count / 2
    let server = Transport(server: server, pair.far, early: hello[..<split])
    #expect(server.shakeHands() == .underWay)
    #expect(hello[split..<count].withUnsafeBytes { pair.near.write($0) } == .moved(count - split))
    #expect(server.shakeHands() == .underWay)
    #expect(client.shakeHands() == .done)
    #expect(server.shakeHands() == .done)
  }

  @Test func `a caller without TLS is recognized by its first byte`() throws {
    let pair = try SocketPair()
    let transport = Transport(server: server, pair.far)
    #expect(transport.shakeHands() == .underWay)
    #expect(transport.wants == .read)
    _ = pair.near.write("PING\n")
    #expect(transport.shakeHands() == .plain)
    let early = Transport(server: server, pair.far, early: Array("PING\n".utf8)[...])
    #expect(early.shakeHands() == .plain)
  }

  @Test func `the end of one side is an end, and what it had sent before is read`() throws {
    let peers = try Peers(client, server, host: "cache.example")
    #expect(peers.shakeHands() == (.done, .done))
    _ = Array("last".utf8).withUnsafeBytes { peers.client.write($0) }
    peers.client.finishWriting()
    let (bytes, last) = Peers.drain(peers.server)
    #expect(bytes == Array("last".utf8))
    #expect(last == .ended)
    #expect(Array("x".utf8).withUnsafeBytes { peers.server.write($0) } == .moved(1))
    #expect(Peers.drain(peers.client).bytes == Array("x".utf8))
  }

  @Test func `a peer that ends without its notice has ended`() throws {
    let peers = try Peers(client, server, host: "cache.example")
    #expect(peers.shakeHands() == (.done, .done))
    peers.pair.near.finishWriting()
    #expect(Peers.drain(peers.server).last == .ended)
  }

  @Test func `files that cannot be used are named with the reason`() throws {
    let good = certificates.files("server")
    try certificates.make("other", for: "DNS:other")
    try "no PEM".write(
      toFile: certificates.path("junk"), atomically: true, encoding: .utf8)
    let rows: [(TLSFiles, String)] = [
      (TLSFiles(certificate: "/none", key: good.key), "open /none: No such file"),
      (TLSFiles(certificate: certificates.path("junk"), key: good.key), "no certificate in PEM"),
      (TLSFiles(certificate: good.certificate, key: certificates.path("junk")), "no private key"),
      (
        TLSFiles(certificate: good.certificate, key: certificates.path("other.key")),
        "is not that of the certificate"
      ),
      (
        TLSFiles(
          certificate: good.certificate, key: good.key, authorities: certificates.path("server.key")
        ), "no certificate in PEM"
      ),
    ]
    for (files, reason) in rows {
      let error = #expect(throws: TLSError.self) { try TLSContext(.server, files) }
      #expect(error?.description.contains(reason) == true, "\(files): \(error as Any)")
    }
  }

  @Test func `a renewed certificate makes another context, and none where nothing changed`() throws
  {
    let files = certificates.files("server")
    #expect(try server.renewed(from: files) == nil)
    try certificates.make("server", for: "DNS:renewed.example")
    let renewed = try #require(try server.renewed(from: files))
    #expect(try Peers(client, renewed, host: "renewed.example").shakeHands() == (.done, .done))
    let cache = TLSClient(TLSFiles(authorities: certificates.authority))
    #expect(try cache.context() === cache.context())
  }
}

extension Certificates {
  fileprivate func files(_ name: String) -> TLSFiles {
    TLSFiles(certificate: path("\(name).pem"), key: path("\(name).key"))
  }
}
